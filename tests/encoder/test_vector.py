"""The two variances of a vector's posterior, and the point."""

import pytest
import torch
from torch import nn

from textlatent.encoder.vector import VectorEncoder, VectorPoint

VECTORS = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 0.0, 5.0]])


def _point(outputs: int) -> VectorPoint:
    torch.manual_seed(0)
    centre, scale = torch.tensor([1.0, 1.0, 4.0]), torch.tensor([2.0, 1.0, 0.5])
    return VectorPoint(nn.Linear(3, outputs), size=3, centre=centre, scale=scale)


def test_a_point_is_the_network_of_the_standardised_row() -> None:
    point = _point(2)
    standardised = torch.tensor([[0.0, 1.0, -2.0], [-1.0, -1.0, 2.0]])
    torch.testing.assert_close(point(VECTORS), point.network(standardised))


def test_each_row_its_own_variance() -> None:
    point = _point(4)
    found = VectorEncoder(point, latent_size=2, log_variance_bias=-3.0)(VECTORS)
    torch.testing.assert_close(found.mean, point(VECTORS)[:, :2])
    torch.testing.assert_close(found.log_variance, point(VECTORS)[:, 2:] - 3.0)


def test_one_variance_for_all_rows() -> None:
    encoder = VectorEncoder(_point(2), latent_size=2, variance="shared", log_variance_bias=-3.0)
    assert encoder.log_variance is not None
    with torch.no_grad():
        encoder.log_variance.copy_(torch.tensor([0.5, 1.0]))
    assert encoder(VECTORS).log_variance.tolist() == [[-2.5, -2.0]] * 2


def test_an_unknown_variance() -> None:
    with pytest.raises(ValueError, match="variance must be one of row, shared, got 'none'"):
        VectorEncoder(_point(2), latent_size=2, variance="none")
