"""One word of two, every outcome summed: the exact bias and variance of each estimator on costs of three shapes.

Discrete noise is enumerated; continuous noise enters two words through one logistic number (or, in REBAR, two), over
which Gauss-Legendre quadrature sums.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.gradient.boundary import boundary
from textlatent.gradient.rebar import rebar
from textlatent.gradient.relaxed import gumbel_softmax, reinmax, straight_through, straight_through_gumbel
from textlatent.gradient.score_function import optimal_baseline, score_square

LOGITS = (0.4, -0.7)
NODES = 200

Cost = Callable[[Tensor], Tensor]
Points = tuple[Tensor, Tensor]
"""The gradients of an estimate [n, 2] and the probability of each."""


@dataclass(frozen=True)
class Exactly:
    """An estimator on one cost.

    Attributes:
        estimator: its name, with a temperature where it has one.
        cost: "affine", "quadratic" or "cubic" in the one-hot row.
        bias: |E estimate - gradient|.
        variance: E |estimate - E estimate|^2.
        gradient: |the gradient|.
    """

    estimator: str
    cost: str
    bias: float
    variance: float
    gradient: float


def affine(row: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B"]:
    """x_1 + 2."""
    return row[..., 0] + 2.0


def quadratic(row: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B"]:
    """x_1 + 2 + 1.5 x_1^2 - x_1 x_2."""
    return affine(row) + 1.5 * row[..., 0].square() - row[..., 0] * row[..., 1]


def cubic(row: Float[Tensor, "*B 2"]) -> Float[Tensor, "*B"]:
    """The quadratic + 2 x_1^3."""
    return quadratic(row) + 2.0 * row[..., 0] ** 3


COSTS: dict[str, Cost] = {"affine": affine, "quadratic": quadratic, "cubic": cubic}


def one_word(*, temperatures: tuple[float, ...] = (0.1, 0.5, 1.0)) -> list[Exactly]:
    """Every estimator on every cost."""
    logits = torch.tensor(LOGITS, dtype=torch.float64)
    found = []
    for name, cost in COSTS.items():
        p, values = logits.softmax(-1), cost(torch.eye(2, dtype=torch.float64))
        exact = p * (values - (p * values).sum())
        for estimator, (gradients, weight) in _estimates(logits, cost, temperatures).items():
            mean = (weight[:, None] * gradients).sum(0)
            spread = float((weight * gradients.square().sum(1)).sum() - mean.square().sum())
            bias = float((mean - exact).norm())
            found.append(Exactly(estimator, name, bias, max(0.0, spread), float(exact.norm())))
    return found


def _estimates(logits: Tensor, cost: Cost, temperatures: tuple[float, ...]) -> dict[str, Points]:
    word, p = torch.arange(2), logits.softmax(-1)
    values, square = cost(torch.eye(2, dtype=torch.float64)), score_square(p.expand(2, -1), word)
    best = optimal_baseline(values, square, weight=p)
    pair, pair_weight = torch.cartesian_prod(word, word), torch.outer(p, p).reshape(-1)

    def score(words: Tensor, baseline: Tensor | float = 0.0) -> Callable[[Tensor], Tensor]:
        return lambda rows: (values[words] - baseline) * rows.log_softmax(-1).gather(-1, words[:, None]).squeeze(-1)

    alone = _gradients(score(pair[:, 0], values[pair[:, 1]]), logits, len(pair))
    other = _gradients(score(pair[:, 1], values[pair[:, 0]]), logits, len(pair))
    single = _gradients(lambda rows: boundary(rows.softmax(-1), values.expand(1, -1)), logits, 1)
    found = {
        "CDF boundaries": (single, torch.ones(1, dtype=torch.float64)),
        "REINFORCE": (_gradients(score(word), logits, 2), p),
        "REINFORCE, optimal baseline": (_gradients(score(word, best), logits, 2), p),
        "leave-one-out of two": (0.5 * (alone + other), pair_weight),
        "straight-through": (_gradients(lambda rows: cost(straight_through(rows, word)), logits, 2), p),
        "ReinMax": (_gradients(lambda rows: cost(reinmax(rows, word)), logits, 2), p),
    }
    for t in temperatures:
        found[f"REBAR, temperature {t:g}"] = _rebar(logits, cost, t)
        found[f"Gumbel-softmax, {t:g}"] = _relaxed(logits, cost, t, gumbel_softmax)
        found[f"straight-through Gumbel, {t:g}"] = _relaxed(logits, cost, t, straight_through_gumbel)
    return found


def _gradients(of_rows: Callable[[Tensor], Tensor], logits: Tensor, count: int) -> Float[Tensor, "n 2"]:
    """The gradient of each entry of a function of rows of logits, all rows the same."""
    rows = logits.repeat(count, 1).requires_grad_()
    return torch.autograd.grad(of_rows(rows).sum(), rows)[0]


def _relaxed(logits: Tensor, cost: Cost, temperature: float, relaxation: Callable[..., Tensor]) -> Points:
    """Quadrature over u, g_1 - g_2 = logit(u), in two panels that meet where the larger word changes."""
    place, share = np.polynomial.legendre.leggauss(NODES)
    switch = float(torch.sigmoid(logits[1] - logits[0]))
    nodes, weights = [], []
    for low, high in ((0.0, switch), (switch, 1.0)):
        nodes.append(low + (high - low) * 0.5 * (place + 1.0))
        weights.append((high - low) * 0.5 * share)
    uniform, weight = (torch.from_numpy(np.concatenate(each)) for each in (nodes, weights))
    noise = torch.stack([uniform.logit(), torch.zeros_like(uniform)], 1)
    gradients = _gradients(lambda rows: cost(relaxation(rows, noise, temperature=temperature)), logits, len(noise))
    return gradients, weight


def _rebar(logits: Tensor, cost: Cost, temperature: float) -> Points:
    """The words enumerated, the two numbers that decide z given the word on a grid with its ends stretched."""
    place, share = np.polynomial.legendre.leggauss(NODES // 2)
    x, w = 0.5 * (place + 1.0), 0.5 * share
    for _ in range(2):
        w, x = w * 6.0 * x * (1.0 - x), x * x * (3.0 - 2.0 * x)
    point, weight = torch.from_numpy(x), torch.from_numpy(w)
    grid, weights = torch.cartesian_prod(point, point), torch.outer(weight, weight).reshape(-1)
    values, p = cost(torch.eye(2, dtype=torch.float64)), logits.softmax(-1)
    gradients = []
    for k in range(2):
        word = torch.full((len(grid),), k)
        gradients.append(
            _gradients(
                lambda rows, word=word: rebar(  # type: ignore[misc]
                    rows, word=word, cost=values[word], critic=cost, uniform=grid, temperature=temperature
                ),
                logits,
                len(grid),
            )
        )
    return torch.cat(gradients), torch.cat([p[0] * weights, p[1] * weights])
