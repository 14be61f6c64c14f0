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
from textlatent.diagnostics.thresholds import Thresholds
from textlatent.nats.bounds import NINETY_FIVE, InformationBounds
from textlatent.nats.montecarlo import Estimate, mean_with_error
from textlatent.scores import Scores


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
