"""Y drawn from a ring: exactly, down the tree of its partial sums; or by block Gibbs, colour by colour (THEORY T14)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_pseudolikelihood import conditional_scores
from textlatent.contrasts.ring_tree import descend, levels

_AT_ONCE = 2**24  # numbers in one table of scores


def sample(ring: Ring, count: int, *, seed: int) -> Int[Tensor, "count N"]:
    """`count` independent draws of Y from P: Y_0 from the diagonal of the whole product, then each label between two.

    Raises:
        ValueError: fewer than one draw.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    tree = levels(ring.log_transfer())
    random = torch.Generator().manual_seed(seed)
    first = tree[-1][0].diagonal()
    rows = max(1, _AT_ONCE // (ring.sites * ring.labels))
    parts = [
        descend(tree, _drawn(first.expand(min(rows, count - begin), -1), random), lambda scores: _drawn(scores, random))
        for begin in range(0, count, rows)
    ]
    return torch.cat(parts)


def gibbs(ring: Ring, y: Int[Tensor, "M N"], *, sweeps: int, seed: int) -> Int[Tensor, "M N"]:
    """M chains after `sweeps` sweeps from `y`: sites of one colour, no two of them neighbours, are drawn at once.

    An even ring and an open chain need two colours, an odd ring three: with two, its last and first site would be
    neighbours of the same colour, and drawing both at once is not Gibbs sampling.

    Raises:
        ValueError: fewer than one sweep, or labels that are not of this ring.
    """
    if sweeps < 1:
        raise ValueError(f"sweeps must be >= 1, got {sweeps}.")
    ring.check(y)
    random, y = torch.Generator().manual_seed(seed), y.clone()
    blocks = colours(ring)
    for _ in range(sweeps):
        for block in blocks:
            y[:, block] = _drawn(conditional_scores(ring, y, sites=block), random)
    return y


def colours(ring: Ring) -> list[Int[Tensor, " n"]]:
    """The sites of each colour; neighbours differ in it."""
    sites = torch.arange(ring.sites)
    colour = sites % 2
    if ring.closed and ring.sites % 2 and ring.sites > 1:
        colour[-1] = 2
    return [sites[colour == each] for each in colour.unique()]


def _drawn(scores: Float[Tensor, "*b q"], random: torch.Generator) -> Int[Tensor, "*b"]:
    """One label for each row of scores: the largest after Gumbel noise of its own is added."""
    noise = torch.empty_like(scores).exponential_(generator=random)
    return (scores - noise.log()).argmax(-1)
