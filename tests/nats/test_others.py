"""The mixture enlarged by other sentences' posteriors: by definition, by the slow two-sample jackknife, by its spread.

The drift (do the others stand for the same population?) is recomputed from its definition too.
"""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.bounds import information_bounds
from textlatent.nats.gaussian import DiagonalGaussian

Posteriors = tuple[Tensor, Tensor]


def draw(
    count: int, *, seed: int, size: int = 2, std: float = 0.5, centre: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Posteriors of `count` random sentences and one z of each."""
    generator = torch.Generator().manual_seed(seed)
    mean, noise = torch.randn(2, count, size, generator=generator, dtype=torch.float64)
    log_variance = 2 * math.log(std) + 0.3 * torch.randn(count, size, generator=generator, dtype=torch.float64)
    mean = mean + centre
    return mean, log_variance, DiagonalGaussian(mean, log_variance).sample(noise)


def direct(posteriors: tuple[Tensor, Tensor, Tensor], others: Posteriors) -> tuple[float, float, float]:
    """Lower bound, upper bound and drift by their definitions, sentence by sentence (the oracle)."""
    mean, log_variance, z = posteriors
    count, extra = len(z), len(others[0])
    mixture = DiagonalGaussian(torch.cat([mean, others[0]]), torch.cat([log_variance, others[1]]))
    lower, upper, share = [], [], []
    for i in range(count):
        density = mixture.log_prob(z[i]).exp()
        own, rest = density[i], density[torch.arange(len(density)) != i].sum()
        lower.append((own / (density.sum() / (count + extra))).log())
        upper.append((own / (rest / (count - 1 + extra))).log())
        share.append(density[:count][torch.arange(count) != i].sum() / rest)
    drift = math.log(torch.stack(share).mean().item() * (count - 1 + extra) / (count - 1))
    low, high = (torch.stack(terms).mean().item() for terms in (lower, upper))
    return low - max(0.0, drift), high, drift


def slow_errors(posteriors: tuple[Tensor, Tensor, Tensor], others: Posteriors) -> list[float]:
    """The two-sample jackknife of both bounds and the drift, recomputed from nothing."""
    count, extra = len(posteriors[0]), len(others[0])
    kept = [torch.arange(count) != k for k in range(count)]
    rest = [torch.arange(extra) != m for m in range(extra)]
    by_sentence = [direct(tuple(x[rows] for x in posteriors), others) for rows in kept]
    by_other = [direct(posteriors, tuple(x[rows] for x in others)) for rows in rest]
    errors = []
    for side in range(3):
        parts = [torch.tensor([found[side] for found in each], dtype=torch.float64) for each in (by_sentence, by_other)]
        errors.append(math.sqrt(sum((len(p) - 1) * p.var(correction=0).item() for p in parts)))
    return errors


@pytest.mark.parametrize("centre", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("chunk", [None, 2])
def test_bounds_drift_and_errors_are_their_definitions(centre: float, chunk: int | None) -> None:
    posteriors, others = draw(5, seed=1), draw(4, seed=2, centre=centre)[:2]
    found = information_bounds(*posteriors, others=DiagonalGaussian(*others), chunk=chunk)
    assert found.drift is not None
    estimates = (found.lower, found.upper, found.drift)
    for estimate, value, error in zip(
        estimates, direct(posteriors, others), slow_errors(posteriors, others), strict=True
    ):
        assert estimate.value == pytest.approx(value, abs=1e-8)
        assert estimate.se == pytest.approx(error, rel=1e-7)
    assert (found.cap, found.count, found.others) == (math.log(9), 5, 4)
    for side in ("lower", "upper"):
        whole, part = getattr(found, side).se, getattr(found, f"{side}_others_se")
        assert 0 < part < whole


def test_no_others_are_no_others() -> None:
    posteriors = draw(6, seed=0)
    alone, with_none = (
        information_bounds(*posteriors, others=others)
        for others in (None, DiagonalGaussian(torch.zeros(0, 2), torch.zeros(0, 2)))
    )
    assert alone.lower == with_none.lower
    assert (with_none.others, with_none.drift, with_none.lower_others_se) == (0, None, 0.0)


def channel(count: int, *, seed: int, gain: float, size: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Posteriors N(gain y, I) of y ~ N(0, scale^2 I) and a z of each: I(y; z) = size / 2 ln(1 + gain^2 scale^2)."""
    generator = torch.Generator().manual_seed(seed)
    y, noise = torch.randn(2, count, size, generator=generator, dtype=torch.float64)
    mean = gain * scale * y
    return mean, torch.zeros_like(mean), mean + noise


def test_more_components_close_the_bounds_and_raise_the_cap() -> None:
    """4.8 nats: fifty sentences can show 3.9 of them; with 4000 others the interval holds the truth."""
    truth = 3 / 2 * math.log(1 + 5.0**2)
    posteriors, others = channel(50, seed=0, gain=5.0, size=3), channel(4000, seed=1, gain=5.0, size=3)[:2]
    alone = information_bounds(*posteriors)
    more = information_bounds(*posteriors, others=DiagonalGaussian(*others))
    assert alone.lower.value < alone.cap < truth
    assert more.upper.value - more.lower.value < 0.5 * (alone.upper.value - alone.lower.value)
    assert more.interval[0] < truth < more.interval[1]
    assert more.interval[1] - more.interval[0] < 1.5


def test_the_error_is_the_spread_over_repeated_draws_of_sentences_and_others() -> None:
    repeats = 150
    found = [
        information_bounds(*draw(30, seed=seed), others=DiagonalGaussian(*draw(50, seed=10_000 + seed)[:2]))
        for seed in range(repeats)
    ]
    for side in ("upper", "drift", "lower"):
        values = torch.tensor([getattr(b, side).value for b in found], dtype=torch.float64)
        errors = torch.tensor([getattr(b, side).se for b in found], dtype=torch.float64)
        # Errors of a standard deviation from R values; the jackknife errs upwards, of a quadratic form (the drift of
        # others of the same population is one) up to twice in variance.
        slack, above = 4 / math.sqrt(2 * repeats), 1.1 if side == "upper" else 1.5
        assert (1 - slack) * values.std() < errors.square().mean().sqrt() < (above + slack) * values.std(), side
    drift = torch.tensor([b.drift.value for b in found], dtype=torch.float64)
    assert abs(drift.mean()) < 4 * drift.std() / math.sqrt(repeats) + 0.5 * drift.var(), "E ln c is below ln E c"


@pytest.mark.parametrize("scale", [0.0, 1.0, 4.0])
def test_the_bounds_hold_for_others_of_any_population(scale: float) -> None:
    """Others all at 0, of the same population, or four times as wide: the truth stays between, on average."""
    truth = math.log(1 + 2.0**2)
    found = [
        information_bounds(
            *channel(40, seed=seed, gain=2.0, size=2),
            others=DiagonalGaussian(*channel(120, seed=5_000 + seed, gain=2.0, size=2, scale=scale)[:2]),
        )
        for seed in range(40)
    ]
    for side, sign in (("lower", 1), ("upper", -1)):
        values = torch.tensor([getattr(b, side).value for b in found], dtype=torch.float64)
        assert sign * (values.mean() - truth) < 3 * values.std() / math.sqrt(len(values)), side


def test_without_the_drift_the_lower_bound_would_be_too_high() -> None:
    """Others that explain nothing: ln((N + M) / N) nats would be won for naught."""
    posteriors = channel(60, seed=0, gain=2.0, size=2)
    far = DiagonalGaussian(torch.full((540, 2), 1e3), torch.zeros(540, 2))
    alone, found = information_bounds(*posteriors), information_bounds(*posteriors, others=far)
    assert found.drift is not None
    assert found.drift.value == pytest.approx(math.log((59 + 540) / 59), abs=1e-9)
    assert found.lower.value + found.drift.value > math.log(1 + 2.0**2)
    assert found.lower.value == pytest.approx(alone.lower.value, abs=2 / 60)


def test_a_component_that_is_nearly_a_whole_row_can_leave() -> None:
    """Sentence 1, and then another, is e^200 times likelier than sentence 0 itself at z_0."""
    for where in (1, 6):
        log_variance = torch.zeros(8, 64, dtype=torch.float64)
        log_variance[where] = -2 * 200 / 64
        mean = torch.zeros_like(log_variance)
        mean[2:6] = torch.randn(4, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        mean[7] = mean[6] = 0.01
        found = information_bounds(
            mean[:6], log_variance[:6], mean[:6], others=DiagonalGaussian(mean[6:], log_variance[6:])
        )
        for estimate in (found.lower, found.upper, found.drift):
            assert math.isfinite(estimate.value)
            assert math.isfinite(estimate.se)


def test_others_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="others must have 2 dimensions, as these sentences have, got 3"):
        information_bounds(*draw(5, seed=0), others=DiagonalGaussian(torch.zeros(4, 3), torch.zeros(4, 3)))
    bad = torch.zeros(4, 2)
    bad[1, 1] = math.nan
    with pytest.raises(ValueError, match="mean must be finite, got 1 entries"):
        information_bounds(*draw(5, seed=0), others=DiagonalGaussian(bad, torch.zeros(4, 2)))
