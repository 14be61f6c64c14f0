"""Rate, distortion and their weights: what a stage of training minimises."""
