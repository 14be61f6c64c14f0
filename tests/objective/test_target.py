"""A rate asked for in nats: one step by hand, and a simulated model steered to it from either side."""

import json
import math

import pytest

from textlatent.objective.target import TargetRate


def test_one_step_by_hand() -> None:
    """Rate 12 for 10, gain 0.02: ln beta rises by 0.02 * 0.2. Then rate 4 in a window of decay 1/2."""
    target = TargetRate(10.0, gain=0.02, decay=0.5, beta_start=0.5)
    assert math.isnan(target.running_rate)
    target.observe(12.0 * 8, 8)
    assert target.running_rate == 12.0
    assert target.multiplier == pytest.approx(math.log(0.5) + 0.004, abs=1e-15)
    assert target.beta == pytest.approx(0.5 * math.exp(0.004), rel=1e-14)
    target.observe(4.0 * 4, 4)
    assert target.running_rate == pytest.approx((48 + 16) / (4 + 4), abs=1e-14)
    assert target.multiplier == pytest.approx(math.log(0.5) + 0.004 - 0.02 * 0.2, abs=1e-15)


def test_the_window_is_a_mean_over_sentences_not_over_steps() -> None:
    """A step of 90 sentences at 1 nat and one of 10 at 11: nearly 2 nats, not 6."""
    target = TargetRate(5.0, decay=1.0)
    target.observe(90.0, 90)
    target.observe(110.0, 10)
    assert target.running_rate == pytest.approx(2.0, abs=1e-14)


@pytest.mark.parametrize("rate", [0.0, 1e9])
def test_a_rate_far_away_moves_beta_by_the_gain_and_no_more(rate: float) -> None:
    target = TargetRate(3.0, gain=0.02)
    target.observe(rate, 1)
    assert abs(target.multiplier) == pytest.approx(0.02, abs=1e-15)
    assert (target.multiplier > 0) == (rate > 3.0)


@pytest.mark.parametrize("beta_start", [1e-3, 1.0, 50.0])
@pytest.mark.parametrize("sensitivity", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("wanted", [0.5, 8.0])
def test_a_simulated_model_is_steered_to_the_rate_from_both_sides(
    wanted: float, sensitivity: float, beta_start: float
) -> None:
    """A model that follows rate(beta) = 4 beta^-s with a lag of 30 steps: the equality holds, beta stays above 0."""
    target = TargetRate(wanted, beta_start=beta_start)
    rate = 4.0 * beta_start**-sensitivity
    smallest = target.beta
    for _ in range(6000):
        rate += (4.0 * target.beta**-sensitivity - rate) / 30
        target.observe(rate * 32, 32)
        smallest = min(smallest, target.beta)
    assert smallest > 0.0
    assert rate == pytest.approx(wanted, rel=0.01)
    assert target.running_rate == pytest.approx(wanted, rel=0.01)
    assert target.beta == pytest.approx((4.0 / wanted) ** (1 / sensitivity), rel=0.05)


@pytest.mark.parametrize(("wanted", "reached", "beta"), [(8.0, 8.0, 0.5), (0.5, 4.0, 1.0)])
def test_a_minimum_is_a_target_from_below_alone(wanted: float, reached: float, beta: float) -> None:
    """A model whose rate is 4 / beta: 8 nats need beta 1/2; with 0.5 asked for, its own 4 are left alone, beta 1."""
    target = TargetRate(wanted, minimum=True)
    rate = 4.0
    for _ in range(3000):
        rate += (4.0 / target.beta - rate) / 30
        target.observe(rate * 32, 32)
        assert target.beta <= 1.0
    assert rate == pytest.approx(reached, rel=0.01)
    assert target.beta == pytest.approx(beta, rel=0.02)
    assert target.meets(0.95 * wanted, tolerance=0.1)
    assert target.meets(9 * wanted, tolerance=0.1)
    assert not target.meets(0.85 * wanted, tolerance=0.1)
    assert not TargetRate(wanted).meets(1.2 * wanted, tolerance=0.1)


def test_a_state_survives_json_to_the_bit() -> None:
    target, other = TargetRate(7.3), TargetRate(7.3)
    for step in range(50):
        target.observe(3.1 + step / 7, 3)
    other.load_state_dict(json.loads(json.dumps(target.state_dict())))
    for step in range(5):
        for each in (target, other):
            each.observe(10.0 / (step + 3), 2)
    assert other.state_dict() == target.state_dict()
    assert other.beta == target.beta
