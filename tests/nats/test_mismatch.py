"""The mismatch's parts: definitions, and Gaussians whose total correlation and KL divergences are closed forms."""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.bounds import information_bounds
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.mismatch import MismatchSplit, mismatch_split

NOISE, SHIFT = 0.5, 0.4
PRIOR = DiagonalGaussian(torch.full((3,), SHIFT, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))


def gaussian(count: int, *, correlation: float, seed: int) -> tuple[Tensor, DiagonalGaussian, Tensor]:
    """Posteriors whose aggregate is N(0, R), R with ones and `correlation`, against a prior N(0.4, I): kl, q, z."""
    generator = torch.Generator().manual_seed(seed)
    covariance = torch.full((3, 3), correlation, dtype=torch.float64).fill_diagonal_(1.0)
    root = torch.linalg.cholesky(covariance - NOISE**2 * torch.eye(3, dtype=torch.float64))
    draws, noise = torch.randn(2, count, 3, generator=generator, dtype=torch.float64)
    posterior = DiagonalGaussian(draws @ root.T, torch.full_like(draws, 2 * math.log(NOISE)))
    return kl_per_dimension(posterior, PRIOR), posterior, posterior.sample(noise)


def split(kl: Tensor, posterior: DiagonalGaussian, z: Tensor, **settings: int) -> MismatchSplit:
    bounds = information_bounds(posterior.mean, posterior.log_variance, z)
    return mismatch_split(kl, posterior, z, information=bounds, **settings)


def truth(correlation: float) -> tuple[float, float]:
    """-1/2 ln det R, and three times the KL of a unit Gaussian from one shifted."""
    covariance = torch.full((3, 3), correlation, dtype=torch.float64).fill_diagonal_(1.0)
    return -0.5 * torch.logdet(covariance).item(), 3 * SHIFT**2 / 2


@pytest.mark.parametrize("correlation", [0.0, 0.6])
def test_a_gaussian_aggregate_is_its_closed_form(correlation: float) -> None:
    """Over repeated draws both bounds hold on average, and the error is the spread."""
    repeats = 60
    found = [split(*gaussian(80, correlation=correlation, seed=seed)) for seed in range(repeats)]
    for name, value in zip(("total_correlation", "dimensions"), truth(correlation), strict=True):
        inside = sum(b.interval[0] < value < b.interval[1] for b in (getattr(f, name) for f in found))
        assert inside >= 0.85 * repeats, name  # 95 % less 3.5 errors of a share from 60 draws
        for side, sign in (("lower", 1), ("upper", -1)):
            ends = [getattr(getattr(f, name), side) for f in found]
            values = torch.tensor([e.value for e in ends], dtype=torch.float64)
            errors = torch.tensor([e.se for e in ends], dtype=torch.float64)
            assert sign * (values.mean() - value) < 3.5 * values.std() / math.sqrt(repeats), (name, side)
            slack = 4 / math.sqrt(2 * repeats)
            assert (1 - slack) * values.std() < errors.square().mean().sqrt() < (1.4 + slack) * values.std(), name


def test_many_sentences_meet_the_truth() -> None:
    found = split(*gaussian(1500, correlation=0.6, seed=0))
    for name, value in zip(("total_correlation", "dimensions"), truth(0.6), strict=True):
        lower, upper = getattr(found, name).interval
        assert lower < value < upper
        assert upper - lower < 0.4
    each = truth(0.6)[1] / 3
    assert all(part.interval[0] < each < part.interval[1] for part in found.per_dimension)


def direct(rate: Tensor, posterior: DiagonalGaussian, z: Tensor, dimension: int) -> tuple[float, float]:
    """Both bounds on KL(agg_d || pri_d) by their definitions, sentence by sentence (the oracle)."""
    one = DiagonalGaussian(posterior.mean[:, dimension, None], posterior.log_variance[:, dimension, None])
    count, ends = len(z), ([], [])
    for i in range(count):
        density = one.log_prob(z[i, dimension, None].view(1, 1))
        rest = density[torch.arange(count) != i]
        for end, terms in zip(ends, (rest, density), strict=True):
            end.append(rate[i, dimension] - density[i] + terms.logsumexp(0) - math.log(len(terms)))
    return torch.stack(ends[0]).mean().item(), torch.stack(ends[1]).mean().item()


