"""The capacity of a discrete channel, nats per use, between two bounds that any input and any output prove.

    C = max_p I(p, W) = min_q max_x KL(W_x || q)

so every input p gives a lower bound, I(p, W), and every output q an upper one. Blahut and Arimoto's iteration closes
the gap as 1/t; a Newton method closes it to rounding in some twenty steps.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textlatent.nats.channel import check_channel, divergences

TOLERANCE = 1e-10
"""Gap at which the search ends, nats."""
_BOUNDARY = 0.99  # share of the way to the nearest constraint that a step may go


@dataclass(frozen=True)
class CapacityResult:
    """A channel's capacity, nats per use, with its certificate.

    Attributes:
        value: the middle of the bounds; off by gap / 2 at most.
        lower: I(input, channel): what `input` sends.
        upper: max_x KL(channel_x || output) at the best output found; no input sends more.
        gap: upper - lower.
        iterations: Newton steps taken.
        input: the distribution over inputs that sends `lower`, [X].
        support: the inputs it uses, [X]: those whose share exceeds what their divergence lacks of the upper bound.
    """

    value: float
    lower: float
    upper: float
    gap: float
    iterations: int
    input: Float[Tensor, " X"]
    support: Bool[Tensor, " X"]


def blahut_arimoto(channel: Float[Tensor, "X Y"]) -> Iterator[CapacityResult]:
    """The classical iteration p_x <- p_x exp KL(W_x || pW), normalised, from uniform p; it never ends by itself.

    lower never falls, and C - lower <= ln X / t after t iterations.

    Raises:
        ValueError: no channel.

    Source: Blahut 1972; Arimoto 1972; THEORY T15.
    """
    channel = check_channel(channel)
    weight = channel.new_full((len(channel),), 1.0 / len(channel))
    iterations = 0
    while True:
        kl = divergences(channel, (weight @ channel).log())
        yield _result(kl, weight, float(kl.max()), iterations)
        weight = (weight.log() + kl).softmax(0)
        iterations += 1


def channel_capacity(
    channel: Float[Tensor, "X Y"], *, tolerance: float = TOLERANCE, iterations: int = 100
) -> CapacityResult:
    """The capacity of P(y|x), nats per use, to a certified gap.

    Written with a_y = ln q_y + t the upper bound's problem has a smooth objective and linear constraints,

        C = min_a ln sum_y e^(a_y)      subject to  (W a)_x >= -H(W_x) for every input x

    whose multipliers are the input distribution. It is solved by a primal-dual interior-point method, each step one
    Newton step in as many unknowns as there are outputs. Both bounds are then computed from the distributions found,
    so they hold, to float64's rounding, whatever the search did.

    Args:
        channel: a row P(.|x) per input; rectangular, zeros allowed.
        tolerance: the gap to reach, nats.
        iterations: Newton steps at most.

    Raises:
        ValueError: no channel, or a gap that is not reached.

    Source: Chiang & Boyd 2004, Geometric programming duals of channel capacity and rate distortion, eq. 15; Boyd &
    Vandenberghe 2004, Convex Optimization, algorithm 11.2; THEORY T15.
    """
    whole = check_channel(channel)
    matrix = whole[:, whole.sum(0) > 0]  # an output that no input reaches is no unknown
    entropy = -matrix.xlogy(matrix).sum(1)
    weight = matrix.new_full((len(matrix),), 1.0 / len(matrix))
    log_output = (weight @ matrix).log()
    a = log_output + divergences(matrix, log_output).max() + 1.0
    best = _bounds(matrix, weight, a, 0)
    for step in range(1, iterations + 1):
        if best.gap <= tolerance:
            break
        weight, a = _newton(matrix, entropy, weight, a)
        best = _better(best, _bounds(matrix, weight, a, step))
    if best.gap <= tolerance:
        return best
    raise ValueError(
        f"the gap of this {len(whole)} x {whole.shape[1]} channel stayed at {best.gap:.1e} nats after {iterations} "
        f"steps, above the tolerance {tolerance:g}; raise iterations, or ask for 1e-12 or more, which float64 can show."
    )


def _bounds(matrix: Tensor, weight: Tensor, a: Tensor, step: int) -> CapacityResult:
    """What the multipliers prove as an input, and the better of what they and `a` prove as outputs."""
    share = weight / weight.sum()
    own, dual = (divergences(matrix, log_q) for log_q in ((share @ matrix).log(), a.log_softmax(0)))
    return _result(own, share, float(min(own.max(), dual.max())), step)


def _result(kl: Tensor, weight: Tensor, upper: float, iterations: int) -> CapacityResult:
    """Of an input, the divergences it leaves, and an upper bound from anywhere."""
    lower = float(weight @ kl)
    upper = max(upper, lower)  # they may meet, and rounding then order them
    return CapacityResult((lower + upper) / 2, lower, upper, upper - lower, iterations, weight, weight > upper - kl)


def _better(best: CapacityResult, found: CapacityResult) -> CapacityResult:
    """The best lower and upper bound of both; each was proved by itself."""
    ahead = best if best.lower > found.lower else found
    upper = min(best.upper, found.upper)
    value, gap = (ahead.lower + upper) / 2, upper - ahead.lower
    return CapacityResult(value, ahead.lower, upper, gap, found.iterations, ahead.input, ahead.support)


def _newton(matrix: Tensor, entropy: Tensor, weight: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """One primal-dual step: the multipliers and a, both kept strictly inside."""
    slack = matrix @ a + entropy
    centre = 0.1 * float(weight @ slack) / len(slack)
    output = a.softmax(0)
    hessian = output.diag() - output.outer(output) + (matrix.T * (weight / slack)) @ matrix
    move = solve_positive(hessian, matrix.T @ (centre / slack) - output)
    along = matrix @ move
    turn = (centre - weight * along) / slack - weight
    size = min(1.0, _BOUNDARY * longest_step(weight, turn), _BOUNDARY * longest_step(slack, along))
    before = _residual(matrix, entropy, weight, a, centre)
    while size > 1e-10 and (
        _residual(matrix, entropy, weight + size * turn, a + size * move, centre) > (1.0 - 0.01 * size) * before
    ):
        size /= 2
    return weight + size * turn, a + size * move


def _residual(matrix: Tensor, entropy: Tensor, weight: Tensor, a: Tensor, centre: float) -> float:
    """How far the optimality conditions are from holding, as one norm."""
    slack = matrix @ a + entropy
    return math.hypot(float((a.softmax(0) - weight @ matrix).norm()), float((weight * slack - centre).norm()))


def longest_step(x: Tensor, move: Tensor) -> float:
    """The largest t at which x + t move >= 0 everywhere; infinite where nothing falls."""
    falling = move < 0
    return float((x[falling] / -move[falling]).min()) if falling.any() else math.inf


def solve_positive(matrix: Tensor, right: Tensor) -> Tensor:
    """The solution of a symmetric positive definite system, its diagonal scaled to 1 and raised where rounding asks."""
    scale = matrix.diagonal().clamp(min=1e-300).rsqrt()
    scaled = matrix * scale[:, None] * scale
    ridge = 0.0
    while True:
        factor, fault = torch.linalg.cholesky_ex(scaled + ridge * torch.eye(len(scaled), dtype=scaled.dtype))
        if not fault:
            return scale * torch.cholesky_solve((scale * right)[:, None], factor)[:, 0]
        ridge = max(1e-15, 10.0 * ridge)
