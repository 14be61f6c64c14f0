"""I(y; z) bounded below and above from the posteriors of N sentences, and of others that only enlarge the mixture."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.gaussian import LOG_TWO_PI, DiagonalGaussian
from textlatent.nats.montecarlo import Estimate

NINETY_FIVE = 1.96
"""Standard errors on either side of a 95 % interval."""
_NUMBERS = 2**21  # of the N x (N + M) matrix held at once where no chunk is named


@dataclass(frozen=True)
class InformationBounds:
    """Two bounds on I(y; z), nats per sentence, each right in expectation over the sentences and their z.

    Attributes:
        lower: bound from below; of a mixture of posteriors, and of counted codes, it never exceeds `cap`.
        upper: bound from above.
        cap: ln (N + M), all the nats that so many components can show.
        count: N.
        lower_left_out: [N], `lower` without sentence k, for the error of a difference that contains it.
        upper_left_out: [N], `upper` without sentence k.
        others: M, components that are no sentences of these.
        lower_others_se: the part of `lower`'s error that comes from the choice of the others.
        upper_others_se: the same of `upper`.
        drift: nats by which the others explain these z worse than the sentences do each other; where it is above 0,
            `lower` has been lowered by it. None without others.
        floor: a bound from below that holds at 95 % by itself, where there is one; at most the value of `upper`.
    """

    lower: Estimate
    upper: Estimate
    cap: float
    count: int
    lower_left_out: Tensor
    upper_left_out: Tensor
    others: int = 0
    lower_others_se: float = 0.0
    upper_others_se: float = 0.0
    drift: Estimate | None = None
    floor: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """From the lower bound - 1.96 standard errors (or the floor) to the upper bound + 1.96, nats per sentence."""
        low = self.lower.value - NINETY_FIVE * self.lower.se if self.floor is None else self.floor
        return low, self.upper.value + NINETY_FIVE * self.upper.se


def information_bounds(
    mean: Float[Tensor, "N D"],
    log_variance: Float[Tensor, "N D"],
    z: Float[Tensor, "N D"],
    *,
    others: DiagonalGaussian | None = None,
    chunk: int | None = None,
) -> InformationBounds:
    """Lower and upper bound on I(y; z), nats per sentence, with one z_i ~ q(z|y_i) for each of N sentences.

        lower = mean_i [ ln q(z_i|y_i) - ln 1/N     sum_j    q(z_i|y_j) ]     own component included: <= ln N
        upper = mean_i [ ln q(z_i|y_i) - ln 1/(N-1) sum_j!=i q(z_i|y_j) ]     own component excluded

    The terms share the mixture, so sd / sqrt(N) is not their error: it is the jackknife's over sentences, (y_k, z_k)
    leaving both as a term and as a component. (A bootstrap would not do: a sentence drawn twice is its own neighbour.)
    With R_i the row sum of q(z_i|y_j) and w_ik = q(z_i|y_k) / R_i, sentence k leaves R_i (1 - w_ik) behind, so

        lower_(k) = 1/(N-1) sum_i!=k [ ln q(z_i|y_i) - ln R_i - ln(1 - w_ik) ] + ln(N-1)

    which needs row sums and column sums alone; upper_(k) has R_i without q(z_i|y_i), and ln(N-2).

    Others. Posteriors of M more sentences join both sums, N + M and N - 1 + M of them: the cap rises to ln(N + M), and
    both bounds close. The upper one holds whatever the others are, because E KL(q || m) = I + KL(agg || m) for every m
    that (y_i, z_i) has no part in. The lower one needs y_i to be exchangeable with every component; for others of
    another population (training sentences, to an encoder that has memorised them) it is at most ln c too high, where
    with z_i independent of all N - 1 + M components

        c = (N-1+M)/(N-1) E_i [ sum_j!=i q(z_i|y_j) / (sum_j!=i q(z_i|y_j) + sum_m q(z_i|y_m)) ],   1 if exchangeable

    (Donsker & Varadhan's I >= E ln g - ln E_independent g, g = q(z_i|y_i) over the mixture). ln c is `drift`; `lower`
    is lowered by it where it is above 0, and so holds for any others up to O(1/N). The two samples, sentences and
    others, are independent, so the square of the error is a jackknife's over the N plus one's over the M.

    Memory is O(chunk * (N + M)), time O(N (N + M) D), all in float64. The quadratic form is expanded into one matrix
    product about the centre of the means: a density's error is about 1e-16 times the largest (z / sigma)^2.

    Args:
        mean: of the posteriors.
        log_variance: of the posteriors.
        z: one sample of each posterior, row for row.
        others: posteriors [M, D] of sentences that are not among these.
        chunk: rows of the matrix held at once; about two million numbers if not given.

    Raises:
        ValueError: fewer than three sentences, a number that is not finite, or others of another D.

    Source: Poole et al. 2019, arXiv:1905.06922, InfoNCE with a tractable conditional and the leave-one-out upper
    bound; Arvesen 1969, Jackknifing U-statistics, for two samples; THEORY T6.
    """
    count = mean.shape[0]
    if count < 3:
        raise ValueError(f"the bounds leave two sentences out in turn and need at least 3, got {count}.")
    mixture = _joined(DiagonalGaussian(mean, log_variance), others)
    total = len(mixture.mean)
    sums = _sums(*_centred(mixture, z), chunk=chunk or max(1, _NUMBERS // total))
    lower = _bound(sums.own - sums.rows[0], sums.columns[0], components=total)
    upper = _bound(sums.own - sums.rows[1], sums.columns[1], components=total - 1)
    drift = None
    if total > count:
        drift = _drift(sums)
        lower = lower.less(drift.above_zero())
    return InformationBounds(
        lower=lower.estimate(),
        upper=upper.estimate(),
        cap=math.log(total),
        count=count,
        lower_left_out=lower.left_out,
        upper_left_out=upper.left_out,
        others=total - count,
        lower_others_se=jackknife_error(lower.without_other),
        upper_others_se=jackknife_error(upper.without_other),
        drift=None if drift is None else drift.estimate(),
    )


def jackknife_error(left_out: Float[Tensor, " N"]) -> float:
    """Standard error, in the unit of left_out, of an estimate whose value without sentence k is left_out[k].

    sqrt((N-1)/N sum_k (left_out_k - their mean)^2), on average no smaller than the truth; 0 of no sentences.

    Source: Efron & Stein 1981, The jackknife estimate of variance.
    """
    count = left_out.shape[0]
    return math.sqrt((count - 1) * left_out.to(torch.float64).var(correction=0).item()) if count else 0.0


@dataclass(frozen=True)
class _TwoSamples:
    """An estimate, and its values without each sentence [N] and without each other component [M]."""

    value: Tensor
    left_out: Tensor
    without_other: Tensor

    def less(self, other: "_TwoSamples") -> "_TwoSamples":
        return _TwoSamples(
            self.value - other.value, self.left_out - other.left_out, self.without_other - other.without_other
        )

    def above_zero(self) -> "_TwoSamples":
        return _TwoSamples(*(x.clamp(min=0.0) for x in (self.value, self.left_out, self.without_other)))

    def estimate(self) -> Estimate:
        error = math.hypot(jackknife_error(self.left_out), jackknife_error(self.without_other))
        return Estimate(self.value.item(), error, len(self.left_out))


def _joined(sentences: DiagonalGaussian, others: DiagonalGaussian | None) -> DiagonalGaussian:
    """The components of the mixture: those of the sentences first."""
    if others is None:
        return sentences
    size = sentences.mean.shape[1]
    if others.mean.shape[1:] != (size,):
        raise ValueError(
            f"the others must have {size} dimensions, as these sentences have, got {others.mean.shape[1]}."
        )
    mean, log_variance = (
        torch.cat([mine, theirs.to(mine)])
        for mine, theirs in ((sentences.mean, others.mean), (sentences.log_variance, others.log_variance))
    )
    return DiagonalGaussian(mean, log_variance)


def _centred(mixture: DiagonalGaussian, z: Tensor) -> tuple[DiagonalGaussian, Tensor]:
    """Both in float64 about the centre of the means.

    Raises:
        ValueError: a number is not finite.
    """
    mean, log_variance, z = (x.detach().to(torch.float64) for x in (mixture.mean, mixture.log_variance, z))
    for name, tensor in (
        ("mean", mean),
        ("log_variance", log_variance),
        ("1 / variance", (-log_variance).exp()),
        ("z", z),
    ):
        if faults := int((~tensor.isfinite()).sum()):
            raise ValueError(f"{name} must be finite, got {faults} entries that are not.")
    centre = mean.mean(0)
    return DiagonalGaussian(mean - centre, log_variance), z - centre


@dataclass(frozen=True)
class _Sums:
    """What one pass over ln q(z_i|y_j) leaves; the first axis of rows and columns: own included, excluded.

    Attributes:
        own: ln q(z_i|y_i), [N].
        rows: ln R_i, [2, N].
        columns: sum_i!=k ln(1 - w_ik), [2, N + M].
        share: the sentences' share of R_i, own excluded, [N].
        shares: sum_i!=k of that share without component k, [N + M].
    """

    own: Tensor
    rows: Tensor
    columns: Tensor
    share: Tensor
    shares: Tensor


def _sums(mixture: DiagonalGaussian, z: Tensor, *, chunk: int) -> _Sums:
    count, total = len(z), len(mixture.mean)
    own = DiagonalGaussian(mixture.mean[:count], mixture.log_variance[:count]).log_prob(z)
    rows, columns = own.new_empty(2, count), own.new_zeros(2, total)
    share, shares = torch.ones_like(own), own.new_zeros(total)
    for start, density in log_densities(mixture, z, chunk):
        at = torch.arange(start, start + density.shape[0], device=own.device)
        for side, diagonal in enumerate((own[at], torch.full_like(own[at], -math.inf))):
            density[at - start, at] = diagonal
            rows[side, at], left = _leave_each_out(density)
            left[at - start, at] = 0.0
            columns[side] += left.sum(0)
        if total > count:  # of the side without the own component
            both = [density[:, part].logsumexp(1) - rows[1, at] for part in (slice(count), slice(count, None))]
            share[at] = both[0].exp()
            without = torch.cat(
                [-torch.expm1(both[1][:, None] - left[:, :count]), (both[0][:, None] - left[:, count:]).exp()], dim=1
            )
            without[at - start, at] = 0.0
            shares += without.sum(0)
    return _Sums(own, rows, columns, share, shares)


def log_densities(posterior: DiagonalGaussian, z: Tensor, chunk: int) -> Iterator[tuple[int, Tensor]]:
    """First row and ln q(z_i|y_j), [chunk, N + M], of each block of rows; the caller may write into the block."""
    precision = (-posterior.log_variance).exp()
    weighted = posterior.mean * precision
    constant = -0.5 * (posterior.mean * weighted + posterior.log_variance + LOG_TWO_PI).sum(-1)
    linear = torch.cat([-0.5 * precision, weighted], dim=1).T  # [2D, N + M]
    for start in range(0, len(z), chunk):
        block = z[start : start + chunk]
        yield start, torch.addmm(constant, torch.cat([block.square(), block], dim=1), linear)


def _leave_each_out(density: Float[Tensor, "C N"]) -> tuple[Float[Tensor, " C"], Float[Tensor, "C N"]]:
    """The ln of each row's sum, and what ln of the sum changes by when column k leaves it.

    1 - w loses its digits only where w > 1/2, which at most one column of a row can be: that one is summed anew.
    """
    top, at = density.max(dim=1, keepdim=True)
    rest = density.scatter(1, at, -math.inf).logsumexp(1, keepdim=True)
    total = torch.logaddexp(top, rest)
    change = (density - total).exp_().neg_().log1p_()
    change.scatter_(1, at, rest - total)
    return total.squeeze(1), change


def _bound(terms: Tensor, columns: Tensor, *, components: int) -> _TwoSamples:
    """The bound whose terms are ln q(z_i|y_i) - ln R_i, and its value without each sentence and each other."""
    count = len(terms)
    left_out = (terms.sum() - terms - columns[:count]) / (count - 1) + math.log(components - 1)
    without_other = terms.mean() - columns[count:] / count + math.log(components - 1)
    return _TwoSamples(terms.mean() + math.log(components), left_out, without_other)


def _drift(sums: _Sums) -> _TwoSamples:
    """The ln of how much more of R_i, own excluded, the sentences explain than their number of it."""
    count, total = len(sums.share), len(sums.shares)
    of_sentences, of_others = sums.shares[:count], sums.shares[count:]
    return _TwoSamples(
        (sums.share.mean() * (total - 1) / (count - 1)).log(),
        (of_sentences / (count - 1) * (total - 2) / (count - 2)).log(),
        (of_others / count * (total - 2) / (count - 1)).log(),
    )