def test_bounds_are_their_definitions_and_add_up() -> None:
    kl, posterior, z = gaussian(7, correlation=0.6, seed=3)
    found = split(kl, posterior, z)
    for dimension, part in enumerate(found.per_dimension):
        lower, upper = direct(kl, posterior, z, dimension)
        assert part.lower.value == pytest.approx(lower, abs=1e-10)
        assert part.upper.value == pytest.approx(upper, abs=1e-10)
    bounds = information_bounds(posterior.mean, posterior.log_variance, z)
    rate = kl.sum(1).mean().item()
    assert found.whole.lower.value == pytest.approx(rate - bounds.upper.value)
    assert found.whole.upper.value == pytest.approx(rate - bounds.lower.value)
    for side in ("lower", "upper"):
        parts = [getattr(part, side).value for part in found.per_dimension]
        assert getattr(found.dimensions, side).value == pytest.approx(sum(parts))
    assert found.point.value + found.dimensions.upper.value == pytest.approx(found.whole.upper.value)
    assert found.total_correlation.lower.value <= found.point.value <= found.total_correlation.upper.value


def test_the_error_is_near_the_slow_jackknife() -> None:
    count = 40
    kl, posterior, z = gaussian(count, correlation=0.6, seed=5)
    found = split(kl, posterior, z).per_dimension[0]
    kept = [torch.arange(count) != k for k in range(count)]
    without = [
        direct(kl[rows], DiagonalGaussian(posterior.mean[rows], posterior.log_variance[rows]), z[rows], 0)
        for rows in kept
    ]
    for end, values in zip((found.lower, found.upper), torch.tensor(without, dtype=torch.float64).T, strict=True):
        assert end.se == pytest.approx(math.sqrt((count - 1) * values.var(correction=0).item()), rel=0.1)


def test_some_z_in_the_whole_mixture() -> None:
    """Fewer looked up, all of them components: less certain, no less right."""
    kl, posterior, z = gaussian(400, correlation=0.6, seed=1)
    whole, part = split(kl, posterior, z), split(kl, posterior, z, evaluated=50)
    assert (whole.evaluated, part.evaluated) == (400, 50)
    assert part.dimensions.upper.se > 2 * whole.dimensions.upper.se
    assert abs(part.dimensions.upper.value - whole.dimensions.upper.value) < 3.5 * part.dimensions.upper.se
    assert part.dimensions.interval[0] < truth(0.6)[1] < part.dimensions.interval[1]
    assert part == split(kl, posterior, z, evaluated=50)


def test_a_sentence_far_from_all_others_is_no_infinity() -> None:
    kl, posterior, z = gaussian(10, correlation=0.0, seed=0)
    mean, at = posterior.mean.clone(), z.clone()
    mean[4], at[4] = 60.0, 60.2
    far = DiagonalGaussian(mean, posterior.log_variance)
    found = split(kl_per_dimension(far, PRIOR), far, at)
    lower, upper = direct(kl_per_dimension(far, PRIOR), far, at, 1)
    assert found.per_dimension[1].lower.value == pytest.approx(lower, rel=1e-9)
    assert found.per_dimension[1].upper.value == pytest.approx(upper, rel=1e-9)
    assert math.isfinite(found.total_correlation.lower.se)


def test_faults_are_named() -> None:
    kl, posterior, z = gaussian(5, correlation=0.0, seed=0)
    bounds = information_bounds(posterior.mean, posterior.log_variance, z)
    with pytest.raises(ValueError, match="kl must hold 5 x 3 numbers"):
        mismatch_split(kl[:, :2], posterior, z[:, :2], information=bounds)
    few = DiagonalGaussian(posterior.mean[:2], posterior.log_variance[:2])
    with pytest.raises(ValueError, match="at least 3, got 2"):
        mismatch_split(kl[:2], few, z[:2], information=bounds)
