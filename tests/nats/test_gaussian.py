"""Diagonal Gaussians against torch.distributions, series and samples."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension, standardise


def draw(*shape: int, seed: int) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(mean, log_variance)


def theirs(gaussian: DiagonalGaussian) -> Normal:
    return Normal(gaussian.mean, (0.5 * gaussian.log_variance).exp())


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3)])
def test_density_entropy_and_scale_are_those_of_torch(shape: tuple[int, ...]) -> None:
    ours = draw(*shape, seed=0)
    z = torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(ours.log_prob(z), Independent(theirs(ours), 1).log_prob(z), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(ours.entropy(), Independent(theirs(ours), 1).entropy(), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(ours.std, theirs(ours).stddev, rtol=1e-15, atol=0)
    torch.testing.assert_close(ours.variance, theirs(ours).variance, rtol=1e-14, atol=0)


def test_a_density_broadcasts_samples_over_sentences() -> None:
    """z [S, B, D] under B posteriors, and under one prior [D]."""
    enc, pri = draw(4, 3, seed=0), draw(3, seed=1)
    z = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    by_hand = torch.stack([enc.log_prob(each) for each in z])
    assert enc.log_prob(z).shape == (5, 4)
    torch.testing.assert_close(enc.log_prob(z), by_hand, rtol=0, atol=0)
    torch.testing.assert_close(pri.log_prob(z), Independent(theirs(pri), 1).log_prob(z), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(3,), (4, 3)])
def test_kl_is_that_of_torch(shape: tuple[int, ...]) -> None:
    q, p = draw(*shape, seed=0), draw(3, seed=1)
    torch.testing.assert_close(
        kl_per_dimension(q, p), kl_divergence(theirs(q), theirs(p)).expand(shape), rtol=1e-13, atol=1e-13
    )


def test_kl_is_the_mean_log_ratio_of_samples() -> None:
    """The definition E_q ln q - ln p, within 4 standard errors of 20,000 draws."""
    q, p = draw(3, seed=0), draw(3, seed=1)
    z = q.sample(torch.randn(20_000, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    ratio = q.log_prob(z) - p.log_prob(z)
    error = ratio.std() / math.sqrt(len(z))
    assert abs(ratio.mean() - kl_per_dimension(q, p).sum()) < 4 * error


def test_kl_of_a_gaussian_to_itself_is_zero_to_the_bit() -> None:
    q = draw(4, 3, seed=0)
    assert torch.equal(kl_per_dimension(q, q), torch.zeros(4, 3, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("step", [1e-3, 1e-4, 1e-5])
def test_kl_near_equality_keeps_its_digits(step: float, dtype: torch.dtype) -> None:
    """ln ratio = x, means apart by m: KL = x^2/4 + x^3/12 + m^2/2 + O(x^4), where 1 + x - ln(..) - 1 has no digit left.

    expm1(x) - x itself cancels x: it is good to eps * x, so relative to x^2/2 the error is 2 eps / x.
    """
    x, m = torch.tensor([step, -step], dtype=dtype), torch.tensor([step, 0.0], dtype=dtype)
    zero = torch.zeros(2, dtype=dtype)
    exact = x.double() ** 2 / 4 + x.double() ** 3 / 12 + m.double() ** 2 / 2
    kl = kl_per_dimension(DiagonalGaussian(m, x), DiagonalGaussian(zero, zero))
    tolerance = max(4 * torch.finfo(dtype).eps / step, step**2)
    torch.testing.assert_close(kl.double(), exact, rtol=tolerance, atol=0)


def test_standardise_keeps_the_divergence_and_moves_every_density_by_the_same_sum() -> None:
    """THEORY T5: log_p_enc and log_p_pri each move by sum_d ln sigma_p."""
    q, p = draw(4, 3, seed=0), draw(3, seed=1)
    unit = DiagonalGaussian(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    ours = standardise(q, p)
    torch.testing.assert_close(kl_per_dimension(ours, unit), kl_per_dimension(q, p), rtol=1e-12, atol=1e-14)
    z = q.sample(torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    moved = (z - p.mean) / p.std
    shift = p.std.log().sum()
    torch.testing.assert_close(ours.log_prob(moved), q.log_prob(z) + shift, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(unit.log_prob(moved), p.log_prob(z) + shift, rtol=1e-12, atol=1e-12)
    prior = standardise(p, p)
    assert torch.equal(prior.mean, torch.zeros(3, dtype=torch.float64))
    assert torch.equal(prior.log_variance, torch.zeros(3, dtype=torch.float64))


def test_a_sample_is_mean_plus_sigma_noise() -> None:
    gaussian = DiagonalGaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.0, 2.0 * math.log(3.0)]))
    torch.testing.assert_close(gaussian.sample(torch.tensor([2.0, -1.0])), torch.tensor([3.0, -5.0]))


@pytest.mark.parametrize("z", [torch.zeros(3, dtype=torch.int64), [0.0, 0.0, 0.0]])
def test_what_is_no_tensor_of_reals_is_refused(z: Tensor) -> None:
    """Shapes and types are checked under pytest; this test fails if the checker is not on."""
    with pytest.raises(TypeCheckError):
        draw(3, seed=0).log_prob(z)
