"""The checks behind a verdict: one number each, its interval, a threshold with its source, and whether it fired.

A check fires (True) or not (False) when its whole 95 % interval lies on one side of the threshold. An interval that
contains the threshold leaves the check undecided (None) below `Thresholds.enough` sentences; from there on the point
decides, because a threshold is a convention and a value that 500 sentences cannot tell from it lies at it.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from textlatent.diagnostics.remedies import advice_for
from textlatent.diagnostics.usage import variance_per_dimension
from textlatent.diagnostics.use import long_enough, nats_lost, share_beyond
from textlatent.nats.bounds import NINETY_FIVE, InformationBounds, information_bounds, jackknife_error
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
    """

    scores: Scores
    rate: Tensor
    bounds: InformationBounds | None
    no_bounds: str
    elsewhere: Scores | None
    target_rate: float | None
    thresholds: Thresholds

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


def bounds_of(scores: Scores) -> tuple[InformationBounds | None, str]:
    """The bounds on I(y; z), or None and the reason."""
    mean, log_variance, z = scores.posterior_mean, scores.posterior_log_variance, scores.z
    if mean is None or log_variance is None or z is None:
        return None, "it needs z and the posteriors' means and variances"
    if len(mean) < 3:
        return None, f"it needs at least 3 sentences, got {len(mean)}"
    return information_bounds(mean, log_variance, z[0]), ""


def sentences(evidence: Evidence) -> Check:
    """Underpowered: fewer sentences than any number here can rest on."""
    count, floor = len(evidence.rate), evidence.thresholds.floor
    return _check(
        "sentences", "underpowered", Interval(count, 0.0, count, count), "sentences", floor, count < floor,
        "coverage of mean +- 1.96 SE for skewed terms; cap ln N", f"{count} sentences (at least {floor} are needed)",
    )  # fmt: skip


def rate(evidence: Evidence) -> Check:
    """Collapsed: the posterior is the prior, or has drifted from it by a little and says nothing."""
    found, lines = interval(mean_with_error(evidence.rate)), evidence.thresholds
    threshold, besides = lines.negligible, ""
    fired = found.side(threshold, ill_below=True, decide=evidence.decide)
    if fired is False and evidence.bounds is not None:
        said = interval(evidence.bounds.upper)
        if said.upper <= lines.negligible and found.side(lines.faint, ill_below=True, decide=evidence.decide):
            fired, threshold, besides = True, lines.faint, f" where the information is at most {said.upper:.2f}"
    return _check(
        "rate", "collapsed", found, "nats", threshold, fired, "He et al. 2019, arXiv:1901.05534",
        f"the rate is {_said(found)} nats per sentence (nothing: {threshold:g} or less{besides})",
    )  # fmt: skip


def nats_lost_elsewhere(evidence: Evidence) -> Check:
    """Ignored: z says something of the sentence, and the decoder loses nothing without it."""
    name, illness, source = "nats lost with another z", "ignored", "lautum >= information; THEORY T16"
    thresholds, bounds = evidence.thresholds, evidence.bounds
    if evidence.elsewhere is None or bounds is None:
        why = "it needs the sentences scored with another z" if bounds is not None else evidence.no_bounds
        return _blank(name, illness, "nats", thresholds.negligible, source, why)
    said = interval(bounds.lower)
    threshold = max(thresholds.negligible, thresholds.deaf_share * said.value)
    lost = interval(nats_lost(evidence.scores, evidence.elsewhere))
    speaks = said.side(thresholds.negligible, ill_below=False, decide=evidence.decide)
    deaf = lost.side(threshold, ill_below=True, decide=evidence.decide)
    fired = False if False in (speaks, deaf) else None if None in (speaks, deaf) else True
    return _check(
        name, illness, lost, "nats", threshold, fired, source,
        f"the latent tells at least {said.value:.2f} nats of the sentence; without it the decoder loses {_said(lost)} "
        f"(deaf: {threshold:.2g} or less)",
    )  # fmt: skip


def mismatch(evidence: Evidence) -> Check:
    """Mismatched: most of the rate pays for an aggregate posterior far from the prior.

    It rests on the interval alone, [rate - upper - 1.96 SE, rate - lower + 1.96 SE]: the point saturates near ln N.
    Where it does, or with enough sentences, an interval that contains the threshold has shown no mismatch.
    """
    name, illness, source = "prior mismatch", "mismatched", "Hoffman & Johnson 2016; THEORY T6"
    thresholds, bounds = evidence.thresholds, evidence.bounds
    threshold = max(thresholds.negligible, thresholds.mismatch_share * evidence.rate.mean().item())
    if bounds is None:
        return _blank(name, illness, "nats", threshold, source, evidence.no_bounds)
    found = mismatch_interval(evidence.rate, bounds)
    fired = found.side(threshold, ill_below=False, decide=False)
    unsure = ""
    if fired is None and (evidence.decide or evidence.saturated):
        fired, unsure = False, "; the bounds leave that open" + (" near their cap ln N" if evidence.saturated else "")
    return _check(
        name, illness, found, "nats", threshold, fired, source,
        f"of a rate of {evidence.rate.mean():.2f} nats, {found.lower:.2f} to {found.upper:.2f} are the aggregate's "
        f"divergence from the prior and no information (too much: more than {threshold:.2f}){unsure}",
    )  # fmt: skip


