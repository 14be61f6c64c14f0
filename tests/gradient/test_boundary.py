"""Oracles: the exact gradient, and the noise counted on a fine grid."""

import pytest
import torch

from tests.gradient.estimators import LOGITS, cubic, exact, gradient, values
from textlatent.gradient.boundary import boundary, boundary_shift, jump_measure, kept


def test_the_ends_of_the_intervals_carry_the_whole_gradient() -> None:
    found = gradient(lambda logits: boundary(logits.softmax(-1), values(cubic, 3)), LOGITS)
    torch.testing.assert_close(found, exact(LOGITS, cubic), rtol=0, atol=1e-14)


def test_the_order_of_the_words_does_not_matter() -> None:
    order = torch.tensor([2, 0, 1])
    shuffled = gradient(lambda logits: boundary(logits.softmax(-1)[order], values(cubic, 3)[order]), LOGITS)
    torch.testing.assert_close(shuffled, exact(LOGITS, cubic), rtol=0, atol=1e-14)


def test_measures_by_hand() -> None:
    before, after = torch.tensor([0.5, 0.25, 0.25]), torch.tensor([0.4, 0.45, 0.15])
    assert float(boundary_shift(before, after)) == pytest.approx(0.2)  # |0.4 - 0.5| + |0.85 - 0.75|
    assert float(jump_measure(before, after)) == pytest.approx(0.2)
    assert kept(before, after).tolist() == pytest.approx([0.4, 0.25, 0.15])
    assert float(jump_measure(before, before)) == 0.0


def test_a_large_change_counts_no_noise_twice() -> None:
    """All the mass moves by two words: the ends pass over it twice, but it jumps once."""
    before, after = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    assert float(boundary_shift(before, after)) == 2.0
    assert float(jump_measure(before, after)) == 1.0


def test_the_measure_is_what_a_grid_counts() -> None:
    torch.manual_seed(0)
    before, after = torch.randn(2, 6).double().softmax(-1)
    grid = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    words = [torch.searchsorted(p.cumsum(-1), grid, right=True) for p in (before, after)]
    counted = (words[0] != words[1]).double().mean()
    assert float(jump_measure(before, after)) == pytest.approx(float(counted), abs=2e-5)
