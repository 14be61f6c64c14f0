"""P_enc(z|y): from sentences to distributions over z."""
