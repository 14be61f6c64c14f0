"""watch: the checks of a diagnosis that cost nothing extra, at each validation; and since when the latent is empty."""

from typing import Any

import torch

from textlatent.diagnostics.checks import Thresholds
from textlatent.diagnostics.remedies import advice_for
from textlatent.diagnostics.verdict import diagnose
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.training.position import Position

SENTENCES = 1000
"""Of the validation sentences, evenly spaced among them: the cost grows with the square."""

_AGAIN = 2.0  # times the negligible rate: what an empty latent must pay to be in use again, so that no note flickers


def watch(position: Position, scores: Scores, *, target_rate: float | None = None) -> tuple[dict[str, Any], list[str]]:
    """What a validation's posteriors say, for its event in metrics.jsonl, and notes for the person who watches.

    The event's part: information_lower_nats and _upper_nats with their standard errors, active_units of dimensions,
    verdict. Nothing is scored with another z, so "ignored" and "memorising" are not looked for. A language model has
    nothing to watch.

    Args:
        position: its `verdict` and `empty_since` are changed in place.
        scores: of the validation sentences, with latents.
        target_rate: the rate that is asked for, nats.
    """
    mean = scores.posterior_mean
    if mean is None or not mean.shape[1]:
        return {}, []
    chosen = torch.linspace(0, len(scores) - 1, min(SENTENCES, len(scores))).round().long()
    part = scores.select(chosen)
    try:
        found = diagnose(part, target_rate=target_rate)
    except ValueError as error:  # a number that is not finite: the training stops at its own, a look does not
        position.verdict = None
        return {"verdict": None, "verdict_why": str(error)}, []
    position.verdict = found.overall
    told: dict[str, Any] = {"verdict": found.overall, "dimensions": mean.shape[1]}
    if found.information is not None:
        for side in ("lower", "upper"):
            bound = getattr(found.information, side)
            told |= {f"information_{side}_nats": bound.value, f"information_{side}_nats_se": bound.se}
    dead = next(check.value for check in found.checks if check.illness == "partly collapsed")
    if dead is not None:
        told["active_units"] = mean.shape[1] - dead
    return told, _collapse_notes(position, part.rate().mean().item())


def asked_rate(objective: Objective) -> float | None:
    """The rate an objective asks for, in whichever way it does, nats; None where it asks for none."""
    asked = objective.target or objective.capacity
    return None if asked is None else asked.rate


def last_words(position: Position) -> list[str]:
    """What the end of a training must not pass over: an illness at its last validation; [] where there is none."""
    if position.verdict in (None, "healthy", "underpowered"):
        return []
    since = "" if position.empty_since is None else f", since step {position.empty_since}"
    return [
        f"the last validation finds the model {position.verdict}{since}. {advice_for(position.verdict)} "
        "`textlatent diagnose RUN` looks closer."
    ]


def _collapse_notes(position: Position, rate: float) -> list[str]:
    """The step at which the latent became empty, once; and that it is in use again."""
    if position.verdict == "collapsed" and position.empty_since is None:
        position.empty_since = position.step
        return [
            f"the latent has been empty since step {position.step}: the rate is {rate:.3f} nats per sentence. If it "
            "stays so, `textlatent ls remedies` says what to try."
        ]
    if position.empty_since is not None and rate > _AGAIN * Thresholds.negligible:
        began, position.empty_since = position.empty_since, None
        return [f"the latent, empty since step {began}, is in use again: the rate is {rate:.2f} nats per sentence."]
    return []
