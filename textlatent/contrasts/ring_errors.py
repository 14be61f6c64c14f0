"""Standard errors of a fitted ring: the sandwich H^-1 J H^-1 (Godambe), J the covariance of the score.

J comes from the model, exactly (true if the model is), or from the sequences, one score each (true in any case, and the
only choice on open chains).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_chain import chain_means
from textlatent.contrasts.ring_counts import Neighbours, neighbours, windows
from textlatent.contrasts.ring_fit import Fit
from textlatent.contrasts.ring_moments import path, ring_means, ring_moments
from textlatent.contrasts.ring_partition import balance

_AT_ONCE = 2**22  # numbers in one table of scores by sequence and pair


def sandwich(fitted: Fit, variability: Float[Tensor, "K K"]) -> Float[Tensor, "K K"]:
    """The covariance of theta, nats^2: H^-1 J H^-1, 0 along the gauge.

    Args:
        fitted: with its Hessian H, ridge counted.
        variability: J, the covariance of the whole corpus's score, from one of the two functions below.

    Source: Godambe 1960, An optimum property of regular maximum likelihood estimation; Huber 1967.
    """
    bread = fitted.inverse_hessian()
    return bread @ variability @ bread


def standard_errors(covariance: Float[Tensor, "K K"]) -> Float[Tensor, " K"]:
    """The root of the diagonal, nats."""
    return covariance.diagonal().clamp(min=0.0).sqrt()


def model_variability(fitted: Fit) -> Float[Tensor, "K K"]:
    """J under the fitted ring itself, exactly; its cost does not grow with the corpus.

    Raises:
        ValueError: open chains, or rings of fewer than three sites.
    """
    counts, basis = fitted.counts, fitted.basis
    if not counts.closed:
        raise ValueError("the model's own J is for closed rings; take sequence_variability for open chains.")
    edges, fields = basis.potentials(fitted.theta)
    transfer = edges + fields[:, None]
    if fitted.method == "maximum_likelihood":
        design = basis.design(closed=True)
        return design @ ring_moments(transfer, counts.sizes, counts.numbers).covariance @ design.T
    total = torch.zeros(len(basis), len(basis), dtype=torch.float64)
    for size, number in zip(counts.sizes.tolist(), counts.numbers.tolist(), strict=True):
        total += number * pseudo_score_covariance(transfer, basis, size)
    return total


def pseudo_score_covariance(transfer: Float[Tensor, "q q"], basis: Basis, sites: int) -> Float[Tensor, "K K"]:
    """Covariance under the ring of the gradient of ln PL: every pair of sites, the near ones and the far ones.

    The score of a site depends on it and its two neighbours, g(l, c, r); those of sites n and n + k share labels for
    |k| <= 1 and are joined by paths both ways round otherwise.

    Raises:
        ValueError: fewer than three sites.
    """
    if sites < 3:
        raise ValueError(f"the covariance of the pseudo-likelihood's score needs N >= 3 sites, got {sites}.")
    balanced, _, _ = balance(transfer)
    score = site_scores(transfer, basis)  # [l, c, r, K]
    rest = path(balanced, sites - 3)
    total = (torch.linalg.matrix_power(balanced, sites)).diagonal().sum()
    step = balanced
    three = torch.einsum("lc,cr,rl->lcr", step, step, rest.power @ step) / total
    same = torch.einsum("lcr,lcri,lcrj->ij", three, score, score)
    joined = torch.einsum("lc,lcri->lcri", step, score)
    near = torch.einsum("lcri,cr,rs,crsj,sl->ij", joined, step, step, score, rest.power) / total
    through = torch.einsum("lcri,cr->lri", joined, step)  # sums over the site between its neighbours
    far = torch.einsum("abi,cdj,bcda->ij", through, through, rest.between) / total
    return sites * (same + near + near.T + far)


def site_scores(transfer: Float[Tensor, "q q"], basis: Basis) -> Float[Tensor, "q q q K"]:
    """The gradient of ln P(c | l, r) in theta, for each triple (l, c, r) of an inner site."""
    moves = (basis.edges + basis.fields[..., None]).movedim(0, -1)  # [a, b, K]
    of_triple = moves[:, :, None] + moves[None]
    p = (transfer[:, :, None] + transfer[None]).softmax(1)
    return of_triple - (p[..., None] * of_triple).sum(1, keepdim=True)


def sequence_variability(
    fitted: Fit, tokens: Int[Tensor, " n"], offsets: Int[Tensor, " bounds"], *, interior: bool = False
) -> Float[Tensor, "K K"]:
    """J from the scores of the sequences, one pass over the corpus: sum over sequences of score score^T.

    Args:
        fitted: to the counts of these sequences.
        tokens: the labels of all sequences, one after the other.
        offsets: where each sequence begins, and the end of the last.
        interior: the fit left the ends of open chains out of the pseudo-likelihood.

    Raises:
        ValueError: fewer than two sequences.
    """
    if len(offsets) < 3:
        raise ValueError("a covariance over sequences needs at least two of them; for one take model_variability.")
    counts, basis = fitted.counts, fitted.basis
    edges, fields = basis.potentials(fitted.theta)
    transfer, design = edges + fields[:, None], basis.design(closed=counts.closed)
    near = neighbours(tokens, offsets, labels=counts.labels)
    expected = None
    if fitted.method == "maximum_likelihood":
        expected = _expected(fitted, transfer, fields)
    total = torch.zeros(len(basis), len(basis), dtype=torch.float64)
    mean = torch.zeros(len(basis), dtype=torch.float64)
    sizes = offsets.long().diff()
    for some in windows(len(sizes), max(1, _AT_ONCE // design.shape[1])):
        begin, end = int(offsets[some.start]), int(offsets[some.stop])
        part = Neighbours(*(getattr(near, name)[begin:end] for name in near.__dataclass_fields__))
        rows = some.stop - some.start
        if expected is not None:
            scores = _pair_counts(part, rows, some.start, counts.labels, counts.closed)
            scores -= torch.stack([expected[int(size)] for size in sizes[some]])
        else:
            scores = _pseudo_scores(part, rows, some.start, transfer, fields, closed=counts.closed, interior=interior)
        moved = scores @ design.T
        total += moved.T @ moved
        mean += moved.sum(0)
    return total - mean[:, None] * mean / len(sizes)  # under a ridge the scores do not add up to 0


def _expected(fitted: Fit, transfer: Tensor, last: Tensor) -> dict[int, Tensor]:
    """E of the counts for each size."""
    sizes = fitted.counts.sizes
    found = ring_means(transfer, sizes) if fitted.counts.closed else chain_means(transfer, last, sizes)
    return {int(size): mean for size, mean in zip(sizes, found.mean, strict=True)}


def _pair_counts(part: Neighbours, rows: int, first: int, labels: int, closed: bool) -> Float[Tensor, "M D"]:
    """Each sequence's own counts of pairs, and on an open chain its last label."""
    square = labels * labels
    table = torch.zeros(rows, square + labels * (not closed), dtype=torch.float64)
    row, column = part.sequence - first, part.centre * labels + part.right
    if closed:
        return _added(table, row, column, torch.ones(len(row), dtype=torch.float64))
    inside = ~part.ends
    _added(table, row[inside], column[inside], torch.ones(int(inside.sum()), dtype=torch.float64))
    return _added(table, row[~inside], square + part.centre[~inside], torch.ones(rows, dtype=torch.float64))


