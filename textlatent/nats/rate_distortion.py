"""R(D) of a discrete source, nats per symbol, each point between two bounds that prove it.

    R(D) = min I(x, y) over the channels Q(y|x) with E d(x, y) <= D

At a slope s >= 0 the point of the curve with dR/dD = -s is found from

    phi(s) = min_Q I + s E d = min_q -sum_x p_x ln sum_y q_y e^(-s d_xy)

whose q bounds it from both sides: phi(q) - ln max_y c_y <= phi(s) <= phi(q), c_y = sum_x p_x e^(-s d_xy) / (A q)_x.
The tangent phi(s) - s D lies below the whole curve, so one slope bounds R from below at every D.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.capacity import TOLERANCE, longest_step, solve_positive
from textlatent.nats.channel import channel_information

_SAME = 1e-12  # distortions no further apart are one, relative to 1
_SLOPES = 100  # tangents that a search at a given distortion may take


@dataclass(frozen=True)
class RatePoint:
    """A point above or on the curve, and how far below it the curve may run.

    Attributes:
        rate: I(x, y) of `channel`, nats: R(distortion) is no more.
        distortion: E d(x, y) of `channel`, in d's unit.
        lower: R(distortion) is no less, nats.
        gap: rate - lower.
        slope: -dR/dD there, nats per unit of distortion.
        iterations: Newton steps taken.
        channel: Q(y|x), [X, Y].
    """

    rate: float
    distortion: float
    lower: float
    gap: float
    slope: float
    iterations: int
    channel: Float[Tensor, "X Y"]

    def tangent(self, distortion: float) -> float:
        """A lower bound on R at another distortion, nats: the line of this slope."""
        if math.isinf(self.slope):
            return self.lower if distortion <= self.distortion else 0.0
        return self.lower + self.slope * (self.distortion - distortion)


def rate_at_slope(
    source: Float[Tensor, " X"],
    distortion: Float[Tensor, "X Y"],
    slope: float,
    *,
    tolerance: float = TOLERANCE,
    iterations: int = 100,
) -> RatePoint:
    """The point of R(D) at which dR/dD = -slope, certified to `tolerance` nats.

    A primal-dual interior-point method on q; a step is one linear system in the smaller alphabet.

    Args:
        source: P(x).
        distortion: d(x, y), rectangular; infinite where y may not stand for x.
        slope: nats per unit of distortion; infinite for the least distortion.
        tolerance: the gap to reach, nats.
        iterations: Newton steps at most.

    Raises:
        ValueError: no distribution, a distortion without a finite entry for some x, a slope below 0, or a gap that is
            not reached.

    Source: Blahut 1972, theorems 5 to 7; Csiszar 1974 (the bounds); Boyd & Vandenberghe 2004, algorithm 11.2.
    """
    source, distortion = check_source(source, distortion)
    if not slope >= 0.0:
        raise ValueError(f"slope must be >= 0, got {slope}; 0 is no rate, infinity the least distortion.")
    least = distortion.min(1).values
    kernel = _kernel(distortion - least[:, None], slope)
    output = kernel.new_full((kernel.shape[1],), 1.0 / kernel.shape[1])
    held = torch.ones_like(output)  # the multipliers of output >= 0
    best = _point(source, distortion, kernel, output, slope, 0)
    for step in range(1, iterations + 1):
        if best.gap <= tolerance:
            break
        output, held = _newton(source, kernel, output, held)
        point = _point(source, distortion, kernel, output / output.sum(), slope, step)
        best = min(best, point, key=lambda each: each.gap)
    if best.gap <= tolerance:
        return best
    raise ValueError(f"R(D) at slope {slope:g} stayed {best.gap:.1e} nats open, above {tolerance:g}; raise iterations.")


def rate_at(
    source: Float[Tensor, " X"], distortion: Float[Tensor, "X Y"], wanted: float, *, tolerance: float = 1e-9
) -> RatePoint:
    """R(D) at D = `wanted`, certified to `tolerance` nats.

    Between two slopes the channel is a mixture of theirs (rate is convex in it); the next slope is the chord's, which
    ends at once where the curve is straight.

    Raises:
        ValueError: as `rate_at_slope`; a distortion below the least there is; a gap that rounding leaves open.
    """
    source, distortion = check_source(source, distortion)
    low = rate_at_slope(source, distortion, math.inf, tolerance=tolerance / 10)
    high = _no_rate(source, distortion)
    near = _SAME * max(1.0, abs(low.distortion))
    if wanted < low.distortion - near:
        raise ValueError(f"the least distortion of this source is {low.distortion:g}, got {wanted:g}.")
    if wanted <= low.distortion + near:
        return low
    if wanted >= high.distortion:
        return high
    below = (0.0, 0.0)  # the best lower bound, and the slope of the tangent it is on
    for _ in range(_SLOPES):
        share = (high.distortion - wanted) / (high.distortion - low.distortion)
        channel = share * low.channel + (1.0 - share) * high.channel
        rate = float(channel_information(channel, source))
        steps = low.iterations + high.iterations
        if rate - below[0] <= tolerance:
            return RatePoint(rate, wanted, min(below[0], rate), max(rate - below[0], 0.0), below[1], steps, channel)
        chord = (low.rate - high.rate) / (high.distortion - low.distortion)
        found = rate_at_slope(source, distortion, chord, tolerance=tolerance / 10)
        below = max(below, (found.tangent(wanted), chord))
        if low.distortion < found.distortion <= wanted:
            low = found
        elif wanted < found.distortion < high.distortion:
            high = found
    raise ValueError(f"R({wanted:g}) stayed {rate - below[0]:.1e} nats open, above {tolerance:g}; ask for 1e-9.")


def rate_distortion_curve(
    source: Float[Tensor, " X"],
    distortion: Float[Tensor, "X Y"],
    *,
    slopes: Sequence[float] | None = None,
    tolerance: float = TOLERANCE,
) -> list[RatePoint]:
    """Points of R(D) by falling rate: the least distortion, one for each slope, and no rate at all.

    For a decoder and N sentences, source = 1 / N and distortion [N, K] = -ln P_dec(y_n|k): the curve is what the best
    encoder and prior would reach with this decoder, and a trained model's (rate, distortion) lies on or above it.

    Args:
        source: P(x).
        distortion: d(x, y).
        slopes: nats per unit of distortion; if not given, 25 of ratio 2^(1/3) about that of the chord.
        tolerance: the gap of each point, nats.

    Raises:
        ValueError: as `rate_at_slope`.
    """
    source, distortion = check_source(source, distortion)
    ends = rate_at_slope(source, distortion, math.inf, tolerance=tolerance), _no_rate(source, distortion)
    if slopes is None:
        reach = max(ends[1].distortion - ends[0].distortion, 1e-300)
        slopes = [2.0 ** (k / 3) * max(ends[0].rate, 1e-300) / reach for k in range(-12, 13)]
    inner = [rate_at_slope(source, distortion, s, tolerance=tolerance) for s in sorted(slopes, reverse=True)]
    return [ends[0], *inner, ends[1]]


def check_source(source: Tensor, distortion: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64, symbols of probability 0 left out.

    Raises:
        ValueError: no distribution, or a distortion that leaves some x no finite choice.
    """
    source, distortion = source.detach().to(torch.float64), distortion.detach().to(torch.float64)
    if source.ndim != 1 or bool((source < 0).any()) or not abs(float(source.sum()) - 1.0) < 1e-6:
        raise ValueError(f"a source is a vector of probabilities that sum to 1, got the sum {float(source.sum()):g}.")
    if distortion.ndim != 2 or len(distortion) != len(source) or not distortion.shape[1]:
        raise ValueError(f"distortion must have {len(source)} rows, one per symbol, got {tuple(distortion.shape)}.")
    used = source > 0
    source, distortion = source[used] / source.sum(), distortion[used]
    if bool(distortion.isnan().any()) or not bool(distortion.min(1).values.isfinite().all()):
        raise ValueError("each row of the distortion needs a finite smallest entry, and none may be NaN.")
    return source, distortion


