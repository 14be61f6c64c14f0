"""P_dec(y|z): from z to distributions over sentences."""
