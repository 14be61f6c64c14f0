"""Mean and covariance, under a ring, of its counts of pairs: the gradient and Hessian of ln Z, summed over a corpus.

The covariance needs sum_k B^k (x) B^{M-k}, q^4 numbers; the sums for M and M' give the one for M + M' + 1, so that a
ring of N sites costs log2(N) products of q^5 multiplications. B is the balanced transfer matrix, its powers near 1.
Where no ring is long, all of them together cost one product of q^2 x N by N x q^2 instead.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring_partition import balance

WALK = 2048
"""Sites of the longest ring up to which all its powers are kept; beyond it paths are doubled."""


@dataclass(frozen=True)
class Moments:
    """What rings or open chains say of their own counts, added up over the sequences.

    Attributes:
        log_partition: ln Z, nats.
        mean: E of the D counts (pairs by rows, then on open chains the last labels), [D].
        covariance: of the counts, the sequences being independent, [D, D].
    """

    log_partition: Tensor
    mean: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class Path:
    """B^m, and the sum over k of B^k (x) B^{m-1-k}, [q, q, q, q] as [b, c, d, a] for (B^k)[b, c] (B^{m-1-k})[d, a]."""

    power: Tensor
    between: Tensor

    def then(self, other: "Path") -> "Path":
        """The path of both lengths together."""
        first = torch.einsum("bcde,ea->bcda", self.between, other.power)
        second = torch.einsum("be,ecda->bcda", self.power, other.between)
        return Path(self.power @ other.power, first + second)


def path(matrix: Float[Tensor, "q q"], length: int) -> Path:
    """The path of m = `length` steps through B, by doubling."""
    one = torch.eye(len(matrix), dtype=matrix.dtype)
    result, step = Path(one, matrix.new_zeros(one.shape + one.shape)), Path(matrix, one[:, :, None, None] * one)
    begun = False
    while length:
        if length & 1:
            result, begun = (result.then(step) if begun else step), True
        length >>= 1
        if length:
            step = step.then(step)
    return result


@dataclass(frozen=True)
class Means:
    """What each of several sizes says of one sequence.

    Attributes:
        log_partition: ln Z, nats, [L].
        total: Z in units of the largest eigenvalue's power, [L].
        mean: E of the counts, [L, D].
    """

    log_partition: Tensor
    total: Tensor
    mean: Tensor


def ring_means(transfer: Float[Tensor, "q q"], sizes: Int[Tensor, " L"]) -> Means:
    """E of the pair counts of closed rings of each size; `transfer` is ln of the matrix shared by all edges."""
    balanced, _, rate = balance(transfer)
    others = torch.stack([torch.linalg.matrix_power(balanced, int(size) - 1) for size in sizes])
    joined = balanced * others.transpose(1, 2)
    total = joined.sum((1, 2))
    return Means(sizes * rate + total.log(), total, (sizes / total)[:, None] * joined.flatten(1))


def ring_moments(
    transfer: Float[Tensor, "q q"], sizes: Int[Tensor, " L"], numbers: Float[Tensor, " L"] | None = None
) -> Moments:
    """Moments of the pair counts of closed rings, `numbers` (1 if not given) of each of the different sizes."""
    numbers = torch.ones(len(sizes), dtype=torch.float64) if numbers is None else numbers
    each, (balanced, _, _) = ring_means(transfer, sizes), balance(transfer)
    weights = numbers * sizes / each.total
    if int(sizes.max()) <= WALK:
        between = _walked(balanced, sizes, weights)
    else:
        between = torch.zeros(balanced.shape * 2, dtype=torch.float64)
        for size, weight in zip(sizes.tolist(), weights.tolist(), strict=True):
            between += weight * path(balanced, size - 1).between
    two = torch.einsum("ab,cd,bcda->abcd", balanced, balanced, between)
    mean = numbers @ each.mean
    square = two.reshape(len(mean), -1) + mean.diag() - (each.mean * numbers[:, None]).T @ each.mean
    return Moments(numbers @ each.log_partition, mean, square)


def _walked(
    balanced: Float[Tensor, "q q"], sizes: Int[Tensor, " L"], weights: Float[Tensor, " L"]
) -> Float[Tensor, "q q q q"]:
    """sum_N w_N sum_k B^k (x) B^{N-2-k} = sum_k B^k (x) G_k, G_k = w_{k+2} + B G_{k+1}; as [b, c, d, a]."""
    labels, steps = len(balanced), max(int(sizes.max()) - 1, 1)
    of_step = torch.zeros(steps + 1, dtype=torch.float64)
    of_step[(sizes - 2).clamp(min=-1)] = torch.where(sizes >= 2, weights, 0.0)  # a ring of one has no two edges
    one = torch.eye(labels, dtype=torch.float64)
    powers, rest = [one], [of_step[steps - 1] * one]
    for k in range(steps - 1):
        powers.append(powers[-1] @ balanced)
        rest.append(of_step[steps - 2 - k] * one + balanced @ rest[-1])
    first, second = torch.stack(powers).flatten(1), torch.stack(rest[::-1]).flatten(1)
    return (first.T @ second).reshape((labels,) * 4)


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
    """
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


def _after(ends: _Ends, of_edges: Float[Tensor, " k"]) -> Float[Tensor, "k q"]:
    """after[k] = sum_{M > k} w_M B^{M-1-k} c: from beyond the edge at k to the ends of all chains that reach so far."""
    found = [torch.zeros_like(ends.right[0])]
    for weight in of_edges.flip(0)[:-1].tolist():
        found.append(weight * ends.right[0] + ends.balanced @ found[-1])
    return torch.stack(found[1:][::-1])
