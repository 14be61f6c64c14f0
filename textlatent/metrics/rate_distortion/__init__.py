"""rate_distortion: rate, distortion and -ELBO with their standard errors, nats per sentence."""
