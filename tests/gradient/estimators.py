"""Numbers whose gradients can be summed over every outcome: a cost on rows of the simplex, and its exact gradient."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

LOGITS = torch.tensor([0.4, -0.7, 1.1], dtype=torch.float64)
_MIX = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.5, -0.5], [1.0, 0.3, -2.0]], dtype=torch.float64)
_LINE = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def affine(row: Tensor) -> Tensor:
    return row @ _LINE[: row.shape[-1]] + 0.7


def quadratic(row: Tensor) -> Tensor:
    size = row.shape[-1]
    return ((row @ _MIX[:size, :size]) * row).sum(-1) + affine(row)


def cubic(row: Tensor) -> Tensor:
    return quadratic(row) + (row @ _LINE[: row.shape[-1]].flip(0)) ** 3


def values(cost: Callable[[Tensor], Tensor], words: int) -> Tensor:
    """The cost of each word."""
    return cost(torch.eye(words, dtype=torch.float64))


def exact(logits: Tensor, cost: Callable[[Tensor], Tensor]) -> Tensor:
    """p_j (f_j - E f)."""
    p, f = logits.softmax(-1), values(cost, len(logits))
    return p * (f - (p * f).sum())


def gradient(of: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Autograd's, of a scalar function of the logits."""
    leaf = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(of(leaf), leaf)
    return found


def enumerated(estimate: Callable[[Tensor, Tensor], Tensor], logits: Tensor, *, draws: int = 1) -> tuple[Tensor, float]:
    """E of the estimate's gradient over every outcome of so many draws, and its total variance."""
    p = logits.softmax(-1)
    mean, square = torch.zeros_like(logits), 0.0
    for outcome in product(range(len(logits)), repeat=draws):
        word = torch.tensor(outcome)
        found = gradient(lambda leaf, word=word: estimate(leaf, word), logits)
        mean += p[word].prod() * found
        square += float(p[word].prod() * found.square().sum())
    return mean, square - float(mean.square().sum())
