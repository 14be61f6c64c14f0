"""A corpus as counts: all that the likelihood (q^2 pairs) and the pseudo-likelihood (q^3 triples) of a ring ask of it.

For shared potentials these are sufficient statistics: after one pass over the corpus the cost of a fit no longer knows
how large it was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Counts:
    """Weighted counts of a corpus of rings, or of open chains.

    Attributes:
        pairs: neighbours (Y_n, Y_{n+1}) over all edges, the closing one among them if closed, [q, q].
        triples: (Y_{n-1}, Y_n, Y_{n+1}) over all sites that have both neighbours, [q, q, q].
        first: (Y_0, Y_1) of open chains, [q, q]; 0 if closed.
        last: (Y_{N-2}, Y_{N-1}) of open chains, [q, q]; 0 if closed.
        sizes: the different N, ascending, [L].
        numbers: how many sequences (their weights) have each, [L].
        closed: rings, or open chains.
    """

    pairs: Tensor
    triples: Tensor
    first: Tensor
    last: Tensor
    sizes: Tensor
    numbers: Tensor
    closed: bool

    @property
    def labels(self) -> int:
        """Q."""
        return len(self.pairs)

    @property
    def sites(self) -> float:
        """The number of sites of all sequences."""
        return float((self.sizes * self.numbers).sum())

    def interior(self) -> Self:
        """The same without the ends of open chains, which have one neighbour each: for the pseudo-likelihood."""
        return replace(self, first=torch.zeros_like(self.first), last=torch.zeros_like(self.last))


@dataclass(frozen=True)
class Neighbours:
    """Every site of a flat corpus with its neighbours' labels.

    Attributes:
        left, centre, right: labels, [n].
        weight: of the site's sequence, [n].
        sequence: the number of the site's sequence, [n].
        begins: the site is its sequence's first, [n].
        ends: the site is its sequence's last, [n].
    """

    left: Tensor
    centre: Tensor
    right: Tensor
    weight: Tensor
    sequence: Tensor
    begins: Tensor
    ends: Tensor


def neighbours(
    tokens: Int[Tensor, " n"],
    offsets: Int[Tensor, " bounds"],
    *,
    labels: int,
    weights: Float[Tensor, " M"] | None = None,
) -> Neighbours:
    """Each site's label and those before and after it around its own sequence.

    Args:
        tokens: the labels of all sequences, one after the other.
        offsets: where each sequence begins, and the end of the last.
        labels: Q.
        weights: of each sequence; 1 if not given.

    Raises:
        ValueError: a label that is not there, or a sequence of fewer than two sites.
    """
    tokens, offsets = tokens.long(), offsets.long()
    if tokens.numel() and not (0 <= int(tokens.min()) and int(tokens.max()) < labels):
        raise ValueError(f"labels must be 0 to {labels - 1}, got {int(tokens.min())} to {int(tokens.max())}.")
    sizes = offsets.diff()
    if not len(sizes) or int(sizes.min()) < 2:
        raise ValueError("counting needs sequences of at least two sites each; a single site has no neighbour.")
    sequence = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    place = torch.arange(len(tokens))
    begins, ends = place == offsets[sequence], place == offsets[sequence + 1] - 1
    left = tokens[torch.where(begins, offsets[sequence + 1] - 1, place - 1)]
    right = tokens[torch.where(ends, offsets[sequence], place + 1)]
    weight = torch.ones(len(sizes), dtype=torch.float64) if weights is None else weights.double()
    return Neighbours(left, tokens, right, weight[sequence], sequence, begins, ends)


def count(
    tokens: Int[Tensor, " n"],
    offsets: Int[Tensor, " bounds"],
    *,
    labels: int,
    closed: bool = True,
    weights: Float[Tensor, " M"] | None = None,
) -> Counts:
    """The counts of a corpus of sequences, each a ring (or an open chain) of its own; one pass.

    Args:
        tokens: as in `neighbours`.
        offsets: as in `neighbours`.
        labels: Q.
        closed: rings, or open chains.
        weights: of each sequence; 1 if not given.

    Raises:
        ValueError: as `neighbours`.
    """
    near = neighbours(tokens, offsets, labels=labels, weights=weights)
    nothing = torch.zeros(labels, labels, dtype=torch.float64)
    sizes, place = offsets.long().diff().unique(return_inverse=True)
    weight = torch.ones(len(place), dtype=torch.float64) if weights is None else weights.double()
    whole = Counts(
        pairs=_table((near.centre, near.right), near.weight, labels),
        triples=_table((near.left, near.centre, near.right), near.weight, labels),
        first=nothing,
        last=nothing,
        sizes=sizes,
        numbers=torch.zeros(len(sizes), dtype=torch.float64).index_add(0, place, weight),
        closed=closed,
    )
    if closed:
        return whole
    starts, stops = near.begins.nonzero()[:, 0], near.ends.nonzero()[:, 0]
    left, centre, right, weight = near.left, near.centre, near.right, near.weight
    at_ends = torch.cat([starts, stops])
    return replace(
        whole,
        pairs=whole.pairs - _table((centre[stops], right[stops]), weight[stops], labels),
        triples=whole.triples - _table((left[at_ends], centre[at_ends], right[at_ends]), weight[at_ends], labels),
        first=_table((centre[starts], right[starts]), weight[starts], labels),
        last=_table((left[stops], centre[stops]), weight[stops], labels),
    )


def count_rows(
    y: Int[Tensor, "M N"], *, labels: int, closed: bool = True, weights: Float[Tensor, " M"] | None = None
) -> Counts:
    """The counts of sequences of one length; arguments as in `count`."""
    offsets = torch.arange(len(y) + 1) * y.shape[1]
    return count(y.flatten(), offsets, labels=labels, closed=closed, weights=weights)


def _table(columns: tuple[Tensor, ...], weight: Tensor, labels: int) -> Tensor:
    """How often (by weight) each combination of labels occurs."""
    code = torch.zeros_like(columns[0])
    for column in columns:
        code = code * labels + column
    shape = (labels,) * len(columns)
    return torch.bincount(code, weights=weight, minlength=labels ** len(columns)).reshape(shape)


def windows(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover `count` places in order."""
    return (slice(begin, min(begin + size, count)) for begin in range(0, count, size))
