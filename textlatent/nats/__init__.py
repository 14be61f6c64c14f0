"""Information theory on plain tensors, in nats."""
