"""I(z; class): what z knows of a label, bounded below and above from the posteriors of N sentences."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.bounds import jackknife_error, log_densities
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import Estimate

_TINY = 1e-300  # a probability of 0 as a logarithm that is finite


@dataclass(frozen=True)
class ClassInformation:
    """Two bounds on I(z; class) and what they may not exceed, nats.

    Attributes:
        lower: bound from below, each sentence judged by the others; below 0 it says no more than 0 does.
        upper: bound from above, each sentence among those it is judged by.
        text: I(y; class) of the N sentences; no z can know more, and both bounds are below it to the digit.
    """

    lower: Estimate
    upper: Estimate
    text: Estimate


def class_information(
    mean: Float[Tensor, "N D"],
    log_variance: Float[Tensor, "N D"],
    z: Float[Tensor, "N D"],
    beliefs: Float[Tensor, "N C"],
    *,
    chunk: int = 256,
) -> ClassInformation:
    """Lower and upper bound on I(z; class), nats, with one z_i ~ q(z|y_i) and b_i = P(class|y_i) for each sentence.

    By Bayes the posteriors are a classifier, and its cross-entropy is what they leave unknown:

        I(z; class) = H(class) + E ln P(class|z)        P(class|z) = sum_j b_j q(z|y_j) / sum_j q(z|y_j)

        upper = H(mean b) + mean_i sum_c b_ic ln P(c|z_i)                           j over all sentences
        lower = H(mean b) + mean_i sum_c b_ic ln [(N-1) P(c|z_i) + 1/C] / N         j over all but i

    Lower: its classifier has not seen sentence i, and no classifier has a lower cross-entropy than P(class|z) (Gibbs).
    The one sentence of any class that is added keeps a z without neighbours from costing more than ln N C. Upper: over
    the z_i it averages to H(mean b) - H(class|z) in the population of these N sentences, and H(class|z) is concave in
    the population (Jensen). H(mean b) is below H(class) by at most (C-1) / 2N to first order.

    Data processing: class - y - z, so I(z; class) <= I(y; class). Here sum_c b_ic ln P(c|z_i) <= sum_c b_ic ln b_ic
    (Gibbs again), sentence by sentence: neither bound exceeds `text`. That needs exact beliefs. A label (a row of one
    1) is a draw from them, with which `lower` is a bound still but `text` is H(label) and `upper` may rise to it, as
    z then need only know the sentence.

    The errors are the jackknife's: (y_k, z_k) leaves both as a term and as a component. Memory O(chunk N), time
    O(N^2 (D + C)), in float64.

    Args:
        mean: of the posteriors.
        log_variance: of the posteriors.
        z: one sample of each posterior, row for row.
        beliefs: P(class|y_i) or labels, each row summing to 1.
        chunk: rows of the N x N matrix held at once.

    Raises:
        ValueError: fewer than three sentences, a number that is not finite, or a row of beliefs that is no probability.

    Source: Barber & Agakov 2003, The IM algorithm (the lower bound); THEORY T6, T17.
    """
    count, classes = beliefs.shape
    if count < 3:
        raise ValueError(f"the bounds leave two sentences out in turn and need at least 3, got {count}.")
    mean, log_variance, z, beliefs = (x.detach().to(torch.float64) for x in (mean, log_variance, z, beliefs))
    for name, x in (("mean", mean), ("log_variance", log_variance), ("z", z), ("beliefs", beliefs)):
        if faults := int((~x.isfinite()).sum()):
            raise ValueError(f"{name} must be finite, got {faults} entries that are not.")
    if faults := int(((beliefs < 0).any(1) | ((beliefs.sum(1) - 1).abs() > 1e-6)).sum()):
        raise ValueError(f"each row of beliefs must be >= 0 and sum to 1, got {faults} rows that are not.")
    centre = mean.mean(0)
    posterior = DiagonalGaussian(mean - centre, log_variance)
    own = posterior.log_prob(z - centre)
    terms = torch.empty(2, count, dtype=torch.float64, device=mean.device)  # sum_c b_ic ln P(c|z_i): own in, own out
    columns = torch.zeros_like(terms)  # the sum of the others' terms when sentence k has left
    for start, density in log_densities(posterior, z - centre, chunk):
        at = torch.arange(start, start + density.shape[0], device=mean.device)
        for side, (diagonal, blank) in enumerate(
            ((own[at], 0.0), (torch.full_like(own[at], -math.inf), 1.0 / classes))
        ):
            density[at - start, at] = diagonal
            terms[side, at], left = _leave_each_out(density, beliefs, start, blank, count - side)
            left[at - start, at] = 0.0
            columns[side] += left.sum(0)
    known = (beliefs.xlogy(beliefs)).sum(1)
    text = _estimate(known, known.sum() - known, beliefs)
    return ClassInformation(_estimate(terms[1], columns[1], beliefs), _estimate(terms[0], columns[0], beliefs), text)


def _leave_each_out(
    density: Float[Tensor, "M N"], beliefs: Float[Tensor, "N C"], start: int, blank: float, components: int
) -> tuple[Float[Tensor, " M"], Float[Tensor, "M N"]]:
    """sum_c b_ic ln P(c|z_i) of each row, and what it is when column k leaves; P with `blank` more of every class.

    As in the bounds on I(y; z), the column that may hold more than half of a row is left out by a sum without it; no
    other takes row i's own sentence along, which keeps at least its own share.
    """
    sentences = 1.0 if blank else 0.0
    weight, own = density.softmax(1), beliefs[start : start + len(density)]
    top = density.argmax(1, keepdim=True)
    rest = density.scatter(1, top, -math.inf).softmax(1) @ beliefs  # [M, C]
    whole = weight @ beliefs
    share = weight.diagonal(start)[:, None] * own
    terms = own.xlogy(((components * whole + blank) / (components + sentences)).clamp(min=_TINY)).sum(1)
    left = torch.zeros_like(density)
    for c in range(beliefs.shape[1]):
        rows = own[:, c].nonzero().squeeze(1)
        without = (whole[rows, c, None] - weight[rows] * beliefs[:, c]).clamp(min=_TINY).maximum(share[rows, c, None])
        without = (without / (1.0 - weight[rows])).scatter(1, top[rows], rest[rows, c, None])
        chance = ((components - 1) * without + blank) / (components - 1 + sentences)
        left[rows] += own[rows, c, None] * chance.clamp(min=_TINY).log()
    return terms, left


def _estimate(terms: Float[Tensor, " N"], others: Float[Tensor, " N"], beliefs: Float[Tensor, "N C"]) -> Estimate:
    """H(mean b) + the mean of the terms, with the error of both; others[k]: the sum of the terms when k has left."""
    count = len(terms)
    prior = beliefs.mean(0)
    left_out = (beliefs.sum(0) - beliefs) / (count - 1)
    value = terms.mean() - prior.xlogy(prior).sum()
    without = others / (count - 1) - left_out.xlogy(left_out).sum(1)
    return Estimate(value.item(), jackknife_error(without), count)
