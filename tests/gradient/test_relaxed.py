"""Oracles: enumeration where a word is drawn, quadrature over the noise of two words where noise is continuous."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.gradient.estimators import LOGITS, affine, cubic, enumerated, exact, gradient, quadratic
from textlatent.gradient.relaxed import gumbel, gumbel_softmax, reinmax, straight_through, straight_through_gumbel

TWO = LOGITS[:2]


def _logistic_grid(count: int = 400) -> tuple[Tensor, Tensor]:
    """Noise [n, 2] and weights: g_1 - g_2 is Logistic(0, 1), all that two words feel of their Gumbel noise."""
    place, weight = np.polynomial.legendre.leggauss(count)
    uniform = torch.from_numpy(0.5 * (place + 1.0))
    return torch.stack([uniform.logit(), torch.zeros_like(uniform)], 1), torch.from_numpy(0.5 * weight)


def _by_quadrature(relaxation: Callable[..., Tensor], cost: Callable[[Tensor], Tensor], temperature: float) -> Tensor:
    """E of the gradient; a jump of the integrand is an end of a panel."""
    noise, weight = _logistic_grid()
    ends = torch.tensor([0.0, float(torch.sigmoid(TWO[1] - TWO[0])), 1.0], dtype=torch.float64)
    total = torch.zeros(2, dtype=torch.float64)
    for low, high in zip(ends, ends[1:], strict=False):
        uniform = low + (high - low) * noise[:, 0].sigmoid()
        panel = torch.stack([uniform.logit(), torch.zeros_like(uniform)], 1)
        share = weight * (high - low)

        def mean(logits: Tensor, panel: Tensor = panel, share: Tensor = share) -> Tensor:
            rows = relaxation(logits.expand(len(panel), -1), panel, temperature=temperature)
            return (share * cost(rows)).sum()

        total += gradient(mean, TWO)
    return total


@pytest.mark.parametrize(("cost", "unbiased"), [(affine, True), (quadratic, False), (cubic, False)])
def test_straight_through_is_unbiased_for_affine_costs_alone(cost: Callable[[Tensor], Tensor], unbiased: bool) -> None:
    found, _ = enumerated(lambda logits, word: cost(straight_through(logits.expand(1, -1), word)).sum(), LOGITS)
    bias = (found - exact(LOGITS, cost)).norm()
    assert bias < 1e-12 if unbiased else bias > 0.1


@pytest.mark.parametrize(("cost", "unbiased"), [(affine, True), (quadratic, True), (cubic, False)])
def test_reinmax_is_unbiased_for_quadratic_costs(cost: Callable[[Tensor], Tensor], unbiased: bool) -> None:
    found, _ = enumerated(lambda logits, word: cost(reinmax(logits.expand(1, -1), word)).sum(), LOGITS)
    bias = (found - exact(LOGITS, cost)).norm()
    assert bias < 1e-12 if unbiased else bias > 0.1


def test_the_value_is_the_word() -> None:
    torch.manual_seed(0)
    logits, word = torch.randn(20, 5).double(), torch.randint(5, (20,))
    want = torch.nn.functional.one_hot(word, 5).double()
    for rows in (straight_through(logits, word), reinmax(logits, word)):
        torch.testing.assert_close(rows, want, rtol=0, atol=1e-15)
    noise = gumbel(torch.rand(20, 5).double())
    hard = straight_through_gumbel(logits, noise, temperature=0.3)
    torch.testing.assert_close(
        hard, torch.nn.functional.one_hot((logits + noise).argmax(-1), 5).double(), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("temperature", [0.2, 0.5, 1.0])
def test_the_bias_of_gumbel_softmax_by_quadrature(temperature: float) -> None:
    """It vanishes with the temperature; at 1 an affine cost is still biased, for softmax is not one-hot."""
    bias = {
        t: (_by_quadrature(gumbel_softmax, quadratic, t) - exact(TWO, quadratic)).norm() for t in (0.05, temperature)
    }
    assert bias[0.05] < bias[temperature]
    assert bias[temperature] > 1e-3


def test_the_bias_of_gumbel_softmax_is_that_of_its_definition() -> None:
    """d/dx of int f(sigmoid((x + logit u) / t)) du by central differences, x the difference of two logits."""
    temperature, step = 0.5, 1e-5
    noise, weight = _logistic_grid(2000)

    def mean(shift: float) -> float:
        first = ((TWO[0] - TWO[1] + shift + noise[:, 0]) / temperature).sigmoid()
        return float((weight * quadratic(torch.stack([first, 1.0 - first], 1))).sum())

    slope = (mean(step) - mean(-step)) / (2 * step)
    found = _by_quadrature(gumbel_softmax, quadratic, temperature)
    assert found[0].item() == pytest.approx(slope, abs=1e-6)
    assert found.sum().item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_bias_of_straight_through_gumbel_by_quadrature(temperature: float) -> None:
    """For an affine cost its gradient is Gumbel-softmax's own; for a curved one it is another."""
    hard, soft = (_by_quadrature(each, affine, temperature) for each in (straight_through_gumbel, gumbel_softmax))
    torch.testing.assert_close(hard, soft, rtol=0, atol=1e-9)
    assert (hard - exact(TWO, affine)).norm() > 1e-2
    curved = [_by_quadrature(each, cubic, temperature) for each in (straight_through_gumbel, gumbel_softmax)]
    assert (curved[0] - curved[1]).norm() > 1e-2


def test_the_argmax_of_gumbel_noise_is_a_draw() -> None:
    torch.manual_seed(0)
    count, p = 200_000, LOGITS.softmax(-1)
    drawn = (LOGITS + gumbel(torch.rand(count, 3, dtype=torch.float64))).argmax(-1)
    observed = torch.bincount(drawn, minlength=3).double()
    chi_square = ((observed - count * p).square() / (count * p)).sum()
    assert chi_square < 13.8  # 0.999 quantile at 2 degrees of freedom


def test_a_temperature_is_positive() -> None:
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        gumbel_softmax(LOGITS, LOGITS, temperature=0.0)
