"""Student's t against the tables, and what it is for: an interval of a mean of three that holds the truth."""

import math

import pytest
import torch

from textlatent.nats.student import joined_degrees, ninety_five


@pytest.mark.parametrize(
    ("degrees", "table"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (120, 1.9799)]
)
def test_the_table(degrees: float, table: float) -> None:
    assert ninety_five(degrees) == pytest.approx(table, abs=1e-3)


def test_between_whole_numbers_it_falls_and_ends_at_the_normal_s() -> None:
    values = [ninety_five(degrees) for degrees in (1.0, 1.5, 2.0, 2.7, 50.0, 9_999.0, 1e6)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == ninety_five(math.nan) == ninety_five(math.inf) == 1.96


def test_the_mean_of_three_is_covered() -> None:
    """Of 10,000 means of three normal numbers 95 % (+- 0.7, 3 standard errors) lie within t; 82 % within 1.96."""
    x = torch.randn(10_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    off = (x.mean(1) / (x.std(1) / math.sqrt(3))).abs()
    assert (off < ninety_five(2)).double().mean().item() == pytest.approx(0.95, abs=0.0066)
    assert (off < 1.96).double().mean().item() < 0.84


def test_degrees_of_a_sum() -> None:
    """Two equal parts of 2 degrees have 4; a part without error adds none; a known one makes them many."""
    assert joined_degrees((0.3, 2.0), (0.3, 2.0)) == pytest.approx(4.0)
    assert joined_degrees((0.3, 2.0), (0.0, 2.0)) == pytest.approx(2.0)
    assert joined_degrees((0.3, 2.0), (3.0, math.inf)) > 1000.0
    assert math.isnan(joined_degrees((0.0, 2.0)))


def test_less_than_one_degree() -> None:
    with pytest.raises(ValueError, match="take two values or more"):
        ninety_five(0.0)
