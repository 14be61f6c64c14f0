"""Planes and densities against closed forms: points on known axes, mixtures summed by hand."""

import math

import pytest
import torch

from textlatent.diagnostics.projection import aggregate_density, principal_plane


def test_points_on_two_axes_come_back() -> None:
    """Four points at (+-2, 0, 0) and (0, 0, +-1) off (5, 5, 5): the axes are e_1 and e_3, the shares 8/10 and 2/10."""
    offsets = torch.tensor([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
    plane = principal_plane(offsets + 5.0)
    torch.testing.assert_close(plane.axes, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(plane.coordinates, offsets[:, [0, 2]])
    torch.testing.assert_close(plane.centre, torch.full((3,), 5.0, dtype=torch.float64))
    assert plane.share == pytest.approx((0.8, 0.2))


def test_the_plane_holds_what_no_other_plane_holds() -> None:
    """The variance kept is the sum of the covariance's two largest eigenvalues; the axes are orthonormal."""
    mean = torch.randn(50, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.arange(1.0, 7.0)
    plane = principal_plane(mean)
    eigenvalues = torch.linalg.eigvalsh(torch.cov(mean.T)).flip(0)
    torch.testing.assert_close(plane.coordinates.var(0), eigenvalues[:2])
    torch.testing.assert_close(plane.axes @ plane.axes.T, torch.eye(2, dtype=torch.float64))
    assert plane.share == pytest.approx(tuple((eigenvalues[:2] / eigenvalues.sum()).tolist()))
    torch.testing.assert_close((mean - plane.centre) @ plane.axes.T, plane.coordinates)


def test_one_dimension_is_a_line() -> None:
    plane = principal_plane(torch.tensor([[0.0], [3.0], [6.0]]))
    assert plane.coordinates.tolist() == [[-3.0, 0.0], [0.0, 0.0], [3.0, 0.0]]
    assert plane.share == (1.0, 0.0)


def test_means_that_do_not_differ_have_no_share() -> None:
    plane = principal_plane(torch.ones(4, 3))
    assert plane.share == (0.0, 0.0)
    assert plane.coordinates.abs().max() == 0.0


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (5, 0)])
def test_too_little_for_a_plane(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"at least 2 sentences and 1 dimension, got {shape[0]} and {shape[1]}"):
        principal_plane(torch.zeros(shape))


def test_the_aggregate_of_two_posteriors_by_hand() -> None:
    """N(0, 1) and N(2, 4) at 1: (e^-1/2 + e^-1/8 / 2) / (2 sqrt(2 pi))."""
    found = aggregate_density(torch.tensor([0.0, 2.0]), torch.tensor([0.0, math.log(4.0)]), at=torch.tensor([1.0]))
    expected = (math.exp(-0.5) + 0.5 * math.exp(-0.125)) / (2.0 * math.sqrt(2.0 * math.pi))
    assert found.tolist() == pytest.approx([expected], rel=1e-6)


def test_the_aggregate_is_a_density() -> None:
    generator = torch.Generator().manual_seed(1)
    mean, log_variance = torch.randn(2, 40, generator=generator).unbind()
    at = torch.linspace(-20.0, 20.0, 4001, dtype=torch.float64)
    assert torch.trapezoid(aggregate_density(mean, log_variance, at=at), at).item() == pytest.approx(1.0, abs=1e-9)
