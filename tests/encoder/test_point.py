"""The point encoder: what it pools, what padding does to it, and whose weights it shares."""

import pytest
import torch

from tests.tiny import SENTENCES, backbone, batch
from textlatent.encoder.gaussian import GaussianEncoder
from textlatent.encoder.point import PointEncoder


def _point(pooling: str = "mean") -> PointEncoder:
    torch.manual_seed(0)
    return PointEncoder(backbone("bert"), latent_size=3, pooling=pooling).double().eval()


@pytest.mark.parametrize("pooling", ["mean", "max", "first", "last"])
def test_it_is_the_mean_of_a_channel_with_its_weights(pooling: str) -> None:
    """THEORY T6b: N(f(y), s^2 I) is the same encoder with a stated noise."""
    point = _point(pooling)
    channel = GaussianEncoder(backbone("bert"), latent_size=3, pooling=pooling, fixed_variance=0.04).double().eval()
    channel.load_state_dict(point.state_dict(), strict=False)
    rows = batch(SENTENCES)
    mask = torch.arange(rows["tokens"].shape[1]) < rows["lengths"][:, None]
    found = channel(rows["tokens"], mask)
    torch.testing.assert_close(point(rows["tokens"], mask), found.mean)
    torch.testing.assert_close(found.std, torch.full_like(found.std, 0.2))


def test_padding_changes_nothing() -> None:
    point = _point()
    alone, wide = batch([SENTENCES[3]]), batch([SENTENCES[3]], width=9)
    masks = [torch.arange(rows["tokens"].shape[1]) < rows["lengths"][:, None] for rows in (alone, wide)]
    torch.testing.assert_close(point(alone["tokens"], masks[0]), point(wide["tokens"], masks[1]))


def test_faults() -> None:
    with pytest.raises(ValueError, match="pooling must be one of mean, max, first, last, got 'sum'"):
        _point("sum")
    with pytest.raises(ValueError, match="a point has at least one dimension, got latent_size 0"):
        PointEncoder(backbone("bert"), latent_size=0)
