"""mutual_information: I(y; z) bounded below and above from Gaussian posteriors, nats per sentence."""
