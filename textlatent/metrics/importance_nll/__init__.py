"""importance_nll: -ln P(y) bounded by importance weights, nats per sentence, and whether it has converged."""
