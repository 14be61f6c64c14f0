"""Mixtures of Gaussians against torch's own, their moments, and which part a number draws."""

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture

WEIGHT = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
MEAN = torch.tensor([[0.0, 1.0], [-2.0, 0.5], [3.0, -1.0]], dtype=torch.float64)
STD = torch.tensor([[1.0, 0.5], [0.3, 2.0], [1.5, 1.0]], dtype=torch.float64)
MIXTURE = GaussianMixture(WEIGHT.log(), DiagonalGaussian(MEAN, 2 * STD.log()))
PEER = MixtureSameFamily(Categorical(WEIGHT), Independent(Normal(MEAN, STD), 1))


def test_the_density_is_the_sum_over_parts() -> None:
    """By enumeration of the parts and against torch.distributions; any leading shape."""
    z = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_hand = sum(w * Normal(m, s).log_prob(z).sum(-1).exp() for w, m, s in zip(WEIGHT, MEAN, STD, strict=True)).log()
    torch.testing.assert_close(MIXTURE.log_prob(z), by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(MIXTURE.log_prob(z), PEER.log_prob(z), rtol=0, atol=1e-12)
    assert MIXTURE.double().log_prob(z[0, 0]).shape == ()


def test_far_from_every_part_it_stays_finite() -> None:
    assert MIXTURE.log_prob(torch.full((2,), 1e6, dtype=torch.float64)).isfinite()


def test_the_moments() -> None:
    torch.testing.assert_close(MIXTURE.mean, PEER.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(MIXTURE.variance, PEER.variance, rtol=0, atol=1e-12)
    torch.testing.assert_close(MIXTURE.std, PEER.stddev, rtol=0, atol=1e-12)
    torch.testing.assert_close(MIXTURE.moments.std, PEER.stddev, rtol=0, atol=1e-12)
    assert torch.equal(MIXTURE.moments.mean, MIXTURE.mean)
    assert MIXTURE.parts.moments is MIXTURE.parts


def test_which_part_a_number_draws() -> None:
    """Weights end to end: 0.2, 0.7, 1; the ends of (0, 1) too."""
    part = MIXTURE.part(torch.tensor([1e-12, 0.19, 0.21, 0.69, 0.71, 1.0 - 1e-16], dtype=torch.float64))
    assert torch.equal(part.mean, MEAN[[0, 0, 1, 1, 2, 2]])
    torch.testing.assert_close(part.std, STD[[0, 0, 1, 1, 2, 2]], rtol=0, atol=1e-14)


@pytest.mark.parametrize("count", [1, 3])
def test_a_mixture_of_equal_parts_is_the_part(count: int) -> None:
    z = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one = DiagonalGaussian(MEAN[0], 2 * STD[0].log())
    equal = DiagonalGaussian(one.mean.expand(count, -1), one.log_variance.expand(count, -1))
    mixture = GaussianMixture(torch.full((count,), 1 / count, dtype=torch.float64).log(), equal)
    torch.testing.assert_close(mixture.log_prob(z), one.log_prob(z), rtol=0, atol=1e-12)
    torch.testing.assert_close(mixture.variance, one.variance, rtol=0, atol=1e-14)
    assert one.part(torch.rand(6)) is one
