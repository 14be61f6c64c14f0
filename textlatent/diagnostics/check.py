"""A check: one named number, its interval, a threshold with its source, and whether it fired.

A check fires (True) or not (False) when its whole 95 % interval lies on one side of the threshold. An interval that
contains the threshold leaves the check undecided (None) below `Thresholds.enough` sentences; from there on the point
decides, because a threshold is a convention and a value that 500 sentences cannot tell from it lies at it.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from textlatent.diagnostics.codes import Alphabet, is_quantised
from textlatent.diagnostics.remedies import advice_for
from textlatent.nats.bounds import NINETY_FIVE, InformationBounds
from textlatent.nats.montecarlo import Estimate, mean_with_error
from textlatent.scores import Scores


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where the checks draw their lines; each is a keyword argument of `diagnose`.

    Attributes:
        negligible: nats per sentence that count as nothing. 0.1 is the last digit published tables print: their
            collapsed rows read KL 0.0 or 0.1 (He et al. 2019, arXiv:1901.05534, table 1).
        faint: nats of rate that, where there is no information, are the drift of a posterior nobody listens to and not
            a price for anything: up to here an empty latent is collapsed, above it is mismatched (ours: five times
            `negligible`; runs that have collapsed under a noisy step size stand at 0.1 to 0.2).
        deaf_share: a decoder that loses less than this share of the information with another sentence's z is deaf.
            Bayes' own decoder loses no less than all of it (use.nats_lost), so a tenth is far below any that listens.
        mismatch_share: share of the rate that may be prior mismatch: above one half, most of what is paid says nothing
            of the sentence (Hoffman & Johnson 2016, ELBO surgery; THEORY T6).
        beyond_share: share of the gain beyond the first tokens below which z describes those alone. z that holds the
            first words leaves 0, evenly spread gain 0.57 in a sentence of 7 tokens and 0.86 in one of 22; measured, a
            VAE of 8 nats on the Penn Treebank leaves 0.83, one of 3 nats on templates whose first words tell nearly
            everything 0.25. A tenth (ours) is what "alone" leaves room for.
        first: how many tokens are the first ones (Bosc & Vincent 2020, arXiv:2004.07683, look at three to four).
        dead_variance: a dimension is dead at this variance of its means or less, in units of the prior's variance
            (Burda et al. 2016, arXiv:1509.00519).
        silent_entropy: nats of a position's code up to which it says nothing: one code 99 times in a hundred leaves
            0.056 (ours).
        dead_codes: share of the codebook that may stand for no sentence: above a tenth, it is larger than what is used
            of it (ours).
        target_tolerance: a rate that falls short of the one asked for by this share or less is at its target.
        floor: fewer sentences say nothing: the mean of 50 skewed terms +- 1.96 SE covers the truth in 93 % of
            cases (exponential law, simulated), that of 20 in 90 %, and 50 sentences show 3.9 nats at most (ln N).
        enough: so many sentences always get an answer.
        saturation: share of ln N above which the information's point estimate saturates: at 0.6 it is still within
            a few percent, at 0.9 it is not.
    """

    negligible: float = 0.1
    faint: float = 0.5
    deaf_share: float = 0.1
    mismatch_share: float = 0.5
    beyond_share: float = 0.1
    first: int = 3
    dead_variance: float = 0.01
    silent_entropy: float = 0.05
    dead_codes: float = 0.1
    target_tolerance: float = 0.1
    floor: int = 50
    enough: int = 500
    saturation: float = 0.6


@dataclass(frozen=True)
class Check:
    """One named number and what it says.

    Attributes:
        name: of the number.
        illness: the verdict it stands for.
        value: None where it could not be measured; the message says why.
        se: its standard error.
        lower: of its 95 % interval.
        upper: of its 95 % interval.
        unit: of value, se, lower, upper and threshold.
        threshold: where the line was drawn.
        fired: the illness is there; None where that is undecided, or could not be measured.
        source: of the threshold.
        message: what was found, in a sentence that ends in advice where it fired.
        advice: what to do; empty where it did not fire.
    """

    name: str
    illness: str
    value: float | None
    se: float | None
    lower: float | None
    upper: float | None
    unit: str
    threshold: float
    fired: bool | None
    source: str
    message: str
    advice: str

    @property
    def undecided(self) -> bool:
        """Whether it was measured and more sentences would be needed to say."""
        return self.value is not None and self.fired is None


