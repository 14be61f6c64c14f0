"""Muon against the singular value decomposition, torch's own, and its matrices one by one."""

import pytest
import torch
from torch import nn

from textlatent.training.muon import Muon, orthogonalise


def matrices(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_singular_vectors_stay_and_values_come_near_one() -> None:
    """orth(U S V^T) = U S' V^T with S' in [0.68, 1.14]: the same U and V, so U^T orth(M) V is diagonal."""
    found = matrices(3, 4, 6)
    left, _, right = torch.linalg.svd(found, full_matrices=False)
    core = left.mT @ orthogonalise(found) @ right.mT
    values = core.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(core, torch.diag_embed(values), rtol=0, atol=1e-5)
    assert 0.68 < values.min()
    assert values.max() < 1.14


def test_each_matrix_is_its_own_scalar_polynomial() -> None:
    """A 1 x 1 matrix m becomes p(p(...(sign m))) with p(x) = a x + b x^3 + c x^5; 0 stays 0."""
    value = 1.0
    for _ in range(5):
        value = 3.4445 * value - 4.775 * value**3 + 2.0315 * value**5
    found = orthogonalise(torch.tensor([[[2.0]], [[-0.3]], [[0.0]]])).flatten()
    torch.testing.assert_close(found, torch.tensor([value, -value, 0.0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 6])
def test_torch_s_own_goes_the_same_way(steps: int) -> None:
    """Within the rounding of torch's bfloat16, 2^-8 an entry and iteration, on wide, tall and square matrices."""
    shapes = [(8, 8), (8, 32), (32, 8), (8, 8), (32, 8)]
    ours = [nn.Parameter(matrices(*shape, seed=i)) for i, shape in enumerate(shapes)]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    begun = [p.detach().clone() for p in ours]
    mine, torch_s = Muon(ours, lr=0.02), torch.optim.Muon(theirs, lr=0.02)
    for step in range(steps):
        for i, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            p.grad = matrices(*p.shape, seed=100 * step + i)
            q.grad = p.grad.clone()
        mine.step()
        torch_s.step()
    for p, q, start in zip(ours, theirs, begun, strict=True):
        assert (p - q).norm() < 0.03 * (p - start).norm()


def test_together_is_one_by_one() -> None:
    shapes = [(4, 4), (4, 6), (6, 4), (4, 4)]
    one, all_ = ([nn.Parameter(matrices(*shape, seed=i)) for i, shape in enumerate(shapes)] for _ in range(2))
    alone, together = [Muon([p], lr=0.1) for p in one], Muon(all_, lr=0.1)
    for step in range(3):
        for i, (p, q) in enumerate(zip(one, all_, strict=True)):
            p.grad = matrices(*p.shape, seed=10 * step + i)
            q.grad = p.grad.clone()
        for each in alone:
            each.step()
        together.step()
    for p, q in zip(one, all_, strict=True):
        torch.testing.assert_close(p, q)


def test_without_a_gradient_nothing_moves() -> None:
    still, moved = nn.Parameter(matrices(2, 3)), nn.Parameter(matrices(2, 3))
    optimizer, before = Muon([still, moved], lr=0.1), still.detach().clone()
    moved.grad = torch.ones_like(moved)
    optimizer.step()
    assert torch.equal(still, before)
    assert still not in optimizer.state


def test_only_matrices() -> None:
    with pytest.raises(ValueError, match=r"got a parameter of shape \(3,\); leave it to AdamW"):
        Muon([nn.Parameter(torch.zeros(3))], lr=0.1)
    with pytest.raises(ValueError, match="takes no closure"):
        Muon([nn.Parameter(torch.zeros(2, 2))], lr=0.1).step(lambda: 0.0)
