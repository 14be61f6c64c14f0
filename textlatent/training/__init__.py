"""Learning and scoring over data: the loop, evaluation, checkpoints."""
