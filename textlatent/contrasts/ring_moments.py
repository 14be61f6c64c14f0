"""Mean and covariance, under a ring, of its counts of pairs: the gradient and Hessian of ln Z, summed over a corpus.

With B the balanced transfer matrix, its rows adding up to 1, B^k = Pi + R^k: Pi is what far sites have in common, their
means and nothing else, and R^k what they know of each other, which dies away. The covariance of the counts is then a
sum of what dies away; as a difference of N^2 terms it would have no digits left at N = 10^7.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring_partition import balance

WALK = 2048
"""Sites of the longest ring up to which all powers of R are kept; beyond it paths are doubled."""


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
class _Deflated:
    """B, rows adding up to 1; `far` = Pi = 1 u^T, u B = u; `near` = R = B - Pi; ln of the largest eigenvalue, nats."""

    balanced: Tensor
    far: Tensor
    near: Tensor
    rate: Tensor


def _deflated(transfer: Float[Tensor, "q q"]) -> _Deflated:
    """The parts of a transfer matrix.

    Raises:
        ValueError: far sites determine each other, so that there are no two parts.
    """
    balanced, _, rate = balance(transfer)
    rows = balanced.sum(1)
    ones = torch.ones_like(balanced)
    system = torch.eye(len(balanced), dtype=balanced.dtype) - balanced / rows[:, None] + ones
    if float((rows - 1.0).abs().max()) > 1e-9 or float(torch.linalg.cond(system)) > 1e12:
        raise ValueError(
            "neighbours bind so strongly that sites determine each other at any distance, and no covariance can be "
            "trusted; raise the ridge, or give more data."
        )
    balanced = balanced / rows[:, None]
    far = torch.linalg.solve(system.T, ones[0]).expand_as(balanced)
    return _Deflated(balanced, far, balanced - far, rate)


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
    """Moments of the pair counts of closed rings, `numbers` (1 if not given) of each of the different sizes.

    Raises:
        ValueError: sites determine each other at any distance.
    """
    numbers = torch.ones(len(sizes), dtype=torch.float64) if numbers is None else numbers
    parts, count = _deflated(transfer), sizes.double()
    others = torch.stack(
        [torch.linalg.matrix_power(parts.near, int(size) - 1) for size in sizes]
    )  # R^{N-1}; I at N = 1
    others[sizes == 1] -= parts.far
    trace = (parts.near * others.transpose(1, 2)).sum((1, 2))  # Z - 1
    known = (parts.balanced * others.transpose(1, 2)).flatten(1) / (1.0 + trace)[:, None]
    apart = (parts.balanced * parts.far.T).flatten()  # a pair's probability on the endless ring
    short = -trace / (1.0 + trace)  # 1/Z - 1
    means = count[:, None] * (apart * (1.0 + short)[:, None] + known)
    mean = numbers @ means
    square = _joint(parts, sizes, others, numbers * count / (1.0 + trace)).reshape(len(mean), -1) + mean.diag()
    square -= (numbers * (count / (1.0 + trace) + count**2 * (short + short**2))).sum() * apart[:, None] * apart
    cross = apart[:, None] * ((numbers * count**2 * (1.0 + short)) @ known)
    square -= cross + cross.T + (known * (numbers * count**2)[:, None]).T @ known
    return Moments(numbers @ (count * parts.rate + trace.log1p()), mean, square)


def _joint(
    parts: _Deflated, sizes: Int[Tensor, " L"], others: Float[Tensor, "L q q"], weights: Float[Tensor, " L"]
) -> Float[Tensor, "q q q q"]:
    """What two pairs (a, b) and (c, d) of a ring say of each other, over all distances, but what they both say of far.

    sum_N w_N B[a,b] B[c,d] sum_k (B^k (x) B^{N-2-k} - Pi (x) Pi)[b, c, d, a].
    """
    one, weights = torch.eye(len(parts.near), dtype=torch.float64), torch.where(sizes >= 2, weights, 0.0)
    inverse = torch.linalg.inv(one - parts.near)
    along = torch.einsum("l,lij->ij", weights, one - others) @ inverse - weights.sum() * parts.far  # sum_k R^k
    between = _walked(parts, sizes, weights) if int(sizes.max()) <= WALK else _doubled(parts, sizes, weights)
    between += torch.einsum("bc,da->bcda", parts.far, along) + torch.einsum("bc,da->bcda", along, parts.far)
    return torch.einsum("ab,cd,bcda->abcd", parts.balanced, parts.balanced, between)


def _walked(parts: _Deflated, sizes: Int[Tensor, " L"], weights: Float[Tensor, " L"]) -> Float[Tensor, "q q q q"]:
    """sum_N w_N sum_k R^k (x) R^{N-2-k} = sum_k R^k (x) G_k, G_k = w_{k+2} + R G_{k+1}, I - Pi for R^0."""
    labels, steps = len(parts.near), max(int(sizes.max()) - 1, 1)
    of_step = torch.zeros(steps + 1, dtype=torch.float64)
    of_step[(sizes - 2).clamp(min=-1)] = weights
    one = torch.eye(labels, dtype=torch.float64) - parts.far
    powers, rest = [one], [of_step[steps - 1] * one]
    for k in range(steps - 1):
        powers.append(powers[-1] @ parts.near)
        rest.append(of_step[steps - 2 - k] * one + parts.near @ rest[-1])
    first, second = torch.stack(powers).flatten(1), torch.stack(rest[::-1]).flatten(1)
    return (first.T @ second).reshape((labels,) * 4)


def _doubled(parts: _Deflated, sizes: Int[Tensor, " L"], weights: Float[Tensor, " L"]) -> Float[Tensor, "q q q q"]:
    """The same for rings of any size, each by doubling its path."""
    between = torch.zeros(parts.near.shape * 2, dtype=torch.float64)
    for size, weight in zip(sizes.tolist(), weights.tolist(), strict=True):
        if size < 2:
            continue
        last = torch.linalg.matrix_power(parts.near, size - 2)  # the path's R^0 is I, and Pi too much
        ends = torch.einsum("bc,da->bcda", parts.far, last) + torch.einsum("bc,da->bcda", last, parts.far)
        if size == 2:
            ends -= torch.einsum("bc,da->bcda", parts.far, parts.far)
        between += weight * (path(parts.near, size - 1).between - ends)
    return between
