"""Where a rate that is no information goes: KL(agg || pri) = total correlation + sum over dimensions, bounded."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.bounds import NINETY_FIVE, InformationBounds, log_densities
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import Estimate

EVALUATED = 500
"""Sentences whose z is looked up in the mixture, where there are more."""
_NUMBERS = 2**18  # of an n x N matrix held at once: it stays in a core's cache


@dataclass(frozen=True)
class Bounded:
    """A quantity between two estimates, nats per sentence, each right in expectation as a bound.

    Attributes:
        lower: bound from below.
        upper: bound from above.
        ceiling: a bound from above that holds at 95 % by itself, where there is one.
    """

    lower: Estimate
    upper: Estimate
    ceiling: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """From the lower bound - 1.96 standard errors to the upper bound + 1.96 (or to the ceiling)."""
        high = self.upper.value + NINETY_FIVE * self.upper.se if self.ceiling is None else self.ceiling
        return self.lower.value - NINETY_FIVE * self.lower.se, high


@dataclass(frozen=True)
class MismatchSplit:
    """KL(agg || pri) for a factorised prior, nats per sentence.

    The upper ends add up: whole.upper = total_correlation at its own point, `point`, + dimensions.upper.

    Attributes:
        whole: KL(agg || pri) = rate - information.
        total_correlation: KL(agg || prod_d agg_d), what the dimensions of the aggregate share.
        point: the total correlation that the whole's upper end and the dimensions' leave, with its error.
        dimensions: sum_d KL(agg_d || pri_d).
        per_dimension: KL(agg_d || pri_d) of each.
        evaluated: sentences whose z was looked up for the dimensions.
    """

    whole: Bounded
    total_correlation: Bounded
    point: Estimate
    dimensions: Bounded
    per_dimension: list[Bounded]
    evaluated: int


def whole_mismatch(rate: Float[Tensor, " N"], information: InformationBounds) -> Bounded:
    """KL(agg || pri) = rate - information, nats per sentence, whatever the prior, with the error of the difference.

    Where the information has a floor of its own the interval ends at rate - floor, and beyond it by what the rate's
    error adds: at the point + sqrt((1.96 se_rate)^2 + (information - floor)^2).

    Source: Zou & Donner 2008, limits of a difference from the limits of its parts, these taken for independent.
    """
    paid = _One.mean(rate.detach().to(torch.float64))
    found = _bounded(*(paid.less(_information(information, end)) for end in ("upper", "lower")))
    if information.floor is None:
        return found
    se = paid.estimate().se
    apart = information.lower.value - information.floor
    return replace(found, ceiling=found.upper.value + math.hypot(NINETY_FIVE * se, apart))


def mismatch_split(
    kl: Float[Tensor, "N D"],
    posterior: DiagonalGaussian,
    z: Float[Tensor, "N D"],
    *,
    information: InformationBounds,
    evaluated: int = EVALUATED,
) -> MismatchSplit:
    """The parts of KL(agg || pri), nats per sentence, each between two bounds.

        KL(agg || pri) = KL(agg || prod_d agg_d) + sum_d KL(agg_d || pri_d)

    Posterior and prior factorise, so the information of each single dimension decides all of it:

        KL(agg_d || pri_d) = rate_d - I(y; z_d)         total correlation = sum_d I(y; z_d) - I(y; z)

    and I(y; z_d) is bounded like I(y; z), own component included and excluded, from one-dimensional densities. The
    bounds of a difference take the opposite ends.

    Errors: a sentence k enters as a term, as a component of every other's mixture and through the rate; its influence
    on the whole sum is (value - value without k), for a component to first order, w_ik for -ln(1 - w_ik): the
    infinitesimal jackknife. se^2 = sum_k influence_k^2, and the parts' errors are paired.

    Time is O(n N D) for n = min(N, evaluated) sentences looked up, the first n of a fixed shuffle.

    Args:
        kl: KL(enc || pri) per dimension, [N, D].
        posterior: of the same sentences.
        z: a sample of each posterior.
        information: the bounds on I(y; z) of the same sentences.
        evaluated: sentences looked up at most.

    Raises:
        ValueError: fewer than three sentences, or a kl of another shape.

    Source: Chen et al. 2018, arXiv:1802.04942, eq. 2 (there from minibatches); THEORY T6.
    """
    count, size = posterior.mean.shape
    if count < 3:
        raise ValueError(f"the split leaves two sentences out in turn and needs at least 3, got {count}.")
    if kl.shape != (count, size):
        raise ValueError(f"kl must hold {count} x {size} numbers, one per sentence and dimension, got {kl.shape}.")
    kl, z = kl.detach().to(torch.float64), z.detach().to(torch.float64)
    chosen = torch.arange(count)
    if evaluated < count:
        chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:evaluated]
    ends = [_One.mean(kl.sum(1)).less(_information(information, end)) for end in ("upper", "lower")]
    columns = [_dimension(kl[:, d], posterior, z, d, chosen.to(z.device)) for d in range(size)]
    sums = [_total([pair[end] for pair in columns]) for end in range(2)]
    whole, dimensions = ([pair[0], pair[1]] for pair in (ends, sums))
    return MismatchSplit(
        whole=_bounded(whole[0], whole[1]),
        total_correlation=_bounded(whole[0].less(dimensions[1]), whole[1].less(dimensions[0])),
        point=whole[1].less(dimensions[1]).estimate(),
        dimensions=_bounded(dimensions[0], dimensions[1]),
        per_dimension=[_bounded(*pair) for pair in columns],
        evaluated=len(chosen),
    )


@dataclass(frozen=True)
class _One:
    """An estimate, each sentence's influence on it, and a further part of its variance."""

    value: Tensor
    influence: Tensor
    variance: float = 0.0

    @classmethod
    def mean(cls, x: Tensor) -> "_One":
        return cls(x.mean(), (x - x.mean()) / (len(x) - 1))

    def less(self, other: "_One") -> "_One":
        return _One(self.value - other.value, self.influence - other.influence, self.variance + other.variance)

    def estimate(self) -> Estimate:
        count = len(self.influence)
        squared = (self.influence - self.influence.mean()).square().sum().item()
        return Estimate(self.value.item(), math.sqrt(squared * (count - 1) / count + self.variance), count)


