"""Codes against cluster means, by hand, and the identity that the quantiser's error splits by."""

import math

import pytest
import torch

from textlatent.diagnostics.code_means import means_against_codes


def test_by_hand() -> None:
    """Code 0 at (0, 0) stands for (1, 0) and (3, 0): mean (2, 0), distance 2, spread 1. Code 2 stands for nothing."""
    latents = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 5.0]])
    vectors = torch.tensor([[0.0, 0.0], [5.0, 5.0], [9.0, 9.0]])
    found = means_against_codes(latents, torch.tensor([0, 0, 1]), vectors)
    assert found.counts.tolist() == [2, 1, 0]
    assert found.distance[:2].tolist() == [2.0, 0.0]
    assert found.spread[:2].tolist() == [1.0, 0.0]
    assert found.relative[0].item() == 2.0
    assert math.isnan(found.relative[1])
    assert math.isnan(found.distance[2])
    assert found.off_centre == pytest.approx(8 / 10)  # 2 * 2^2 of 1 + 9
    assert found.to_dict()["relative"] == [2.0, None, None]


def test_the_error_is_spread_and_distance() -> None:
    """sum |L - C|^2 = sum_k n_k (spread_k^2 + distance_k^2); at the means nothing is off centre."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(200, 5, generator=generator, dtype=torch.float64)
    codes = torch.randint(7, (200,), generator=generator)
    vectors = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    found = means_against_codes(latents, codes, vectors)
    error = (latents - vectors[codes]).square().sum()
    torch.testing.assert_close((found.counts * (found.spread**2 + found.distance**2)).sum(), error)
    assert found.off_centre == pytest.approx((found.counts * found.distance**2).sum().item() / error.item())
    means = torch.stack([latents[codes == k].mean(0) for k in range(7)])
    settled = means_against_codes(latents, codes, means)
    assert settled.off_centre < 1e-25
    assert settled.left < found.left


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least one vector, got none"):
        means_against_codes(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), torch.zeros(1, 1))
    with pytest.raises(ValueError, match="must be finite"):
        means_against_codes(torch.full((1, 1), math.nan), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 1))
