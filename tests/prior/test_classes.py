"""Priors over classes and chains: what is set is what is said and drawn."""

import math

import torch

from textlatent.prior.classes import ChainPrior, ClassPrior

P = torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64)
A = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0]], dtype=torch.float64)


def test_they_start_uniform_and_say_what_was_set() -> None:
    assert torch.allclose(ClassPrior(4).log_prob(), torch.full((4,), -math.log(4), dtype=torch.float64))
    assert torch.allclose(ClassPrior.from_log_probabilities(P.log()).log_prob().exp(), P)
    chain = ChainPrior.from_log_probabilities(P.log(), A.log())
    assert torch.allclose(chain.log_start().exp(), P)
    assert torch.allclose(chain.log_transition().exp(), A)


def test_draws_have_the_prior_s_frequencies() -> None:
    """Within 5 standard errors, and never what has probability 0."""
    count = 20_000
    drawn = ClassPrior.from_log_probabilities(P.log()).sample(count, seed=1)
    assert (drawn != 1).all()
    assert abs((drawn == 0).double().mean() - 0.5) < 5 * math.sqrt(0.25 / count)
    paths = ChainPrior.from_log_probabilities(P.log(), A.log()).sample(count, seed=1, width=3)
    assert (paths[:, 0] != 1).all()
    after = paths[paths[:, 0] == 0][:, 1]
    assert abs((after == 1).double().mean() - 0.1) < 5 * math.sqrt(0.09 / len(after))
    assert (paths[paths[:, 1] == 2][:, 2] == 2).all()


def test_a_draw_is_a_function_of_seed_and_number() -> None:
    chain = ChainPrior.from_log_probabilities(P.log(), A.log())
    longer = chain.sample(6, seed=3, width=8)
    assert torch.equal(chain.sample(torch.tensor([4, 1]), seed=3, width=5), longer[[4, 1], :5])
    assert not torch.equal(chain.sample(6, seed=4, width=8), longer)