def mismatch_interval(rate: Tensor, bounds: InformationBounds) -> Interval:
    """Rate - information, nats: the point from the lower bound, and what both bounds and their errors leave open.

    The errors are the jackknife's of the differences: rate and bounds rest on the same sentences.
    """
    left_out = (rate.sum() - rate) / (bounds.count - 1)
    most, least = (rate.mean().item() - bound.value for bound in (bounds.lower, bounds.upper))
    errors = [jackknife_error(left_out - without) for without in (bounds.lower_left_out, bounds.upper_left_out)]
    return Interval(most, errors[0], least - NINETY_FIVE * errors[1], most + NINETY_FIVE * errors[0])


def gain_beyond(evidence: Evidence) -> Check:
    """Memorising: the gain lies in the first words, which the decoder would have read by itself a moment later."""
    thresholds, elsewhere = evidence.thresholds, evidence.elsewhere
    first, threshold = thresholds.first, thresholds.beyond_share
    name, illness, source = f"share of the gain beyond token {first}", "memorising", "Bosc & Vincent 2020, 2004.07683"
    if elsewhere is None or elsewhere.log_p_dec_token is None or evidence.scores.log_p_dec_token is None:
        why = "it needs the tokens' scores with the own and with another z"
        return _blank(name, illness, "share", threshold, source, why)
    long = long_enough(evidence.scores, first=first).nonzero().squeeze(1)
    if len(long) < thresholds.floor:
        why = f"{len(long)} sentences have more than {2 * first} tokens, and {thresholds.floor} are needed"
        return _blank(name, illness, "share", threshold, source, why)
    mine, theirs = evidence.scores.select(long), elsewhere.select(long)
    lost = interval(nats_lost(mine, theirs))
    if lost.side(thresholds.negligible, ill_below=True, decide=True) or lost.lower <= 0.0:
        return _blank(name, illness, "share", threshold, source, "there is no gain to share out")
    share = interval(share_beyond(mine, theirs, first=first))
    fired = share.side(threshold, ill_below=True, decide=evidence.decide)
    return _check(
        name, illness, share, "share", threshold, fired, source,
        f"{_said(share)} of what z gives lies beyond the first {first} tokens (first words only: {threshold:g} or "
        "less)",
    )  # fmt: skip


def dead_dimensions(evidence: Evidence) -> Check:
    """Partly collapsed: dimensions whose means do not move with the sentence."""
    name, illness, source = "dead dimensions", "partly collapsed", "Burda et al. 2016, arXiv:1509.00519"
    scores, limit = evidence.scores, evidence.thresholds.dead_variance
    if scores.posterior_mean is None or scores.prior_log_variance is None or len(scores) < 2:
        why = "it needs two sentences, the posteriors' means and a factorised Gaussian prior's variances"
        return _blank(name, illness, "dimensions", 0.0, source, why)
    scale = (0.5 * scores.prior_log_variance).exp()
    sides = [
        interval(v).side(limit, ill_below=True, decide=evidence.decide)
        for v in variance_per_dimension(scores.posterior_mean, prior_scale=scale)
    ]
    dead = [d for d, side in enumerate(sides) if side]
    unsure = sides.count(None)
    fired = bool(dead) or (None if unsure else False)
    named = f", z[{_ranges(dead)}]" if 0 < len(dead) < len(sides) else ""
    open_ones = f", {unsure} undecided" if unsure else ""
    excused = fired is not False and evidence.at_target
    asked = f", at the rate that was asked for ({evidence.target_rate:g} nats)" if excused else ""
    return _check(
        name, illness, Interval(len(dead), math.nan, len(dead), len(dead) + unsure), "dimensions", 0.0,
        False if excused else fired, source,
        f"{len(dead)} of {len(sides)} dimensions are dead{named}{open_ones} (variance of the means at most {limit:g} "
        f"of the prior's){asked}",
    )  # fmt: skip


CHECKS = (sentences, rate, nats_lost_elsewhere, mismatch, gain_beyond, dead_dimensions)
"""Every check, in the precedence of their illnesses."""


def _check(
    name: str, illness: str, found: Interval, unit: str, threshold: float, fired: bool | None, source: str, text: str
) -> Check:
    value, se, lower, upper = (float(x) if math.isfinite(x) else None for x in found)
    advice = advice_for(illness) if fired else ""
    undecided = "; too few sentences to say" if fired is None else ""
    message = f"{text[0].upper()}{text[1:]}{undecided}.{f' {advice}' if advice else ''}"
    return Check(name, illness, value, se, lower, upper, unit, float(threshold), fired, source, message, advice)


def _blank(name: str, illness: str, unit: str, threshold: float, source: str, why: str) -> Check:
    message = f"Not checked: {why}."
    return Check(name, illness, None, None, None, None, unit, float(threshold), None, source, message, "")


def _said(found: Interval) -> str:
    return f"{found.value:.2f}" + (f" +- {found.se:.2f}" if math.isfinite(found.se) else "")


def _ranges(places: list[int]) -> str:
    """Places as one reads them: 0-3, 7."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)
