"""A player's gradient against its mean and variance by definition."""

import math

import pytest
import torch

from textlatent.diagnostics.players import GradientSums


def test_norm_and_noise_by_hand() -> None:
    """Gradients (1, 0), (3, 0), (2, 3): mean (2, 1); variances 1 and 3, over 3 batches: noise sqrt(4/3)."""
    sums = GradientSums("encoder")
    for x, y in ((1.0, 0.0), (3.0, 0.0), (2.0, 3.0)):
        sums.add([torch.tensor([x]), torch.tensor([[y]])])
    found = sums.close()
    assert found.norm == pytest.approx(math.sqrt(5), rel=1e-12)
    assert found.noise == pytest.approx(math.sqrt(4 / 3), rel=1e-12)
    assert found.single == pytest.approx(math.sqrt((1 + 9 + 13) / 3), rel=1e-12)
    assert found.systematic == pytest.approx(math.sqrt(5 - 4 / 3), rel=1e-12)
    assert (found.batches, found.parameters, found.at_rest) == (3, 2, True)


def test_chance_alone_is_at_rest_and_a_push_is_not() -> None:
    """400 batches of N(0, I) in 50 dimensions, then the same with a mean of 0.2 in each."""
    noise = torch.randn(400, 50, generator=torch.Generator().manual_seed(0))
    for push, rest in ((0.0, True), (0.2, False)):
        sums = GradientSums("codebook")
        for row in noise + push:
            sums.add([row])
        found = sums.close()
        assert found.at_rest is rest
        assert found.noise == pytest.approx(math.sqrt(50 / 400), rel=0.05)
        assert found.to_dict()["player"] == "codebook"


def test_errors() -> None:
    sums = GradientSums("decoder")
    sums.add([torch.ones(2)])
    with pytest.raises(ValueError, match="needs at least 2 batches, got 1"):
        sums.close()
    with pytest.raises(ValueError, match="the gradient of the decoder is not finite"):
        sums.add([torch.tensor([math.nan, 1.0])])
