"""Reverse water-filling against the minimum it claims to be, found by search."""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.water_filling import reverse_water_filling


def test_one_component_by_hand() -> None:
    found = reverse_water_filling(torch.tensor([4.0, 0.1], dtype=torch.float64), lam=0.5)
    assert found.rate.tolist() == pytest.approx([math.log(2.0), 0.0], abs=1e-15)
    assert found.distortion.tolist() == pytest.approx([1.0, 0.1], abs=1e-15)


@pytest.mark.parametrize("lam", [0.2, 1.0, 5.0])
def test_no_division_of_the_distortion_costs_less(lam: float) -> None:
    """The definition: min over D_i <= s_i^2 of sum_i 1/2 ln(s_i^2 / D_i) + lam D_i, by a grid of each D_i."""
    variance = torch.tensor([3.0, 1.0, 0.3]).double()
    grid = torch.linspace(1e-4, 1.0, 20_001).double()[:, None] * variance  # [G, 3]
    searched = (0.5 * (variance / grid).log() + lam * grid).min(0).values
    found = reverse_water_filling(variance, lam=lam)
    torch.testing.assert_close(found.rate + lam * found.distortion, searched, atol=1e-6, rtol=0.0)


def test_the_slope_of_r_of_d_is_minus_lam() -> None:
    variance = torch.tensor([3.0, 1.0, 0.3]).double()

    def point(lam: float) -> tuple[Tensor, Tensor]:
        found = reverse_water_filling(variance, lam=lam)
        return found.rate.sum(), found.distortion.sum()

    (rate, distortion), (more, less) = point(0.9), point(0.9 + 1e-6)
    assert ((more - rate) / (less - distortion)).item() == pytest.approx(-0.9, rel=1e-5)


def test_a_component_without_variance_costs_nothing() -> None:
    found = reverse_water_filling(torch.zeros(2).double(), lam=3.0)
    assert found.rate.tolist() == found.distortion.tolist() == [0.0, 0.0]


def test_faults() -> None:
    with pytest.raises(ValueError, match="lam must be > 0, got 0"):
        reverse_water_filling(torch.ones(1), lam=0.0)
    with pytest.raises(ValueError, match="variances must be >= 0, got -1"):
        reverse_water_filling(torch.tensor([-1.0]), lam=1.0)
