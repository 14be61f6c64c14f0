"""The ledger: what a model's nats are, each with its standard error, from one Scores record.

    rate = information + mismatch        -ELBO = rate + distortion = IW-NLL + gap        IW-NLL = exact entropy + excess

always at beta = lam = 1. The keys of `build_ledger` are ledger.json's, an interface.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.diagnostics.cell import NO_LATENT, Cell, blank, cell, mean_cell
from textlatent.diagnostics.code_ledger import UNKNOWN_GAP, code_cells, one_code_cell
from textlatent.diagnostics.codes import Alphabet, is_quantised
from textlatent.diagnostics.encoder_first import UNDEFINED, entropy_cells
from textlatent.diagnostics.information import bounds_of, information_cell, mismatch_cell
from textlatent.diagnostics.likelihood import (
    LADDER,
    ImportanceRow,
    bits_per_unit,
    convergence,
    importance_ladder,
    perplexity,
)
from textlatent.diagnostics.usage import THRESHOLD, active_count, rate_per_dimension, variance_per_dimension
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import mean_with_error
from textlatent.scores import Scores


def build_ledger(
    scores: Scores,
    *,
    ladder: Sequence[int] = LADDER,
    exact_nll: Float[Tensor, " N"] | None = None,
    exact_entropy: float | None = None,
    others: DiagonalGaussian | None = None,
    alphabet: Alphabet | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The ledger of `scores` as a dict that JSON holds: nats per sentence where the key says nats.

    Args:
        scores: of one split under condition "own z"; what is blank there has no value here, and a reason.
        ladder: the K of IW-NLL; the number of samples in `scores` is always the last.
        exact_nll: -ln P(y) of the same sentences in the same order, nats, where the language is known.
        exact_entropy: H(y) of that language, nats.
        others: posteriors of sentences that are not among these, to enlarge the mixture of the information bounds.
        alphabet: what codes there are, for Scores that hold codes.
        context: split, corpus, model, seed, versions: copied beside the numbers.

    Raises:
        ValueError: Scores of no sentences, exact_nll of another length or not finite, a context key that is a
            quantity's, or a number in the scores that is not finite.
    """
    count = len(scores)
    if count == 0:
        raise ValueError("a ledger needs the Scores of at least one sentence, got none.")
    if exact_nll is not None and not (exact_nll.shape == (count,) and bool(exact_nll.isfinite().all())):
        raise ValueError(f"exact_nll must hold {count} finite numbers; give no sentence that the language excludes.")
    scores = _in_float64(scores)
    rate, distortion = _rate(scores), None if scores.log_p_dec is None else scores.distortion()
    neg_elbo = None if rate is None or distortion is None else rate + distortion
    weighted = all(x is not None for x in (scores.log_p_enc, scores.log_p_pri, scores.log_p_dec))
    rungs = importance_ladder(scores.log_weights(), ladder=ladder) if weighted else []
    coded = is_quantised(scores)
    marginal = scores.log_marginal if coded else None  # of classes it is what the weights say already
    nll = rungs[-1].nll if rungs else None
    if marginal is not None:
        nll = -marginal
    bounds, why_no_bounds = bounds_of(scores, others)
    ledger: dict[str, Any] = {
        "rate_nats": _rate_cell(scores, rate),
        "distortion_nats": mean_cell(distortion, "the Scores hold no log_p_dec."),
        **entropy_cells(scores),
        "neg_elbo_nats": mean_cell(neg_elbo, "it needs a rate and a distortion."),
        "iw_nll_nats": one_code_cell(scores) if coded and weighted else _importance_cell(rungs),
        "information_nats": information_cell(rate, bounds, why_no_bounds, scores=scores),
        "mismatch_nats": mismatch_cell(scores, rate, bounds, why_no_bounds),
        "gap_nats": blank(UNKNOWN_GAP)
        if coded and marginal is None
        else mean_cell(_difference(neg_elbo, nll), "it needs a -ELBO and an IW-NLL."),
        "active_units": _active_cell(scores),
        **_per_unit_cells(scores, nll, neg_elbo, of="iw_nll_nats" if marginal is None else "marginal_nll_nats"),
        **_exact_cells(nll, exact_nll, exact_entropy),
        **(code_cells(scores, alphabet=alphabet) if coded else {}),
        "sentences": count,
        **{name: _total(getattr(scores, name)) for name in ("tokens", "words", "characters")},
    }
    if clash := sorted(ledger.keys() & (context or {}).keys()):
        raise ValueError(f"context must not hold the ledger's own keys, got {', '.join(clash)}; rename them.")
    return ledger | dict(context or {})


