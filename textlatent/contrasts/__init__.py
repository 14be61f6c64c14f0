"""Not of the family, and kept apart on purpose: a bigram GAN without a gradient, a ring whose Z is known."""
