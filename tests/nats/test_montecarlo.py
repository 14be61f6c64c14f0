"""Averages of samples, against their definitions in plain arithmetic."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from textlatent.nats.montecarlo import (
    effective_sample_size,
    log_importance_weights,
    log_mean_exp,
    mean_with_error,
)


def test_mean_and_error_by_hand() -> None:
    """1, 2, 3, 6: mean 3, sum of squares 14, sd sqrt(14/3), se = sd / 2."""
    estimate = mean_with_error(torch.tensor([1.0, 2.0, 3.0, 6.0]))
    assert estimate.value == 3.0
    assert estimate.se == pytest.approx(math.sqrt(14 / 3) / 2, rel=1e-15)
    assert estimate.count == 4


def test_a_mean_is_summed_in_float64() -> None:
    """10^5 times 0.1 in float32 is 0.1's own float32 value; a float32 sum would have lost its last digits."""
    tenth = torch.tensor(0.1)
    assert mean_with_error(tenth.repeat(100_000)).value == pytest.approx(tenth.double().item(), abs=1e-14)


def test_the_error_of_one_value_is_not_known() -> None:
    estimate = mean_with_error(torch.tensor([2.0]))
    assert estimate.value == 2.0
    assert math.isnan(estimate.se)
    assert estimate.count == 1


def test_no_values_have_no_mean() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        mean_with_error(torch.zeros(0))


def test_the_standard_error_covers() -> None:
    """Of 400 means of 50 values, 95 % lie within 2 standard errors (94.9 % by Student; 4 sd of 400 are 4.4 %)."""
    draws = torch.randn(400, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    estimates = [mean_with_error(row) for row in draws]
    covered = sum(abs(e.value) < 2 * e.se for e in estimates) / 400
    assert 0.905 < covered < 0.993


def test_log_mean_exp_is_its_definition() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(log_mean_exp(x), x.exp().mean(0).log(), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(log_mean_exp(x, 1), x.exp().mean(1).log(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_log_mean_exp_does_not_overflow(shift: float) -> None:
    """Of shift and shift + ln 3 it is shift + ln 2; a probability of 0 counts as a sample."""
    x = torch.tensor([shift, shift + math.log(3.0)], dtype=torch.float64)
    assert log_mean_exp(x).item() == pytest.approx(shift + math.log(2.0), abs=1e-11)
    with_zero = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    assert log_mean_exp(with_zero).item() == pytest.approx(-math.log(2.0), abs=1e-15)


def test_importance_weights_are_the_ratio() -> None:
    """P_pri = 1/2, P_dec = 1/3, P_enc = 1/4: w = 2/3."""
    half, third, quarter = (torch.full((1, 2), math.log(p), dtype=torch.float64) for p in (1 / 2, 1 / 3, 1 / 4))
    weights = log_importance_weights(quarter, half, third)
    torch.testing.assert_close(weights.exp(), torch.full((1, 2), 2 / 3, dtype=torch.float64), rtol=1e-14, atol=0)


def test_effective_sample_size_by_hand() -> None:
    """Equal weights: S. One weight alone: 1. Weights 1 and 3: 16 / 10."""
    weights = torch.tensor([[5.0, 1.0, 1.0], [5.0, 0.0, 3.0]], dtype=torch.float64)
    expected = torch.tensor([2.0, 1.0, 1.6], dtype=torch.float64)
    torch.testing.assert_close(effective_sample_size(weights.log()), expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("shift", [-2000.0, 2000.0])
def test_effective_sample_size_has_no_unit(shift: float) -> None:
    weights = torch.randn(7, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(
        effective_sample_size(weights + shift), effective_sample_size(weights), rtol=1e-11, atol=0
    )


def test_weights_of_different_shapes_are_refused() -> None:
    with pytest.raises(TypeCheckError):
        log_importance_weights(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(3, 2))
