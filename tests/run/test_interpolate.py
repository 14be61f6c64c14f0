"""Paths between two points of z: straight, or along the great circle."""

import math

import pytest
import torch

from textlatent.run.interpolate import KINDS, path_between

X = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
Y = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)


def draw(size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    first, second = torch.randn(2, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return first, 3.0 * second


def test_linear_by_hand() -> None:
    path = path_between(X, Y, steps=5)
    assert path.tolist() == [[1.0, 0.0, 0.0], [0.75, 0.25, 0.0], [0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [0.0, 1.0, 0.0]]


def test_slerp_by_hand() -> None:
    """A quarter circle in thirds: 30 and 60 degrees."""
    path = path_between(X, Y, steps=4, kind="slerp")
    long, short = math.sqrt(3) / 2, 1 / 2
    expected = torch.tensor([[1, 0, 0], [long, short, 0], [short, long, 0], [0, 1, 0]], dtype=torch.float64)
    torch.testing.assert_close(path, expected, rtol=0, atol=1e-15)


def test_slerp_turns_evenly_and_its_norm_goes_evenly() -> None:
    """From norm |a| to |b| in equal steps, by equal angles, all in the plane of the two."""
    first, second = draw()
    path = path_between(first, second, steps=7, kind="slerp")
    norms = path.norm(dim=1)
    torch.testing.assert_close(norms, torch.linspace(first.norm(), second.norm(), 7, dtype=torch.float64))
    unit = path / norms[:, None]
    angles = (unit[1:] * unit[:-1]).sum(1).acos()
    whole = torch.acos(first @ second / first.norm() / second.norm())
    torch.testing.assert_close(angles, (whole / 6).expand(6))
    assert torch.linalg.matrix_rank(path, tol=1e-10) == 2


def test_the_straight_line_cuts_through_where_the_circle_does_not() -> None:
    """In 32 dimensions two draws of the prior are nearly orthogonal: halfway the line has lost 30 % of its norm."""
    first, second = draw()
    second = second / 3.0
    ends = (first.norm() + second.norm()) / 2
    assert path_between(first, second, steps=3)[1].norm() < 0.8 * ends
    assert path_between(first, second, steps=3, kind="slerp")[1].norm() == pytest.approx(ends.item(), rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_both_ends_are_there(kind: str, dtype: torch.dtype) -> None:
    first, second = (end.to(dtype) for end in draw())
    for steps in (2, 9):
        path = path_between(first, second, steps=steps, kind=kind)
        assert path.shape == (steps, 32)
        assert path.dtype == dtype
        torch.testing.assert_close(path[[0, -1]], torch.stack([first, second]))


@pytest.mark.parametrize("second", [X, 2 * X, -X, 0 * X, X + 1e-9 * Y])
def test_where_there_is_no_great_circle_the_path_is_straight(second: torch.Tensor) -> None:
    """The same direction, the opposite one, or none."""
    assert torch.equal(path_between(X, second, steps=5, kind="slerp"), path_between(X, second, steps=5))


def test_faults() -> None:
    with pytest.raises(ValueError, match="kind must be one of linear, slerp, got 'cubic'"):
        path_between(X, Y, steps=3, kind="cubic")
    with pytest.raises(ValueError, match="steps must be >= 2 \\(both ends are included\\), got 1"):
        path_between(X, Y, steps=1)
