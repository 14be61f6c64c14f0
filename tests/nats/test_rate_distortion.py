"""R(D): brute force over test channels, certificates on random sources, shape of the curve, straight pieces."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.channel import channel_information
from textlatent.nats.discrete import entropy, mutual_information
from textlatent.nats.rate_distortion import RatePoint, check_source, rate_at, rate_at_slope, rate_distortion_curve
from textlatent.nats.water_filling import reverse_water_filling

F64 = torch.float64


def problem(inputs: int, outputs: int, *, seed: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    weight = torch.rand(inputs, generator=source, dtype=F64).square() + 1e-3
    return weight / weight.sum(), 3.0 * torch.rand(inputs, outputs, generator=source, dtype=F64)


def coincides(point: RatePoint, source: Tensor, distortion: Tensor) -> None:
    """Rate and distortion are those of the channel in the result, from its definition."""
    assert torch.allclose(point.channel.sum(1), torch.ones(len(source), dtype=F64), atol=1e-12)
    assert point.rate == pytest.approx(float(channel_information(point.channel, source)), abs=1e-12)
    paid = torch.where(point.channel > 0, point.channel * distortion.nan_to_num(posinf=0.0), 0.0)
    assert point.distortion == pytest.approx(float(source @ paid.sum(1)), abs=1e-12)


def test_brute_force_over_test_channels() -> None:
    """All 2 x 2 channels on a grid: none is below the tangent, and one is nearly on it."""
    source, distortion = torch.tensor([0.3, 0.7], dtype=F64), torch.tensor([[0.1, 1.0], [0.8, 0.0]], dtype=F64)
    point = rate_at_slope(source, distortion, 2.0)
    a, b = torch.cartesian_prod(*[torch.linspace(0, 1, 401, dtype=F64)] * 2).unbind(1)
    channel = torch.stack([torch.stack([a, 1 - a], 1), torch.stack([b, 1 - b], 1)], 1)  # [G, x, y]
    spent = (source[:, None] * channel * distortion).sum((1, 2))
    rate = mutual_information(source[:, None] * channel)
    assert bool((rate >= point.lower + 2.0 * (point.distortion - spent) - 1e-12).all())
    assert float((rate + 2.0 * spent).min()) == pytest.approx(point.rate + 2.0 * point.distortion, abs=1e-5)


@pytest.mark.parametrize("batch", range(4))
def test_two_hundred_random_sources(batch: int) -> None:
    sizes = torch.Generator().manual_seed(batch)
    for i in range(50):
        inputs, outputs = (int(torch.randint(2, most + 1, (1,), generator=sizes)) for most in (60, 20))
        inputs, outputs = {0: (60, 20), 1: (20, 60)}.get(i % 5, (inputs, outputs))
        slope = float(12.0 * torch.rand(1, generator=sizes))
        source, distortion = problem(inputs, outputs, seed=1000 * batch + i)
        point = rate_at_slope(source, distortion, slope)
        assert 0.0 <= point.gap <= 1e-10
        coincides(point, source, distortion)


def test_the_curve_falls_is_convex_and_has_the_slopes_it_says() -> None:
    source, distortion = problem(8, 5, seed=1)
    curve = rate_distortion_curve(source, distortion)
    for left, right in itertools.pairwise(curve):
        assert left.rate >= right.rate - 1e-10
        assert left.distortion <= right.distortion + 1e-9
        for here, there in ((left, right), (right, left)):
            assert there.rate >= here.tangent(there.distortion) - 1e-14
    assert curve[0].distortion == pytest.approx(float(source @ distortion.min(1).values), abs=1e-12)
    assert curve[-1].rate == 0.0
    assert curve[-1].distortion == pytest.approx(float((source @ distortion).min()), abs=1e-15)
    point, step = rate_at_slope(source, distortion, 3.0), 1e-4
    ends = [rate_at(source, distortion, point.distortion + d, tolerance=1e-12).rate for d in (-step, step)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(3.0, rel=1e-4)


def test_nothing_lost_costs_the_entropy_and_log_loss_costs_what_is_left() -> None:
    """R(0) = H under Hamming; under d = -ln P(x|y) with a reproduction for every posterior, R = H - D."""
    source, _ = problem(6, 2, seed=4)
    exact = rate_at_slope(source, 1 - torch.eye(6, dtype=F64), math.inf)
    assert exact.rate == pytest.approx(float(entropy(source)), abs=1e-10)
    groups = torch.tensor([[1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1], [1] * 6], dtype=F64) * source
    posterior = groups / groups.sum(1, keepdim=True)
    loss = -posterior.log().T  # [x, y], infinite where y excludes x
    for share in (0.0, 0.3, 0.9):
        least = float(source[:2].sum() * entropy(posterior[0]) + source[2:5].sum() * entropy(posterior[1]))
        wanted = (1 - share) * least + share * float(entropy(source))
        found = rate_at(source, loss, wanted)
        assert found.gap <= 1e-9
        assert found.rate == pytest.approx(float(entropy(source)) - wanted, abs=1e-9)


@pytest.mark.parametrize("wanted", [0.0, 0.2, 0.7, 1.0])
def test_a_straight_curve(wanted: float) -> None:
    """Erasure distortion: R = (1 - D) ln q, one slope everywhere, so the point lies between two ends."""
    symbols = 4
    distortion = torch.full((symbols, symbols + 1), math.inf, dtype=F64)
    distortion.fill_diagonal_(0.0)[:, symbols] = 1.0
    source = torch.full((symbols,), 1 / symbols, dtype=F64)
    found = rate_at(source, distortion, wanted)
    assert found.gap <= 1e-9
    assert found.rate == pytest.approx((1 - wanted) * math.log(symbols), abs=1e-12)
    coincides(found, source, distortion)


@pytest.mark.parametrize("seed", range(3))
def test_a_given_distortion_is_certified_to_1e_9(seed: int) -> None:
    source, distortion = problem(12, 7, seed=seed)
    ends = rate_distortion_curve(source, distortion, slopes=[])
    for share in (0.0, 0.1, 0.6, 1.0):
        wanted = (1 - share) * ends[0].distortion + share * ends[1].distortion
        found = rate_at(source, distortion, wanted)
        assert 0.0 <= found.gap <= 1e-9
        assert found.distortion == pytest.approx(wanted, abs=1e-12)
        for other in (rate_at_slope(source, distortion, s) for s in (0.5, 2.0, 8.0)):
            assert other.rate >= found.tangent(other.distortion) - 1e-14
        coincides(found, source, distortion)


def test_a_finely_cut_gaussian_follows_its_closed_form() -> None:
    """x and y on a grid of 0.1 over +-4 s: R(D) is 1/2 ln(s^2 / D) to 1e-2 nats (entropy of the cells, cut tails)."""
    grid = torch.linspace(-4, 4, 81, dtype=F64)
    weight = torch.exp(-grid.square() / 2)
    source = weight / weight.sum()
    distortion = (grid[:, None] - grid).square()
    for lam in (1.0, 3.0):
        truth = reverse_water_filling(torch.ones(1, dtype=F64), lam=lam)
        point = rate_at_slope(source, distortion, lam)
        assert point.rate == pytest.approx(float(truth.rate), abs=1e-2)
        assert point.distortion == pytest.approx(float(truth.distortion), rel=1e-2)


def test_what_changes_nothing() -> None:
    source, distortion = problem(6, 4, seed=2)
    point = rate_at_slope(source, distortion, 2.0, tolerance=1e-12)
    halves = torch.cat([source[:1] / 2, source[:1] / 2, source[1:]]), distortion[[0, 0, 1, 2, 3, 4, 5]]
    never = torch.cat([source, torch.zeros(1, dtype=F64)]), torch.cat([distortion, torch.full((1, 4), math.inf)])
    for other in (
        (source[[5, 3, 1, 0, 2, 4]], distortion[[5, 3, 1, 0, 2, 4]]),
        (source, distortion[:, [2, 0, 3, 1]]),
        (source, distortion[:, [0, 1, 2, 3, 3]]),
        halves,
        never,
    ):
        same = rate_at_slope(*other, 2.0, tolerance=1e-12)
        assert same.rate + 2.0 * same.distortion == pytest.approx(point.rate + 2.0 * point.distortion, abs=1e-11)
    shifted = rate_at_slope(source, distortion + torch.arange(6.0)[:, None], 2.0, tolerance=1e-12)
    assert shifted.rate == pytest.approx(point.rate, abs=1e-8)  # a row's constant is paid by every code


def test_slope_zero_is_free() -> None:
    source, distortion = problem(4, 3, seed=0)
    assert rate_at_slope(source, distortion, 0.0).rate == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda p, d: rate_at_slope(p, d, -1.0), "slope must be >= 0"),
        (lambda p, d: rate_at_slope(p * 2, d, 1.0), "sum to 1"),
        (lambda p, d: check_source(p, d[:2]), "must have 4 rows"),
        (lambda p, d: rate_at_slope(p, d * math.nan, 1.0), "finite smallest entry"),
        (lambda p, d: rate_at_slope(p, d, 1.0, iterations=3), "nats open"),
        (lambda p, d: rate_at(p, d, -1.0), "the least distortion"),
        (lambda p, d: rate_at(p, torch.where(torch.eye(4) > 0, 0.0, math.inf), 0.1), "no single y"),
    ],
)
def test_what_is_no_question(call, match: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=match):
        call(*problem(4, 3, seed=0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("beyond", [0.0, 1e-16, 1e-13, 1e-9, 1e-4])
def test_near_the_least_distortion_where_the_curve_is_steep(seed: int, beyond: float) -> None:
    """The slope is infinite at the end: rounding of D must not send the search on for ever."""
    source, distortion = problem(12, 5, seed=seed)
    least = float(source @ distortion.min(1).values)
    found = rate_at(source, distortion, least + beyond)
    assert 0.0 <= found.gap <= 1e-9
    assert found.rate <= rate_at_slope(source, distortion, math.inf).rate + 1e-9