def _in_float64(scores: Scores) -> Scores:
    tensors = scores.detach().to_dict()
    return Scores.from_dict({k: v.to(torch.float64) if v.is_floating_point() else v for k, v in tensors.items()})


def _total(counts: Tensor | None) -> int | None:
    return None if counts is None else int(counts.sum())


def _difference(left: Tensor | None, right: Tensor | None) -> Tensor | None:
    return None if left is None or right is None else left - right


def _rate(scores: Scores) -> Tensor | None:
    return scores.rate() if scores.has_rate else None


def _rate_cell(scores: Scores, rate: Tensor | None) -> Cell:
    if rate is None:
        return blank(UNDEFINED)
    columns = None if scores.kl is None else [cell(column) for column in rate_per_dimension(scores.kl)]
    return cell(mean_with_error(rate), per_dimension=columns)


def _importance_cell(rungs: list[ImportanceRow]) -> Cell:
    if not rungs:
        return blank("it needs log_p_enc, log_p_pri and log_p_dec.")
    steps = [cell(r.estimate, samples=r.samples, ess=r.ess, ess_worst_decile=r.ess_worst_decile) for r in rungs]
    verdict = convergence(rungs)
    return steps[-1] | {
        "ladder": steps,
        "converged": verdict.converged,
        "drop": None if verdict.drop is None else cell(verdict.drop, tolerance=verdict.tolerance),
        "message": verdict.message,
    }


def _active_cell(scores: Scores) -> Cell:
    if scores.posterior_mean is None or scores.prior_log_variance is None:
        if is_quantised(scores):
            return blank("codes have no dimensions; codes_used and code_perplexity say what they are used for.")
        return blank("it needs the posteriors' means and a factorised Gaussian prior's variances.")
    if not scores.posterior_mean.shape[1]:
        return blank(NO_LATENT)
    if len(scores) < 2:
        return blank("a variance over sentences needs at least 2 of them.")
    variances = variance_per_dimension(scores.posterior_mean, prior_scale=(0.5 * scores.prior_log_variance).exp())
    spectrum = sorted((v.value for v in variances), reverse=True)
    return cell(active_count(variances), threshold=THRESHOLD, of=len(variances), spectrum=spectrum)


def _per_unit_cells(scores: Scores, nll: Tensor | None, neg_elbo: Tensor | None, *, of: str) -> dict[str, Cell]:
    """Perplexities and bits of the best NLL, with -ELBO's beside them; EOS is one word, one character."""
    cells = {}
    for key, name, end, per_unit in (
        ("perplexity_per_token", "tokens", 0, perplexity),  # tokens count EOS already
        ("perplexity_per_word", "words", 1, perplexity),
        ("bits_per_character", "characters", 1, bits_per_unit),
    ):
        count = getattr(scores, name)
        if count is None or nll is None:
            cells[key] = blank(f"it needs {name} and an IW-NLL.")
            continue
        beside = None if neg_elbo is None else cell(per_unit(neg_elbo, count + end))
        nats = cell(per_unit(nll, count + end), of=of, samples=len(scores.need("log_p_dec")))
        cells[key] = nats | {"neg_elbo": beside}
    return cells


def _exact_cells(nll: Tensor | None, exact_nll: Tensor | None, exact_entropy: float | None) -> dict[str, Cell]:
    entropy = blank("the language's law is not known; it is for the corpora this project makes.")
    if exact_entropy is not None:
        entropy = {"value": exact_entropy, "se": 0.0}
    if exact_nll is not None:
        exact_nll = exact_nll.to(torch.float64).to("cpu" if nll is None else nll.device)
        entropy["these_sentences"] = cell(mean_with_error(exact_nll))
    excess = mean_cell(_difference(nll, exact_nll), "it needs an IW-NLL and every sentence's exact -ln P(y).")
    if excess["value"] is not None and exact_entropy:
        excess["fraction"] = excess["value"] / exact_entropy
    return {"exact_entropy_nats": entropy, "excess_nats": excess}
