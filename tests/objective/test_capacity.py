"""weight |R - C|: its slope by hand, its rise, and where it leads a rate that follows it."""

import json

import pytest

from textlatent.objective.capacity import Capacity


def test_the_slope_by_hand() -> None:
    """Nothing before the first step; rate 4 of C = 5 is pulled up, 6 pressed down, 5 left alone."""
    capacity = Capacity(5.0, weight=2.0, decay=0.0)
    assert capacity.beta(0) == 0.0
    found = []
    for rate in (4.0, 6.0, 5.0):
        capacity.observe(3 * rate, 3)
        found.append(capacity.beta(1))
    assert found == [-2.0, 2.0, 0.0]


def test_the_rate_is_a_decaying_mean_over_sentences() -> None:
    """Sums 10 of 2 sentences, then 8 of 4, decay 0.5: (5 + 8) / (1 + 4)."""
    capacity = Capacity(5.0, decay=0.5)
    capacity.observe(10.0, 2)
    capacity.observe(8.0, 4)
    assert capacity.running_rate == 2.6


def test_the_capacity_rises_linearly_from_nothing() -> None:
    rising = Capacity(6.0, steps=3)
    assert [rising.at(step) for step in range(5)] == [0.0, 2.0, 4.0, 6.0, 6.0]
    rising.observe(3.0, 1)
    assert [rising.beta(step) for step in range(4)] == [1.0, 1.0, -1.0, -1.0]


@pytest.mark.parametrize("start", [0.1, 12.0])
def test_a_rate_that_follows_its_slope_ends_at_the_capacity(start: float) -> None:
    """R <- R - 0.05 (beta - 0.3), a distortion that would have more of it: within the swing that the window allows."""
    capacity, rate, seen = Capacity(5.0), start, []
    for step in range(1000):
        rate -= 0.05 * (capacity.beta(step) - 0.3)
        capacity.observe(7 * rate, 7)
        seen.append(rate)
    assert sum(seen[-200:]) / 200 == pytest.approx(5.0, abs=0.2)
    assert max(abs(rate - 5.0) for rate in seen[-200:]) < 1.0


def test_its_state_survives_json() -> None:
    one, other = Capacity(5.0), Capacity(5.0)
    one.observe(0.1, 3)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert (other.running_rate, other.beta(0)) == (one.running_rate, one.beta(0))
