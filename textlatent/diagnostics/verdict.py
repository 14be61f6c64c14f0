"""diagnose: Scores -> a verdict with its reasons. Computing alone; `run.diagnose` writes it, the command prints it."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

import torch

from textlatent.diagnostics.check import Check, Evidence, Interval, interval
from textlatent.diagnostics.checks import CHECKS
from textlatent.diagnostics.code_checks import CODE_CHECKS
from textlatent.diagnostics.codes import Alphabet
from textlatent.diagnostics.inference import inference_cells
from textlatent.diagnostics.information import bounds_of
from textlatent.diagnostics.remedies import TO_TRY, advice_for
from textlatent.diagnostics.thresholds import Thresholds
from textlatent.diagnostics.use import InferenceGap, check_same_sentences, inference_gap, nats_lost
from textlatent.nats.bounds import InformationBounds
from textlatent.nats.montecarlo import Estimate, mean_with_error
from textlatent.scores import Scores

VERDICTS = (*TO_TRY, "healthy")
"""Every overall verdict, in its precedence."""

NO_LATENT = "this is a language model: its z has no dimensions, so there is nothing to diagnose; its NLL is its ledger."


@dataclass(frozen=True)
class Diagnosis:
    """What ails a model, and why we say so.

    Attributes:
        overall: the first of VERDICTS that holds.
        checks: every check, fired or not, in the precedence of their illnesses.
        notes: what is worth knowing and no illness.
        sentences: how many it rests on.
        thresholds: where the lines were drawn.
        information: the bounds on I(y; z) the checks rest on; None where there are none.
        coded: z is the codes of a deterministic encoder, which has checks and remedies of its own.
        inference: what the posteriors cost above ln P(y), as far as it was measured; None without a distortion.
    """

    overall: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    sentences: int
    thresholds: Thresholds
    information: InformationBounds | None = None
    coded: bool = False
    inference: InferenceGap | None = None

    @property
    def fired(self) -> tuple[Check, ...]:
        """Every check that found its illness."""
        return tuple(check for check in self.checks if check.fired)

    @property
    def advice(self) -> str:
        """What to do about the overall verdict; empty for a healthy model."""
        return advice_for(self.overall, coded=self.coded)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "overall": self.overall,
            "advice": self.advice,
            "sentences": self.sentences,
            "fired": [check.illness for check in self.fired],
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
            "thresholds": asdict(self.thresholds),
            "inference": None if self.inference is None else inference_cells(self.inference),
        }


def diagnose(
    scores: Scores,
    *,
    other: Scores | None = None,
    prior_draw: Scores | None = None,
    prior_mean: Scores | None = None,
    refined: Scores | None = None,
    drawn: Scores | None = None,
    baseline: Scores | None = None,
    target_rate: float | None = None,
    alphabet: Alphabet | None = None,
    **thresholds: float,
) -> Diagnosis:
    """The verdict on a model, from the Scores of the same sentences under several conditions.

    The illnesses in their precedence; the verdict is the first that fired, and every check that fired is listed:

        underpowered      too few sentences to say
        collapsed         the rate is nothing: the posterior is the prior
        ignored           z tells of the sentence, and the decoder does not listen
        mismatched        the rate is paid for an aggregate far from the prior, not for information
        memorising        z gives the first words alone
        partly collapsed  dimensions that do not move with the sentence, at no rate that was asked for; codes that no
                          sentence has, positions whose code is always the same
        healthy           none of these, as far as it could be checked

    Below `floor` sentences everything is underpowered. Above, it is underpowered where the verdict hangs on a check
    that is undecided: one that comes before the first check that fired. A check that could not be made (a condition
    was not scored, a prior has no mean) hangs nothing up: its message says why.

    Args:
        scores: with the own z: a rate; z and the posteriors' parameters for the information; log_p_dec_token and
            tokens for the gain by position. One draw per sentence is enough.
        other: with the z of another sentence; what "ignored" and "memorising" rest on. Where it is missing a prior
            draw's stands in, and where that is missing too the prior mean's.
        prior_draw: with draws from the prior.
        prior_mean: with the prior's mean.
        refined: with refined posteriors.
        drawn: with K draws of each posterior, for the IW-NLL that the inference gap rests on; `scores` if not given.
        baseline: the same sentences under a language model without z.
        target_rate: the rate that was asked for, nats: dead dimensions at it are a note, not an illness.
        alphabet: what codes there are, of a model whose z are codes.
        **thresholds: of `check.Thresholds`, each with its source; they are repeated in every Check.

    Raises:
        ValueError: no sentences, no rate (a point encoder's; THEORY T6d), a language model, an unknown threshold, or
            conditions of other sentences.
    """
    lines = read_thresholds(thresholds)
    scores = _in_float64(scores)
    found = (("other", other), ("prior draw", prior_draw), ("prior mean", prior_mean))
    elsewhere = {name: _in_float64(each) for name, each in found if each is not None}
    evidence = _evidence(scores, next(iter(elsewhere.values()), None), target_rate, lines, alphabet)
    checks = tuple(check(evidence) for check in (CODE_CHECKS if evidence.coded else CHECKS))
    overall, hanging = _overall(checks)
    inference = None if scores.log_p_dec is None else inference_gap(scores, refined, drawn=drawn)
    notes = [
        *_hanging_notes(hanging, lines),
        *_target_notes(evidence, checks),
        *_use_notes(scores, elsewhere),
        *_gap_notes(scores, inference, baseline),
    ]
    return Diagnosis(overall, checks, tuple(notes), len(scores), lines, evidence.bounds, evidence.coded, inference)


def read_thresholds(given: dict[str, float]) -> Thresholds:
    """The thresholds with those given by name in place of their defaults.

    Raises:
        ValueError: no threshold has such a name.
    """
    known = [field.name for field in fields(Thresholds)]
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1) or known
            raise ValueError(f"no threshold is called {name!r}; did you mean {', '.join(near)}?")
    kinds = {name: type(getattr(Thresholds, name)) for name in given}  # a whole number stays one
    return Thresholds(**{name: kinds[name](value) for name, value in given.items()})


def _in_float64(scores: Scores) -> Scores:
    tensors = scores.detach().to("cpu").to_dict()
    return Scores.from_dict({k: v.to(torch.float64) if v.is_floating_point() else v for k, v in tensors.items()})


def _evidence(
    scores: Scores,
    elsewhere: Scores | None,
    target: float | None,
    thresholds: Thresholds,
    alphabet: Alphabet | None,
) -> Evidence:
    if len(scores) == 0:
        raise ValueError("a verdict needs the Scores of at least one sentence, got none.")
    for latent in (scores.posterior_mean, scores.kl):
        if latent is not None and not latent.shape[1]:
            raise ValueError(NO_LATENT)
    if scores.kl is None and (scores.log_p_enc is None or scores.log_p_pri is None):
        raise ValueError("a verdict needs a rate: the Scores hold neither kl nor log_p_enc and log_p_pri.")
    rate = scores.rate()
    if faults := int((~rate.isfinite()).sum()):
        raise ValueError(f"the rate must be finite, got {faults} of {len(rate)} sentences where it is not.")
    bounds, why = bounds_of(scores, None)
    return Evidence(scores, rate, bounds, why.removesuffix("."), elsewhere, target, thresholds, alphabet)


def _overall(checks: tuple[Check, ...]) -> tuple[str, list[Check]]:
    """The first verdict that holds, and the undecided checks that it hangs on where it is "underpowered"."""
    hanging: list[Check] = []
    for check in checks:
        if check.fired:
            return (check.illness, []) if not hanging else ("underpowered", hanging)
        if check.undecided:
            hanging.append(check)
    return ("underpowered", hanging) if hanging else ("healthy", [])


def _hanging_notes(hanging: list[Check], thresholds: Thresholds) -> Iterator[str]:
    for check in hanging:
        low, high = (math.inf if x is None else x for x in (check.lower, check.upper))
        yield (
            f"whether it is {check.illness} hangs on {check.name}: {check.threshold:.3g} {check.unit} lies within "
            f"[{low:.3g}, {high:.3g}]; {thresholds.enough} sentences would settle it."
        )


def _target_notes(evidence: Evidence, checks: tuple[Check, ...]) -> Iterator[str]:
    if evidence.target_rate is None:
        return
    dead = next((check for check in checks if check.unit == "dimensions"), None)
    if evidence.at_target and dead is not None and dead.value:
        yield f"{dead.message} A note, no illness: the rate sets how many dimensions are worth their cost."
    if not evidence.at_target:
        yield f"a rate of {evidence.target_rate:g} nats was asked for, and {evidence.rate.mean():.2f} is paid."


def _use_notes(scores: Scores, elsewhere: dict[str, Scores]) -> Iterator[str]:
    of = {"other": "the z of another sentence", "prior draw": "a draw of the prior", "prior mean": "the prior's mean"}
    for name, each in elsewhere.items():
        yield f"with {of[name]} a sentence costs {_said(nats_lost(scores, each))} nats more."


def _gap_notes(scores: Scores, inference: InferenceGap | None, baseline: Scores | None) -> Iterator[str]:
    if inference is not None and inference.amortisation is not None:
        gain = _said(inference.amortisation)
        yield f"refining each posterior lowers -ELBO by {gain} nats, which the encoder misses."
    if baseline is not None:
        check_same_sentences(scores, baseline)
        nll = -baseline.need("log_p_dec").mean(0).to(scores.need("log_p_dec"))
        found = mean_with_error(scores.neg_elbo() - nll)
        words = "above" if found.value > 0 else "below"
        size = Estimate(abs(found.value), found.se, found.count)
        yield f"-ELBO lies {_said(size)} nats {words} the NLL of the language model without z."


def _said(estimate: Estimate) -> str:
    found: Interval = interval(estimate)
    return f"{found.value:.2f}" + (f" +- {found.se:.2f}" if math.isfinite(found.se) else "")
