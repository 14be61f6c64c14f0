"""beta against tables made by hand."""

import pytest

from textlatent.objective.schedule import SCHEDULES, beta_at


def table(steps: range, **settings: object) -> list[float]:
    return [beta_at(step, **settings) for step in steps]


def test_constant() -> None:
    assert table(range(4), beta=0.3) == [0.3] * 4


def test_linear() -> None:
    """From 0 to 2 in 4 steps, then held; from 0.5 to 1 in 2."""
    assert table(range(7), beta=2.0, schedule="linear", schedule_steps=4) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    rising = table(range(4), beta=1.0, schedule="linear", schedule_steps=2, beta_start=0.5)
    assert rising == [0.5, 0.75, 1.0, 1.0]
    falling = table(range(4), beta=0.0, schedule="linear", schedule_steps=2, beta_start=1.0)
    assert falling == [1.0, 0.5, 0.0, 0.0]


def test_cyclical() -> None:
    """Two cycles of 8 steps, rising over the first half of each (Fu et al. 2019, figure 1), then held for good."""
    cycle = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0]
    settings = {"beta": 1.0, "schedule": "cyclical", "schedule_steps": 16, "cycles": 2}
    assert table(range(18), **settings) == cycle * 2 + [1.0, 1.0]


def test_cyclical_with_another_ramp_and_start() -> None:
    """One cycle of 4 steps whose whole length rises, from 1 to 3."""
    settings = {"beta": 3.0, "beta_start": 1.0, "schedule": "cyclical", "schedule_steps": 4, "cycles": 1, "ramp": 1.0}
    assert table(range(6), **settings) == [1.0, 1.5, 2.0, 2.5, 3.0, 3.0]


@pytest.mark.parametrize("cycles", [3, 7])
def test_every_cycle_starts_anew_where_steps_do_not_divide(cycles: int) -> None:
    """1,000 steps in 3 or 7 cycles: the first step at or after each k/M of the whole is low."""
    settings = {"beta": 1.0, "schedule": "cyclical", "schedule_steps": 1000, "cycles": cycles}
    for k in range(1, cycles):
        start = -(-k * 1000 // cycles)
        assert beta_at(start, **settings) < 2 * cycles / 1000
        assert beta_at(start - 1, **settings) == 1.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_after_its_steps_every_schedule_is_at_beta(schedule: str) -> None:
    assert beta_at(100, beta=0.7, schedule=schedule, schedule_steps=100, beta_start=0.1) == 0.7


def test_cyclical_with_a_zero_phase() -> None:
    """Optimus: one cycle of 8 steps, half of it without a charge, a quarter rising, a quarter held."""
    settings = {"beta": 1.0, "schedule": "cyclical", "schedule_steps": 8, "cycles": 1, "zero": 0.5, "ramp": 0.25}
    assert table(range(9), **settings) == [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]
    twice = table(range(16), **settings | {"cycles": 2, "schedule_steps": 16})
    assert twice == [0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0] * 2


def test_the_zero_phase_is_at_zero_wherever_the_rise_starts() -> None:
    settings = {"beta": 1.0, "beta_start": 0.5, "schedule": "cyclical", "schedule_steps": 4, "cycles": 1, "zero": 0.5}
    assert table(range(5), **settings) == [0.0, 0.0, 0.5, 0.75, 1.0]
