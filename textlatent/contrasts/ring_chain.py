"""Mean and covariance, under an open chain, of its counts of pairs and its last label, summed over a corpus."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring_moments import Means, Moments
from textlatent.contrasts.ring_partition import balance

LONGEST = 20_000
"""Sites of the longest chain: its way is walked, and N^2 times the rounding of a product is lost in a covariance."""


@dataclass(frozen=True)
class _Ends:
    """What leads to each site of an open chain, and from it to the end: left[k] = a B^k, right[k] = B^k c."""

    balanced: Tensor
    rate: Tensor
    left: Tensor
    right: Tensor


def _ends(transfer: Tensor, last: Tensor, longest: int) -> _Ends:
    balanced, vector, rate = balance(transfer)
    left, right = [vector.exp()], [(last - vector).exp()]
    for _ in range(longest - 1):
        left.append(left[-1] @ balanced)
        right.append(balanced @ right[-1])
    return _Ends(balanced, rate, torch.stack(left), torch.stack(right))


def chain_means(transfer: Float[Tensor, "q q"], last: Float[Tensor, " q"], sizes: Int[Tensor, " L"]) -> Means:
    """E of the pair counts and of the last label of open chains of each size.

    Args:
        transfer: ln of the matrix shared by all edges, the field of the site before it included.
        last: the field of the last site.
        sizes: the different N, each at least 2.

    Raises:
        ValueError: a chain that is too long.
    """
    if int(sizes.max()) > LONGEST:
        raise ValueError(
            f"the likelihood of open chains is for chains of at most {LONGEST:,} sites, got {int(sizes.max()):,}; take "
            "the pseudo-likelihood, or close the chain, of which one edge in so many is nothing."
        )
    ends, edges = _ends(transfer, last, int(sizes.max())), sizes - 1
    total, rows = ends.left[edges] @ ends.right[0], []
    for count, z in zip(edges.tolist(), total, strict=True):
        pairs = ends.balanced * (ends.left[:count].T @ ends.right[:count].flip(0)) / z
        rows.append(torch.cat([pairs.flatten(), ends.left[count] * ends.right[0] / z]))
    return Means(edges * ends.rate + total.log(), total, torch.stack(rows))


def chain_moments(
    transfer: Float[Tensor, "q q"],
    last: Float[Tensor, " q"],
    sizes: Int[Tensor, " L"],
    numbers: Float[Tensor, " L"] | None = None,
) -> Moments:
    """Moments of the pair counts and last labels of open chains; the cost grows with the longest, not with how many.

    Args:
        transfer: as in `chain_means`.
        last: as in `chain_means`.
        sizes: the different N, each at least 2.
        numbers: how many chains of each; 1 if not given.
    """
    numbers = torch.ones(len(sizes), dtype=torch.float64) if numbers is None else numbers
    each = chain_means(transfer, last, sizes)
    longest, labels = int(sizes.max()), len(transfer)
    ends, square = _ends(transfer, last, longest), labels * labels
    of_edges = torch.zeros(longest, dtype=torch.float64)
    of_edges[sizes - 1] = numbers / each.total
    inside, after = _inside(ends, longest), _after(ends, of_edges)
    both = torch.einsum("kabc,kd->abcd", inside[: len(after)], after)
    both = torch.einsum("ab,cd,abcd->abcd", ends.balanced, ends.balanced, both).reshape(square, square)
    to_last = torch.einsum("k,kabc->abc", of_edges, inside)
    to_last = torch.einsum("ab,abc,c->abc", ends.balanced, to_last, ends.right[0]).reshape(square, labels)
    mean = numbers @ each.mean
    second = mean.diag()
    second[:square, :square] += both + both.T
    second[:square, square:] += to_last
    second[square:, :square] += to_last.T
    return Moments(numbers @ each.log_partition, mean, second - (each.mean * numbers[:, None]).T @ each.mean)


def _inside(ends: _Ends, longest: int) -> Float[Tensor, "k q q q"]:
    """inside[k][a, b, c] = sum_{j < k} left[j][a] (B^{k-1-j})[b, c]: an edge at j, then the way to site k."""
    one = torch.eye(len(ends.balanced), dtype=torch.float64)
    found = [torch.zeros((len(one),) * 3, dtype=torch.float64)]
    for k in range(longest - 1):
        found.append(found[-1] @ ends.balanced + ends.left[k][:, None, None] * one)
    return torch.stack(found)


def _after(ends: _Ends, of_edges: Float[Tensor, " n"]) -> Float[Tensor, "k q"]:
    """after[k] = sum_{M > k} w_M B^{M-1-k} c: from beyond the edge at k to the ends of all chains that reach so far."""
    found = [torch.zeros_like(ends.right[0])]
    for weight in of_edges.flip(0)[:-1].tolist():
        found.append(weight * ends.right[0] + ends.balanced @ found[-1])
    return torch.stack(found[1:][::-1])
