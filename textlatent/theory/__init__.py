"""One function per claim of the theory: what it says, its closed form, and what this package computes for it."""
