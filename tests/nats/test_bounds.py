"""I(y; z) from posteriors: by hand, by definition, by the slow jackknife, against a Gaussian channel."""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.bounds import InformationBounds, information_bounds, jackknife_error
from textlatent.nats.gaussian import DiagonalGaussian


def draw(count: int, size: int, *, seed: int = 0, std: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Posteriors of `count` random sentences and one z of each."""
    generator = torch.Generator().manual_seed(seed)
    mean, noise = torch.randn(2, count, size, generator=generator, dtype=torch.float64)
    log_variance = 2 * math.log(std) + 0.3 * torch.randn(count, size, generator=generator, dtype=torch.float64)
    return mean, log_variance, DiagonalGaussian(mean, log_variance).sample(noise)


def direct(mean: Tensor, log_variance: Tensor, z: Tensor) -> tuple[float, float]:
    """Both bounds by their definitions, sentence by sentence (the oracle)."""
    posterior = DiagonalGaussian(mean, log_variance)
    density = torch.stack([posterior.log_prob(row) for row in z])  # [N, N]
    own, others = density.diagonal(), density.clone().fill_diagonal_(-math.inf)
    count = len(z)
    lower = own - density.logsumexp(1) + math.log(count)
    upper = own - others.logsumexp(1) + math.log(count - 1)
    return lower.mean().item(), upper.mean().item()


def slow_jackknife(posteriors: tuple[Tensor, ...]) -> tuple[list[float], list[float]]:
    """Both bounds without each sentence, recomputed from nothing."""
    count = len(posteriors[0])
    kept = [[row for row in range(count) if row != k] for k in range(count)]
    lower, upper = zip(*[direct(*(x[rows] for x in posteriors)) for rows in kept], strict=True)
    return list(lower), list(upper)


def test_three_sentences_by_hand() -> None:
    """Unit Gaussians at 0, 0 and 1e3, z at the means: neighbours at distance 0 have density ratio 1, the far one 0."""
    mean = torch.tensor([[0.0], [0.0], [1e3]], dtype=torch.float64)
    bounds = information_bounds(mean, torch.zeros_like(mean), mean)
    assert bounds.lower.value == pytest.approx((2 * math.log(3 / 2) + math.log(3)) / 3, abs=1e-12)
    assert bounds.upper.value == pytest.approx((2 * math.log(2) + 1e6 / 2) / 3, rel=1e-14)
    assert bounds.cap == math.log(3)
    assert bounds.count == 3


@pytest.mark.parametrize("std", [2.0, 0.5, 0.01])
@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_the_matrix_product_is_the_definition(std: float, chunk: int) -> None:
    posteriors = draw(40, 8, std=std)
    bounds = information_bounds(*posteriors, chunk=chunk)
    lower, upper = direct(*posteriors)
    assert bounds.lower.value == pytest.approx(lower, abs=1e-8)
    assert bounds.upper.value == pytest.approx(upper, abs=1e-8)


def test_a_common_shift_costs_no_digits() -> None:
    mean, log_variance, z = draw(60, 64, std=0.01)
    bounds = information_bounds(mean + 1e4, log_variance, z + 1e4)
    lower, upper = direct(mean, log_variance, z)
    assert bounds.lower.value == pytest.approx(lower, abs=1e-5)
    assert bounds.upper.value == pytest.approx(upper, rel=1e-9)


def test_float32_posteriors_are_computed_in_float64() -> None:
    posteriors = [x.float() for x in draw(60, 64, std=0.01)]
    bounds = information_bounds(*posteriors)
    lower, upper = direct(*(x.double() for x in posteriors))
    assert bounds.lower.value == pytest.approx(lower, abs=1e-5)
    assert bounds.upper.value == pytest.approx(upper, rel=1e-9)


@pytest.mark.parametrize("std", [1.5, 0.3, 0.01])
@pytest.mark.parametrize("count", [3, 6])
def test_the_error_is_the_slow_jackknife(std: float, count: int) -> None:
    posteriors = draw(count, 2, std=std)
    bounds = information_bounds(*posteriors, chunk=4)
    lower, upper = slow_jackknife(posteriors)
    assert bounds.lower_left_out.tolist() == pytest.approx(lower, abs=1e-8)
    assert bounds.upper_left_out.tolist() == pytest.approx(upper, abs=1e-8, rel=1e-9)
    for estimate, values in ((bounds.lower, lower), (bounds.upper, upper)):
        centre = sum(values) / count
        error = math.sqrt((count - 1) / count * sum((v - centre) ** 2 for v in values))
        assert estimate.se == pytest.approx(error, abs=1e-8, rel=1e-8)


def test_a_column_that_holds_nearly_a_whole_row_can_still_leave() -> None:
    """Sentence 1 is e^200 times likelier than sentence 0 itself at z_0: 1 - w has no digits in floating point."""
    log_variance = torch.zeros(6, 64, dtype=torch.float64)
    log_variance[1] = -2 * 200 / 64
    mean = torch.zeros_like(log_variance)
    mean[2:] = torch.randn(4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bounds = information_bounds(mean, log_variance, mean)
    lower, upper = slow_jackknife((mean, log_variance, mean))
    assert bounds.lower_left_out.tolist() == pytest.approx(lower, abs=1e-9)
    assert bounds.upper_left_out.tolist() == pytest.approx(upper, abs=1e-9)


def test_the_error_is_the_spread_over_repeated_draws() -> None:
    repeats = 400
    bounds = [information_bounds(*draw(60, 2, seed=seed)) for seed in range(repeats)]
    for side in ("lower", "upper"):
        values = torch.tensor([getattr(b, side).value for b in bounds], dtype=torch.float64)
        errors = torch.tensor([getattr(b, side).se for b in bounds], dtype=torch.float64)
        spread = values.std().item()
        # A standard deviation from R normal draws has relative error 1 / sqrt(2 R); the jackknife may only err upwards.
        slack = 4 / math.sqrt(2 * repeats)
        assert (1 - slack) * spread < errors.square().mean().sqrt().item() < (1.1 + slack) * spread


def gaussian_channel(count: int, *, seed: int, gain: float) -> InformationBounds:
    """The channel z = gain * y + N(0, 1) for y ~ N(0, 1): I(y; z) = 1/2 ln(1 + gain^2)."""
    generator = torch.Generator().manual_seed(seed)
    y, noise = torch.randn(2, count, 1, generator=generator, dtype=torch.float64)
    return information_bounds(gain * y, torch.zeros_like(y), gain * y + noise)


@pytest.mark.parametrize("gain", [0.3, 1.0, 5.0])
def test_a_gaussian_channel_lies_between_the_bounds(gain: float) -> None:
    truth = 0.5 * math.log(1 + gain**2)
    repeats = [gaussian_channel(100, seed=seed, gain=gain) for seed in range(50)]
    for side, sign in (("lower", 1), ("upper", -1)):
        values = torch.tensor([getattr(b, side).value for b in repeats], dtype=torch.float64)
        assert sign * (values.mean() - truth) < 4 * values.std() / math.sqrt(len(values))
    large = gaussian_channel(2000, seed=0, gain=gain)
    assert abs(large.lower.value - truth) < 4 * large.lower.se
    assert abs(large.upper.value - truth) < 4 * large.upper.se


def test_the_cap_is_reached_and_never_passed() -> None:
    mean = 1e3 * torch.arange(50, dtype=torch.float64)[:, None]
    bounds = information_bounds(mean, torch.zeros_like(mean), mean)
    assert bounds.lower.value == math.log(50)
    assert bounds.lower.se < 1e-12
    for seed in range(20):
        near = information_bounds(*draw(30, 16, seed=seed, std=0.3))
        assert near.lower.value <= near.cap


def test_a_collapsed_posterior_carries_nothing() -> None:
    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bounds = information_bounds(torch.ones_like(z), torch.full_like(z, 0.2), 1 + z)
    for estimate in (bounds.lower, bounds.upper):
        assert estimate.value == pytest.approx(0.0, abs=1e-13)
        assert estimate.se == pytest.approx(0.0, abs=1e-13)


def test_the_order_of_the_sentences_is_of_no_importance() -> None:
    posteriors = draw(31, 4)
    order = torch.randperm(31, generator=torch.Generator().manual_seed(1))
    one, other = information_bounds(*posteriors), information_bounds(*(x[order] for x in posteriors), chunk=5)
    assert one.lower.value == pytest.approx(other.lower.value, abs=1e-12)
    assert one.upper.se == pytest.approx(other.upper.se, abs=1e-12)
    assert one.lower_left_out[order].tolist() == pytest.approx(other.lower_left_out.tolist(), abs=1e-12)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = torch.tensor([1.0, 4.0, -2.0, 0.5, 7.0], dtype=torch.float64)
    left_out = (x.sum() - x) / 4
    assert jackknife_error(left_out) == pytest.approx(x.std().item() / math.sqrt(5), abs=1e-12)


def test_two_sentences_are_too_few() -> None:
    with pytest.raises(ValueError, match="at least 3, got 2"):
        information_bounds(*draw(2, 4))


@pytest.mark.parametrize("where", [0, 1, 2])
def test_a_nan_is_named(where: int) -> None:
    posteriors = list(draw(5, 2))
    posteriors[where][3, 1] = math.nan
    with pytest.raises(ValueError, match=f"{('mean', 'log_variance', 'z')[where]} must be finite, got 1 entries"):
        information_bounds(*posteriors)


def test_a_variance_of_zero_is_named() -> None:
    mean, log_variance, z = draw(5, 2)
    log_variance[0] = -800.0
    with pytest.raises(ValueError, match="1 / variance must be finite, got 2 entries"):
        information_bounds(mean, log_variance, z)


def test_near_neighbours_among_narrow_posteriors_keep_their_digits() -> None:
    """A thousand pairs of nearly the same sentence at sigma 0.01: components other than the own count."""
    mean, log_variance, z = draw(2000, 64, std=0.01)
    mean[1000:] = mean[:1000] + 1e-3 * mean[1000:]
    z = DiagonalGaussian(mean, log_variance).sample((z - z.mean(0)) / z.std(0))
    bounds = information_bounds(mean, log_variance, z)
    lower, upper = direct(mean, log_variance, z)
    assert lower < math.log(2000) - 0.1
    assert bounds.lower.value == pytest.approx(lower, abs=1e-5)
    assert bounds.upper.value == pytest.approx(upper, abs=1e-5)
