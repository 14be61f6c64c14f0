"""-ln P(y) from importance weights, whether it has converged, and the same nats per token, word or character."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Num
from torch import Tensor

from textlatent.nats.montecarlo import Estimate, effective_sample_size, log_mean_exp, mean_with_error

LADDER = (1, 10, 100, 500)
"""The rungs K of `importance_ladder`, unless it is told others."""


@dataclass(frozen=True)
class ImportanceRow:
    """One rung of the ladder: the bound on NLL that K samples give.

    Attributes:
        samples: K.
        estimate: E -ln 1/K sum_k w_k, nats per sentence.
        ess: effective sample size out of K, mean over sentences.
        ess_worst_decile: one sentence in ten has a smaller one.
        nll: the terms of the estimate, nats, [B].
    """

    samples: int
    estimate: Estimate
    ess: float
    ess_worst_decile: float
    nll: Tensor


@dataclass(frozen=True)
class Convergence:
    """Whether more samples would still lower the IW-NLL.

    Attributes:
        converged: None where one rung or one sentence leaves nothing to compare.
        drop: from the last rung but one to the last, nats per sentence, its error that of the paired differences.
        tolerance: the drop that is let pass, nats per sentence.
        message: the verdict as a sentence.
    """

    converged: bool | None
    drop: Estimate | None
    tolerance: float
    message: str


def importance_ladder(log_weights: Float[Tensor, "S B"], *, ladder: Sequence[int] = LADDER) -> list[ImportanceRow]:
    """The importance-weighted bound on NLL at each K of the ladder, nats per sentence, K rising.

    Rung K averages over the floor(S / K) disjoint blocks of K samples. Rungs above S are left out and S itself is
    always the last. Where K divides the next rung the blocks are nested (K then uses the next rung's samples and no
    others), and the bound never rises between the two, sentence by sentence; rung 1 is the sampled -ELBO.

    Args:
        log_weights: ln P_pri + ln P_dec - ln P_enc of S samples of z ~ enc.
        ladder: the K to report.

    Raises:
        ValueError: a weight that is not finite, or a K below 1.

    Source: THEORY T3; Burda et al. 2016, arXiv:1509.00519, theorem 1.
    """
    draws, _ = log_weights.shape
    if any(samples < 1 for samples in ladder):
        raise ValueError(f"every rung of the ladder must be >= 1, got {list(ladder)}.")
    if not log_weights.isfinite().all():
        sentence = int((~log_weights.isfinite()).any(0).nonzero()[0])
        raise ValueError(f"every log weight must be finite; row {sentence} of the Scores has one that is not.")
    rows: list[ImportanceRow] = []
    used = draws
    for samples in sorted({draws, *(k for k in ladder if k < draws)}, reverse=True):
        nested = bool(rows) and rows[0].samples % samples == 0
        used = used if nested else draws - draws % samples
        rows.insert(0, _rung(log_weights[:used].to(torch.float64), samples))
    return rows


def _rung(log_weights: Float[Tensor, "S B"], samples: int) -> ImportanceRow:
    blocks = log_weights.reshape(-1, samples, log_weights.shape[1])  # [blocks, K, B]
    nll = -log_mean_exp(blocks, dim=1).mean(0)
    flat = blocks.transpose(0, 1).reshape(samples, -1)
    ess = effective_sample_size(flat).reshape(blocks.shape[0], -1).mean(0)
    return ImportanceRow(samples, mean_with_error(nll), ess.mean().item(), ess.quantile(0.1).item(), nll)


def convergence(rows: Sequence[ImportanceRow], *, tolerance: float = 0.1) -> Convergence:
    """Whether the ladder's last step is down by less than `tolerance` nats per sentence, two standard errors included.

    A nested ladder falls for every sentence, so with sentences enough any drop is many standard errors from 0: the
    question is not whether it falls but whether by an amount that is read.

    Args:
        rows: of `importance_ladder`.
        tolerance: 0.1 nat, the last digit that published tables of text VAEs print (He et al. 2019, arXiv:1901.05534).
    """
    if len(rows) < 2:
        message = f"one rung (K = {rows[-1].samples}) cannot show whether the bound still falls; take more samples."
        return Convergence(None, None, tolerance, message)
    before, last = rows[-2], rows[-1]
    drop = mean_with_error(before.nll - last.nll)
    step = f"it falls by {drop.value:.3f} nat from K = {before.samples} to {last.samples}"
    if math.isnan(drop.se):
        return Convergence(None, drop, tolerance, f"{step}; a verdict needs more than one sentence.")
    step += f" (se {drop.se:.3f})"
    if drop.value + 2.0 * drop.se <= tolerance:
        return Convergence(True, drop, tolerance, f"converged: {step}, within {tolerance:g}.")
    advice = f"more than {tolerance:g}: the true NLL is lower still; take more samples."
    return Convergence(False, drop, tolerance, f"not converged: {step}, {advice}")


def ratio_with_error(numerator: Num[Tensor, " N"], denominator: Num[Tensor, " N"]) -> Estimate:
    """The sum of one column over the sum of the other and its standard error, both columns random.

    With r the ratio: sqrt(N/(N-1) sum_i (a_i - r b_i)^2) / sum_i b_i, the delta method over sentences.

    Raises:
        ValueError: a denominator that sums to nothing.

    Source: Cochran 1977, Sampling techniques, eq. 6.13 without its finite-population factor.
    """
    a, b = numerator.to(torch.float64), denominator.to(torch.float64)
    count, total = len(b), b.sum().item()
    if total <= 0:
        raise ValueError(f"a ratio needs a denominator above 0, got {total:g} from {count} sentences.")
    value = a.sum().item() / total
    spread = (a - value * b).square().sum().item()
    se = math.sqrt(count / (count - 1) * spread) / total if count > 1 else math.nan
    return Estimate(value, se, count)


def perplexity(nll: Float[Tensor, " N"], count: Num[Tensor, " N"]) -> Estimate:
    """Exp of the corpus's nats per unit (no unit), for sentences of `nll` nats and `count` units each.

    Total over total, never a mean of sentences' own ratios. `count` is what was scored: tokens with EOS, or words + 1.
    """
    ratio = ratio_with_error(nll, count)
    value = math.exp(ratio.value)
    return Estimate(value, value * ratio.se, ratio.count)


def bits_per_unit(nll: Float[Tensor, " N"], count: Num[Tensor, " N"]) -> Estimate:
    """The corpus's bits per unit, for sentences of `nll` nats and `count` units (characters + 1) each."""
    ratio = ratio_with_error(nll, count)
    return Estimate(ratio.value / math.log(2.0), ratio.se / math.log(2.0), ratio.count)
