"""How a loss passes a sampled z: an axis of its own, independent of encoder, prior and decoder."""