def _bounded(lower: _One, upper: _One) -> Bounded:
    return Bounded(lower.estimate(), upper.estimate())


def _total(parts: list[_One]) -> _One:
    return _One(torch.stack([p.value for p in parts]).sum(), torch.stack([p.influence for p in parts]).sum(0))


def _information(bounds: InformationBounds, end: str) -> _One:
    """A bound on I(y; z) with its influences: value - value without the sentence."""
    estimate, left_out = getattr(bounds, end), getattr(bounds, f"{end}_left_out")
    others = getattr(bounds, f"{end}_others_se")
    return _One(left_out.new_tensor(estimate.value), left_out.mean() - left_out, others**2)


def _dimension(
    rate: Tensor, posterior: DiagonalGaussian, z: Tensor, dimension: int, chosen: Tensor
) -> tuple[_One, _One]:
    """Lower and upper bound on KL(agg_d || pri_d) = rate_d - I(y; z_d) of one dimension."""
    one = slice(dimension, dimension + 1)
    alone = DiagonalGaussian(posterior.mean[:, one], posterior.log_variance[:, one]).double()
    own = alone.log_prob(z[:, one])[chosen]
    rows, columns = _mixtures(alone, z[chosen, dimension], own, chosen)
    found = []
    for row, column, components in ((rows[0], columns[0], len(rate) - 1), (rows[1], columns[1], len(rate))):
        terms = rate[chosen] - own + row - math.log(components)  # rate_d - ln q(z_d|y) + ln the mixture's density
        influence = (column - len(chosen) / components) / len(chosen)
        influence[chosen] += (terms - terms.mean()) / (len(chosen) - 1)
        found.append(_One(terms.mean(), influence))
    return found[0], found[1]


def _mixtures(
    alone: DiagonalGaussian, z: Float[Tensor, " n"], own: Float[Tensor, " n"], chosen: Tensor
) -> tuple[Float[Tensor, "2 n"], Float[Tensor, "2 N"]]:
    """Of the mixture without and with the own component: ln R_i, and each other component's sum of shares w_ik."""
    centre, ones = alone.mean.mean(), torch.ones_like(alone.mean[:, 0])
    moved = DiagonalGaussian(alone.mean - centre, alone.log_variance)
    rows, columns = z.new_empty(2, len(z)), z.new_zeros(2, len(ones))
    for start, density in log_densities(moved, z[:, None] - centre, max(1, _NUMBERS // len(ones))):
        at = torch.arange(start, start + len(density), device=z.device)
        density[at - start, chosen[at]] = -math.inf
        density.exp_()  # one dimension: no more than 1 / sigma
        total = torch.mv(density, ones)  # several times faster than sum
        scale = torch.zeros_like(total)
        for row in (total == 0.0).nonzero().flatten().tolist():  # all others are beyond e^-745
            far = alone.log_prob(z[row + start].view(1, 1))
            far[chosen[row + start]] = -math.inf
            scale[row] = far.max()
            density[row] = (far - scale[row]).exp()
            total[row] = density[row].sum()
        rows[0, at] = total.log() + scale
        rows[1, at] = torch.logaddexp(rows[0, at], own[at])
        for side in range(2):
            columns[side] += torch.mv(density.T, (scale - rows[side, at]).exp())
    return rows, columns