def _kernel(excess: Tensor, slope: float) -> Tensor:
    """e^(-slope excess), 0 where the excess is infinite."""
    if math.isinf(slope):
        return (excess == 0).to(excess.dtype)
    return torch.where(excess.isinf(), 0.0, torch.exp(-slope * torch.where(excess.isinf(), 0.0, excess)))


def _no_rate(source: Tensor, distortion: Tensor) -> RatePoint:
    """The end of the curve at rate 0: the one y that is best for all x."""
    means = source @ distortion
    best = int(means.argmin())
    if math.isinf(float(means[best])):
        raise ValueError("no single y can stand for every x, so rate 0 has infinite distortion; the curve has no end.")
    channel = torch.zeros_like(distortion)
    channel[:, best] = 1.0
    return RatePoint(0.0, float(means[best]), 0.0, 0.0, 0.0, 0, channel)


def _point(source: Tensor, distortion: Tensor, kernel: Tensor, output: Tensor, slope: float, step: int) -> RatePoint:
    """Rate and distortion of the channel that q makes, and the tangent that its certificate leaves."""
    mass = kernel @ output
    channel = kernel * output / mass[:, None]
    where = channel > 0
    least = distortion.min(1).values
    over = torch.where(where, channel * torch.where(where, distortion - least[:, None], 0.0), 0.0).sum(1)
    rate = float(channel_information(channel, source))
    ratio = float(((source / mass) @ kernel).max().log())
    tilt = 0.0 if math.isinf(slope) else slope * float(source @ over)
    lower = float(-(source @ mass.log())) - max(ratio, 0.0) - tilt
    return RatePoint(
        rate, float(source @ (over + least)), min(lower, rate), max(rate - lower, 0.0), slope, step, channel
    )


def _newton(source: Tensor, kernel: Tensor, output: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    """One primal-dual step on min -sum p ln(A q) + sum q over q >= 0; q and its multipliers stay inside."""
    mass = kernel @ output
    gradient = 1.0 - (source / mass) @ kernel
    centre = 0.1 * float(output @ held) / len(output)
    move = _solve_sum(kernel, source / mass.square(), held / output, centre / output - gradient)
    turn = (centre - held * move) / output - held
    size = min(1.0, 0.99 * longest_step(output, move), 0.99 * longest_step(held, turn))
    before = _residual(source, kernel, output, held, centre)
    while size > 1e-10 and (
        _residual(source, kernel, output + size * move, held + size * turn, centre) > (1.0 - 0.01 * size) * before
    ):
        size /= 2
    return output + size * move, held + size * turn


def _residual(source: Tensor, kernel: Tensor, output: Tensor, held: Tensor, centre: float) -> float:
    gradient = 1.0 - (source / (kernel @ output)) @ kernel
    return math.hypot(float((gradient - held).norm()), float((output * held - centre).norm()))


def _solve_sum(kernel: Tensor, weight: Tensor, diagonal: Tensor, right: Tensor) -> Tensor:
    """(A^T diag(weight) A + diag(diagonal))^-1 right, in the smaller of the two alphabets (Woodbury)."""
    if kernel.shape[1] <= kernel.shape[0]:
        return solve_positive((kernel.T * weight) @ kernel + diagonal.diag(), right)
    inner = solve_positive((kernel / diagonal) @ kernel.T + (1.0 / weight).diag(), kernel @ (right / diagonal))
    return (right - kernel.T @ inner) / diagonal
