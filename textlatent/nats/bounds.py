"""I(y; z) bounded below and above from the posteriors of N sentences."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.gaussian import LOG_TWO_PI, DiagonalGaussian
from textlatent.nats.montecarlo import Estimate


@dataclass(frozen=True)
class InformationBounds:
    """Two bounds on I(y; z), nats per sentence, each right in expectation over the sentences and their z.

    Attributes:
        lower: bound from below; it never exceeds `cap`.
        upper: bound from above.
        cap: ln N, all the nats that N sentences can show.
        count: N.
        lower_left_out: [N], `lower` without sentence k, for the error of a difference that contains it.
        upper_left_out: [N], `upper` without sentence k.
    """

    lower: Estimate
    upper: Estimate
    cap: float
    count: int
    lower_left_out: Tensor
    upper_left_out: Tensor


def information_bounds(
    mean: Float[Tensor, "N D"], log_variance: Float[Tensor, "N D"], z: Float[Tensor, "N D"], *, chunk: int = 256
) -> InformationBounds:
    """Lower and upper bound on I(y; z), nats per sentence, with one z_i ~ q(z|y_i) for each of N sentences.

        lower = mean_i [ ln q(z_i|y_i) - ln 1/N     sum_j    q(z_i|y_j) ]     own component included: <= ln N
        upper = mean_i [ ln q(z_i|y_i) - ln 1/(N-1) sum_j!=i q(z_i|y_j) ]     own component excluded

    The terms share the mixture, so sd / sqrt(N) is not their error: it is the jackknife's over sentences, (y_k, z_k)
    leaving both as a term and as a component. (A bootstrap would not do: a sentence drawn twice is its own neighbour.)
    With R_i the row sum of q(z_i|y_j) and w_ik = q(z_i|y_k) / R_i, sentence k leaves R_i (1 - w_ik) behind, so

        lower_(k) = 1/(N-1) sum_i!=k [ ln q(z_i|y_i) - ln R_i - ln(1 - w_ik) ] + ln(N-1)

    which needs row sums and column sums alone; upper_(k) has R_i without q(z_i|y_i), and ln(N-2).

    Memory is O(chunk * N), time O(N^2 D), all in float64. The quadratic form is expanded into one matrix product about
    the centre of the means: a density's error is about 1e-16 times the largest (z / sigma)^2.

    Args:
        mean: of the posteriors.
        log_variance: of the posteriors.
        z: one sample of each posterior, row for row.
        chunk: rows of the N x N matrix held at once.

    Raises:
        ValueError: fewer than three sentences, or a number that is not finite.

    Source: Poole et al. 2019, arXiv:1905.06922, InfoNCE with a tractable conditional and the leave-one-out upper
    bound; THEORY T6.
    """
    count = mean.shape[0]
    if count < 3:
        raise ValueError(f"the bounds leave two sentences out in turn and need at least 3, got {count}.")
    mean, log_variance, z = (x.detach().to(torch.float64) for x in (mean, log_variance, z))
    for name, tensor in (
        ("mean", mean),
        ("log_variance", log_variance),
        ("1 / variance", (-log_variance).exp()),
        ("z", z),
    ):
        if faults := int((~tensor.isfinite()).sum()):
            raise ValueError(f"{name} must be finite, got {faults} entries that are not.")
    centre = mean.mean(0)
    posterior = DiagonalGaussian(mean - centre, log_variance)
    own = posterior.log_prob(z - centre)
    rows = torch.empty(2, count, dtype=torch.float64, device=mean.device)  # ln R_i: own included, excluded
    columns = torch.zeros_like(rows)  # sum_i!=k ln(1 - w_ik)
    for start, density in _log_densities(posterior, z - centre, chunk):
        at = torch.arange(start, start + density.shape[0], device=mean.device)
        for side, diagonal in enumerate((own[at], torch.full_like(own[at], -math.inf))):
            density[at - start, at] = diagonal
            rows[side, at], left = _leave_each_out(density)
            left[at - start, at] = 0.0
            columns[side] += left.sum(0)
    lower, lower_left_out = _estimate(own - rows[0], columns[0], count)
    upper, upper_left_out = _estimate(own - rows[1], columns[1], count - 1)
    return InformationBounds(lower, upper, math.log(count), count, lower_left_out, upper_left_out)


def jackknife_error(left_out: Float[Tensor, " N"]) -> float:
    """Standard error, in the unit of left_out, of an estimate whose value without sentence k is left_out[k].

    sqrt((N-1)/N sum_k (left_out_k - their mean)^2), on average no smaller than the truth.

    Source: Efron & Stein 1981, The jackknife estimate of variance.
    """
    count = left_out.shape[0]
    return math.sqrt((count - 1) * left_out.to(torch.float64).var(correction=0).item())


def _log_densities(posterior: DiagonalGaussian, z: Tensor, chunk: int) -> Iterator[tuple[int, Tensor]]:
    """First row and ln q(z_i|y_j), [chunk, N], of each block of rows; the caller may write into the block."""
    precision = (-posterior.log_variance).exp()
    weighted = posterior.mean * precision
    constant = -0.5 * (posterior.mean * weighted + posterior.log_variance + LOG_TWO_PI).sum(-1)
    linear = torch.cat([-0.5 * precision, weighted], dim=1).T  # [2D, N]
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


def _estimate(terms: Tensor, columns: Tensor, components: int) -> tuple[Estimate, Tensor]:
    """The bound whose terms are ln q(z_i|y_i) - ln R_i, and its value without each sentence."""
    count = len(terms)
    left_out = (terms.sum() - terms - columns) / (count - 1) + math.log(components - 1)
    value = (terms.mean() + math.log(components)).item()
    return Estimate(value, jackknife_error(left_out), count), left_out