def _pseudo_scores(
    part: Neighbours, rows: int, first: int, transfer: Tensor, last: Tensor, *, closed: bool, interior: bool
) -> Float[Tensor, "M D"]:
    """The gradient of each sequence's ln PL in the D numbers: observed minus expected, site by site."""
    labels = len(transfer)
    square = labels * labels
    left_end, right_end = (part.begins, part.ends) if not closed else (torch.zeros_like(part.begins),) * 2
    keep = ~(left_end | right_end) if interior else torch.ones_like(left_end)
    left, centre, right, row = (x[keep] for x in (part.left, part.centre, part.right, part.sequence - first))
    left_end, right_end = left_end[keep], right_end[keep]
    before = torch.where(left_end[:, None], 0.0, transfer[left])  # [n, c]
    after = torch.where(right_end[:, None], last, transfer.T[right])
    residual = -(before + after).softmax(1)
    residual[torch.arange(len(row)), centre] += 1.0
    table = torch.zeros(rows, square + labels * (not closed), dtype=torch.float64)
    each = torch.arange(labels)
    for known, column in ((~left_end, left[:, None] * labels + each), (~right_end, each * labels + right[:, None])):
        _added(table, row[known, None].expand(-1, labels), column[known], residual[known])
    if not closed and not interior:
        ends = right_end
        _added(table, row[ends, None].expand(-1, labels), (square + each).expand(int(ends.sum()), -1), residual[ends])
    return table


def _added(table: Tensor, row: Tensor, column: Tensor, value: Tensor) -> Tensor:
    """The table with each value added at its row and column."""
    return table.index_put_((row, column), value, accumulate=True)
