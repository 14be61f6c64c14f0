"""P_pri(z): what the code expects of z before it sees a sentence."""
