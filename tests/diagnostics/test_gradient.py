"""Oracle: draws of a normal law whose mean and variance are known."""

import pytest
import torch

from textlatent.diagnostics.gradient import measure_gradient


def test_a_bias_is_found_without_that_of_its_own_estimate() -> None:
    torch.manual_seed(0)
    exact = torch.ones(20, dtype=torch.float64)
    shift = torch.zeros(20, dtype=torch.float64)
    shift[0] = 0.5
    for off, is_biased in ((shift, True), (0.0 * shift, False)):
        many = [measure_gradient(exact + off + torch.randn(30, 20).double(), exact) for _ in range(200)]
        squares = torch.tensor([each.bias_square for each in many])
        assert float(squares.mean()) == pytest.approx(0.25 * is_biased, abs=4 * float(squares.std()) / 200**0.5)
        errors = torch.tensor([each.bias_square_se for each in many])
        ratio = float(errors.mean()) / float(
            squares.std()
        )  # the jackknife is sqrt 2 too careful where there is no bias
        assert 0.8 < ratio < 1.3 if is_biased else 1.2 < ratio < 1.7
        assert torch.tensor([each.variance for each in many]).mean().item() == pytest.approx(20.0, rel=0.05)
    assert not any(each.biased for each in many)


def test_one_estimate_is_taken_at_its_word() -> None:
    found = measure_gradient(torch.zeros(1, 3), torch.tensor([3.0, 4.0, 0.0]))
    assert (found.norm, found.exact_norm, found.bias, found.variance, found.biased) == (0.0, 5.0, 5.0, 0.0, True)
    same = measure_gradient(torch.zeros(1, 3), torch.zeros(3))
    assert (same.bias, same.biased) == (0.0, False)


def test_no_estimates() -> None:
    with pytest.raises(ValueError, match="at least one estimate"):
        measure_gradient(torch.zeros(0, 3), torch.zeros(3))
