"""Scores -> numbers with standard errors, in nats."""
