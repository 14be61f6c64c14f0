"""The oracles themselves, on integrals and sums known by heart."""

import math

import pytest
import torch

from tests.oracles.enumeration import outcomes
from tests.oracles.quadrature import gauss_hermite


@pytest.mark.parametrize("dimensions", [1, 2])
def test_quadrature_has_the_moments_of_a_standard_normal(dimensions: int) -> None:
    """E z^(0, 2, 4, 6) = 1, 1, 3, 15, E z^odd = 0, and E exp(z) = e^(1/2) in every dimension."""
    z, log_weights = gauss_hermite(16, dimensions)
    weights = log_weights.exp()
    for power, moment in enumerate((1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0)):
        assert torch.allclose(weights @ z**power, torch.full((dimensions,), moment, dtype=z.dtype), atol=1e-11)
    assert weights @ z.sum(1).exp() == pytest.approx(math.exp(dimensions / 2), rel=1e-12)
    assert weights @ z.prod(1).square() == pytest.approx(1.0, abs=1e-12)


def test_outcomes_of_a_vocabulary_of_three_by_hand() -> None:
    """Tokens 0, 1 and EOS = 2, cut at 2 words: EOS; 0 EOS; 1 EOS; 00; 01; 10; 11."""
    tokens, lengths = outcomes(3, 2)
    rows = [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
    assert rows == [[2], [0, 2], [1, 2], [0, 0], [0, 1], [1, 0], [1, 1]]
