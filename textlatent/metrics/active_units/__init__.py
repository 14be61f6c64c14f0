"""active_units: how many latent dimensions move with the input."""