class Interval(NamedTuple):
    """A number, its standard error and its 95 % interval; infinite where one sentence cannot say."""

    value: float
    se: float
    lower: float
    upper: float

    def side(self, threshold: float, *, ill_below: bool, decide: bool) -> bool | None:
        """Whether it lies on the ill side; None where it straddles the threshold and the point may not decide."""
        above = self.value > threshold if decide else None
        if self.lower > threshold:
            above = True
        elif self.upper <= threshold:
            above = False
        return None if above is None else above != ill_below


def interval(estimate: Estimate) -> Interval:
    """The estimate +- 1.96 standard errors."""
    reach = math.inf if math.isnan(estimate.se) else NINETY_FIVE * estimate.se
    return Interval(estimate.value, estimate.se, estimate.value - reach, estimate.value + reach)


@dataclass(frozen=True)
class Evidence:
    """What the checks rest on.

    Attributes:
        scores: with the sentences' own z, float64.
        rate: nats per sentence, [N].
        bounds: on the information; None with the reason in `no_bounds`.
        no_bounds: why there are none.
        elsewhere: the same sentences with another z, where they were scored.
        target_rate: the rate that was asked for, nats.
        thresholds: where the lines are.
        alphabet: what codes there are, where z is codes and it is known.
    """

    scores: Scores
    rate: Tensor
    bounds: InformationBounds | None
    no_bounds: str
    elsewhere: Scores | None
    target_rate: float | None
    thresholds: Thresholds
    alphabet: Alphabet | None = None

    @property
    def coded(self) -> bool:
        """Whether z is the codes of a deterministic encoder."""
        return is_quantised(self.scores)

    @property
    def decide(self) -> bool:
        """Whether there are sentences enough for a point to decide."""
        return len(self.rate) >= self.thresholds.enough

    @property
    def saturated(self) -> bool:
        """Whether the information's point estimate is too near its cap to rest on."""
        return self.bounds is not None and self.rate.mean().item() > self.thresholds.saturation * self.bounds.cap

    @property
    def at_target(self) -> bool:
        """Whether a rate was asked for and is paid (or more; within the tolerance and 1.96 SE)."""
        if self.target_rate is None:
            return False
        return interval(mean_with_error(self.rate)).upper >= (1 - self.thresholds.target_tolerance) * self.target_rate


def made(
    name: str,
    illness: str,
    found: Interval,
    unit: str,
    threshold: float,
    fired: bool | None,
    source: str,
    text: str,
    *,
    coded: bool,
) -> Check:
    """A check that was made; its message the text, and advice where it fired."""
    value, se, lower, upper = (float(x) if math.isfinite(x) else None for x in found)
    advice = advice_for(illness, coded=coded) if fired else ""
    undecided = "; too few sentences to say" if fired is None else ""
    message = f"{text[0].upper()}{text[1:]}{undecided}.{f' {advice}' if advice else ''}"
    return Check(name, illness, value, se, lower, upper, unit, float(threshold), fired, source, message, advice)


def not_made(name: str, illness: str, unit: str, threshold: float, source: str, why: str) -> Check:
    """A check without a number, and why."""
    message = f"Not checked: {why}."
    return Check(name, illness, None, None, None, None, unit, float(threshold), None, source, message, "")


def said(found: Interval) -> str:
    """The number and its standard error, to read."""
    return f"{found.value:.2f}" + (f" +- {found.se:.2f}" if math.isfinite(found.se) else "")


def ranges(places: list[int]) -> str:
    """Places as one reads them: 0-3, 7."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
