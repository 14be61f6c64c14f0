"""watch: the checks of a diagnosis that cost nothing extra, at each validation; and since when the latent is empty."""

from typing import Any

import torch

from textlatent.diagnostics.check import Thresholds
from textlatent.diagnostics.codes import Alphabet, code_counts, is_quantised, positions_entropy, usage_event
from textlatent.diagnostics.remedies import advice_for
from textlatent.diagnostics.verdict import Diagnosis, diagnose
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.training.position import Position

SENTENCES = 1000
"""Of the validation sentences, evenly spaced among them: the cost grows with the square."""

_AGAIN = 2.0  # times the negligible rate: what an empty latent must pay to be in use again, so that no note flickers


def alphabet_of(model: Any) -> Alphabet | None:
    """What codes a model has, None where its z is no codes: `quantiser.books`, each with K `vectors`."""
    quantiser = getattr(model, "quantiser", None)
    return None if quantiser is None else Alphabet(len(quantiser.books[0].vectors), len(quantiser.books))


def watch(
    position: Position, scores: Scores, *, target_rate: float | None = None, alphabet: Alphabet | None = None
) -> tuple[dict[str, Any], list[str]]:
    """What a validation's posteriors say, for its event in metrics.jsonl, and notes for the person who watches.

    The event's part: information_lower_nats and _upper_nats with their standard errors, active_units of dimensions,
    verdict; of codes their `usage_event` over all these sentences. Nothing is scored with another z, so "ignored" and
    "memorising" are not looked for. A language model has nothing to watch.

    Args:
        position: its `verdict` and `empty_since` are changed in place.
        scores: of the validation sentences, with latents.
        target_rate: the rate that is asked for, nats.
        alphabet: what codes there are, where z is codes.
    """
    mean, coded = scores.posterior_mean, is_quantised(scores)
    if not coded and (mean is None or not mean.shape[1]):
        return {}, []
    chosen = torch.linspace(0, len(scores) - 1, min(SENTENCES, len(scores))).round().long()
    part = scores.select(chosen)
    try:
        found = diagnose(part, target_rate=target_rate, alphabet=alphabet)
    except ValueError as error:  # a number that is not finite: the training stops at its own, a look does not
        position.verdict = None
        return {"verdict": None, "verdict_why": str(error)}, []
    position.verdict = found.overall
    told: dict[str, Any] = {"verdict": found.overall}
    if found.information is not None:
        for side in ("lower", "upper"):
            bound = getattr(found.information, side)
            told |= {f"information_{side}_nats": bound.value, f"information_{side}_nats_se": bound.se}
    if coded:
        codes = scores.need("codes")[0]
        told |= {} if alphabet is None else usage_event(code_counts(codes, alphabet))
        return told, _collapse_notes(position, positions_entropy(codes).value, what="the codes tell at most")
    assert mean is not None
    return told | _active(found, mean.shape[1]), _collapse_notes(position, part.rate().mean().item())


def _active(found: Diagnosis, dimensions: int) -> dict[str, Any]:
    """How many dimensions there are, and how many of them move with the sentence."""
    dead = next(check.value for check in found.checks if check.illness == "partly collapsed")
    return {"dimensions": dimensions} | ({} if dead is None else {"active_units": dimensions - dead})


def asked_rate(objective: Objective) -> float | None:
    """The rate an objective asks for, in whichever way it does, nats; None where it asks for none."""
    asked = objective.target or objective.capacity
    return None if asked is None else asked.rate


def last_words(position: Position, *, coded: bool = False) -> list[str]:
    """What the end of a training must not pass over: an illness at its last validation; [] where there is none.

    Args:
        position: with the last verdict.
        coded: z is codes, which have remedies of their own.
    """
    if position.verdict in (None, "healthy", "underpowered"):
        return []
    since = "" if position.empty_since is None else f", since step {position.empty_since}"
    return [
        f"the last validation finds the model {position.verdict}{since}. {advice_for(position.verdict, coded=coded)} "
        "`textlatent diagnose RUN` looks closer."
    ]


def _collapse_notes(position: Position, nats: float, *, what: str = "the rate is") -> list[str]:
    """The step at which the latent became empty, once; and that it is in use again."""
    if position.verdict == "collapsed" and position.empty_since is None:
        position.empty_since = position.step
        return [
            f"the latent has been empty since step {position.step}: {what} {nats:.3f} nats per sentence. If it "
            "stays so, `textlatent ls remedies` says what to try."
        ]
    if position.empty_since is not None and nats > _AGAIN * Thresholds.negligible:
        began, position.empty_since = position.empty_since, None
        return [f"the latent, empty since step {began}, is in use again: {what} {nats:.2f} nats per sentence."]
    return []
