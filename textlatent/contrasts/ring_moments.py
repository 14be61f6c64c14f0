"""Mean and covariance, under a ring, of its counts of pairs: the gradient and Hessian of ln Z, at any N.

The covariance needs sum_k B^k (x) B^{M-k}, q^4 numbers; the sums for M and M' give the one for M + M' + 1, so that a
ring of N sites costs log2(N) products of q^5 multiplications. B is the balanced transfer matrix, its powers near 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring_partition import balance


@dataclass(frozen=True)
class Moments:
    """What a ring or an open chain of N sites says of its own counts.

    Attributes:
        log_partition: ln Z, nats.
        mean: E of the D counts (pairs by rows, then on an open chain the last label), [D].
        covariance: [D, D].
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
    result = Path(one, matrix.new_zeros(one.shape + one.shape))
    step = Path(matrix, one[:, :, None, None] * one)
    while length:
        if length & 1:
            result = result.then(step)
        length >>= 1
        if length:
            step = step.then(step)
    return result


def ring_moments(transfer: Float[Tensor, "q q"], sizes: Int[Tensor, " L"]) -> list[Moments]:
    """Moments of the pair counts of closed rings of each size; ln of the transfer matrix shared by all edges."""
    balanced, _, rate = balance(transfer)
    found, done, so_far = [], 0, path(balanced, 0)
    for size in sorted(int(n) for n in sizes):
        so_far, done = so_far.then(path(balanced, size - 1 - done)), size - 1  # all edges but one
        total = (so_far.power * balanced.T).sum()
        one = balanced * so_far.power.T / total
        two = torch.einsum("ab,cd,bcda->abcd", balanced, balanced, so_far.between) / total
        mean = size * one.flatten()
        second = size * two.reshape(len(mean), -1) + mean.diag()
        found.append(Moments(size * rate + total.log(), mean, second - mean[:, None] * mean))
    return found


def chain_moments(transfer: Float[Tensor, "q q"], last: Float[Tensor, " q"], sizes: Int[Tensor, " L"]) -> list[Moments]:
    """Moments of the pair counts and the last label of open chains of each size; the cost grows with the longest.

    Args:
        transfer: ln of the matrix shared by all edges, the field of the site before it included.
        last: the field of the last site.
        sizes: the different N, each at least 2.
    """
    balanced, vector, rate = balance(transfer)
    start, end, longest = vector.exp(), (last - vector).exp(), int(sizes.max())
    left, right, inside = [start], [end], [torch.zeros(start.shape * 3, dtype=start.dtype)]
    one = torch.eye(len(start), dtype=start.dtype)
    for _ in range(longest - 1):
        # inside[k][a, b, c] = sum_{j < k} left[j][a] (B^{k-1-j})[b, c]
        inside.append(inside[-1] @ balanced + left[-1][:, None, None] * one)
        left.append(left[-1] @ balanced)
        right.append(balanced @ right[-1])
    lefts, rights, insides = torch.stack(left), torch.stack(right), torch.stack(inside)
    return [_of_chain(balanced, lefts, rights, insides, rate, size) for size in sorted(int(n) for n in sizes)]


def _of_chain(balanced: Tensor, left: Tensor, right: Tensor, inside: Tensor, rate: Tensor, size: int) -> Moments:
    """The moments of one size, from what leads to each edge and from it to the end."""
    edges, labels = size - 1, len(balanced)
    after = right[:edges].flip(0)  # of edge j, the edges - 1 - j that follow it
    total = left[edges] @ right[0]
    pairs = balanced * (left[:edges].T @ after) / total
    final = left[edges] * right[0] / total
    both = torch.einsum("ab,cd,kabc,kd->abcd", balanced, balanced, inside[:edges], after) / total
    ends = torch.einsum("ab,abc,c->abc", balanced, inside[edges], right[0]) / total
    mean = torch.cat([pairs.flatten(), final])
    square = labels * labels
    second = mean.diag()
    both = both.reshape(square, square)
    second[:square, :square] += both + both.T
    second[:square, square:] += ends.reshape(square, labels)
    second[square:, :square] += ends.reshape(square, labels).T
    return Moments(edges * rate + total.log(), mean, second - mean[:, None] * mean)
