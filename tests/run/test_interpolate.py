"""Paths between two points of z, straight or along the great circle, and the sentences decoded there."""

import math

import pytest
import torch

from textlatent.run.folder import Run
from textlatent.run.interpolate import KINDS, interpolate, path_between

A, B = "the poor sailor sells his sail now .", "did the wise singers write their song ?"

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


@pytest.mark.parametrize("kind", KINDS)
def test_between_two_sentences(trained: Run, kind: str) -> None:
    found = interpolate(trained, A, B, steps=5, kind=kind)
    model = trained.model_at("final")
    ends = model.encode([A, B]).mean
    assert found.at == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found.sentences == model.decode(path_between(*ends, steps=5, kind=kind))
    assert [found.sentences[0], found.sentences[-1]] == model.decode(ends)


def test_along_a_dimension(trained: Run) -> None:
    """-3 to 3 of the prior's standard deviations around its mean, the other dimensions held."""
    found = interpolate(trained, A, dimension=2, steps=3)
    model = trained.model_at("final")
    prior, z = model.prior(), model.encode([A]).mean.repeat(3, 1)
    z[:, 2] = prior.mean[2] + prior.std[2] * torch.tensor([-3.0, 0.0, 3.0])
    assert found.at == [-3.0, 0.0, 3.0]
    assert found.sentences == model.decode(z)


def test_settings_and_a_checkpoint(trained: Run) -> None:
    found = interpolate(trained, A, B, steps=2, checkpoint="step-20", max_new_tokens=2)
    assert all(len(text.split()) <= 2 for text in found.sentences)


def test_faults_of_the_verb(trained: Run) -> None:
    for arguments in ({}, {"second": B, "dimension": 1}):
        with pytest.raises(ValueError, match="give either a second sentence, or the dimension of z to walk along"):
            interpolate(trained, A, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind must be one of linear, slerp, got 'cubic'"):
        interpolate(trained, A, B, kind="cubic")
    for arguments in ({"second": B}, {"dimension": 0}):
        with pytest.raises(ValueError, match=r"steps must be >= 2 \(both ends are included\), got 1"):
            interpolate(trained, A, steps=1, **arguments)  # type: ignore[arg-type]
    for dimension in (-1, 4):
        with pytest.raises(ValueError, match=rf"dimension must be in 0..3, got {dimension}"):
            interpolate(trained, A, dimension=dimension)
