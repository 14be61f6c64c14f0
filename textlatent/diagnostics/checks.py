"""The checks behind a verdict: those of every latent, and that of dimensions; those of codes: code_checks.py."""

import math

from torch import Tensor

from textlatent.diagnostics.check import Check, Evidence, Interval, Thresholds, interval, made, not_made, ranges, said
from textlatent.diagnostics.usage import variance_per_dimension
from textlatent.diagnostics.use import long_enough, nats_lost, share_beyond
from textlatent.nats.bounds import InformationBounds
from textlatent.nats.mismatch import whole_mismatch
from textlatent.nats.montecarlo import mean_with_error

__all__ = ["CHECKS", "Check", "Evidence", "Interval", "Thresholds", "interval", "mismatch_interval"]


def sentences(evidence: Evidence) -> Check:
    """Underpowered: fewer sentences than any number here can rest on."""
    count, floor = len(evidence.rate), evidence.thresholds.floor
    return made(
        "sentences", "underpowered", Interval(count, 0.0, count, count), "sentences", floor, count < floor,
        "coverage of mean +- 1.96 SE for skewed terms; cap ln N", f"{count} sentences (at least {floor} are needed)",
        coded=evidence.coded,
    )  # fmt: skip


def rate(evidence: Evidence) -> Check:
    """Collapsed: the posterior is the prior, or has drifted from it by a little and says nothing."""
    found, lines = interval(mean_with_error(evidence.rate)), evidence.thresholds
    threshold, besides = lines.negligible, ""
    fired = found.side(threshold, ill_below=True, decide=evidence.decide)
    if fired is False and evidence.bounds is not None:
        known = interval(evidence.bounds.upper)
        if known.upper <= lines.negligible and found.side(lines.faint, ill_below=True, decide=evidence.decide):
            fired, threshold, besides = True, lines.faint, f" where the information is at most {known.upper:.2f}"
    return made(
        "rate", "collapsed", found, "nats", threshold, fired, "He et al. 2019, arXiv:1901.05534",
        f"the rate is {said(found)} nats per sentence (nothing: {threshold:g} or less{besides})", coded=evidence.coded,
    )  # fmt: skip


def nats_lost_elsewhere(evidence: Evidence) -> Check:
    """Ignored: z says something of the sentence, and the decoder loses nothing without it."""
    name, illness, source = "nats lost with another z", "ignored", "lautum >= information; THEORY T16"
    thresholds, bounds = evidence.thresholds, evidence.bounds
    if evidence.elsewhere is None or bounds is None:
        why = "it needs the sentences scored with another z" if bounds is not None else evidence.no_bounds
        return not_made(name, illness, "nats", thresholds.negligible, source, why)
    speaking = interval(bounds.lower)
    threshold = max(thresholds.negligible, thresholds.deaf_share * speaking.value)
    lost = interval(nats_lost(evidence.scores, evidence.elsewhere))
    speaks = speaking.side(thresholds.negligible, ill_below=False, decide=evidence.decide)
    deaf = lost.side(threshold, ill_below=True, decide=evidence.decide)
    fired = False if False in (speaks, deaf) else None if None in (speaks, deaf) else True
    return made(
        name, illness, lost, "nats", threshold, fired, source,
        f"the latent tells at least {speaking.value:.2f} nats of the sentence; without it the decoder loses "
        f"{said(lost)} (deaf: {threshold:.2g} or less)", coded=evidence.coded,
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
        return not_made(name, illness, "nats", threshold, source, evidence.no_bounds)
    found = mismatch_interval(evidence.rate, bounds)
    fired = found.side(threshold, ill_below=False, decide=False)
    unsure = ""
    if fired is None and (evidence.decide or evidence.saturated):
        fired, unsure = False, "; the bounds leave that open" + (" near their cap ln N" if evidence.saturated else "")
    return made(
        name, illness, found, "nats", threshold, fired, source,
        f"of a rate of {evidence.rate.mean():.2f} nats, {found.lower:.2f} to {found.upper:.2f} are the aggregate's "
        f"divergence from the prior and no information (too much: more than {threshold:.2f}){unsure}",
        coded=evidence.coded,
    )  # fmt: skip


def mismatch_interval(rate: Tensor, bounds: InformationBounds) -> Interval:
    """Rate - information, nats: the point from the lower bound, and what both bounds and their errors leave open.

    The errors are those of the differences: rate and bounds rest on the same sentences.
    """
    whole = whole_mismatch(rate, bounds)
    return Interval(whole.upper.value, whole.upper.se, *whole.interval)


def gain_beyond(evidence: Evidence) -> Check:
    """Memorising: the gain lies in the first words, which the decoder would have read by itself a moment later."""
    thresholds, elsewhere = evidence.thresholds, evidence.elsewhere
    first, threshold = thresholds.first, thresholds.beyond_share
    name, illness, source = f"share of the gain beyond token {first}", "memorising", "Bosc & Vincent 2020, 2004.07683"
    if elsewhere is None or elsewhere.log_p_dec_token is None or evidence.scores.log_p_dec_token is None:
        why = "it needs the tokens' scores with the own and with another z"
        return not_made(name, illness, "share", threshold, source, why)
    long = long_enough(evidence.scores, first=first).nonzero().squeeze(1)
    if len(long) < thresholds.floor:
        why = f"{len(long)} sentences have more than {2 * first} tokens, and {thresholds.floor} are needed"
        return not_made(name, illness, "share", threshold, source, why)
    mine, theirs = evidence.scores.select(long), elsewhere.select(long)
    lost = interval(nats_lost(mine, theirs))
    if lost.side(thresholds.negligible, ill_below=True, decide=True) or lost.lower <= 0.0:
        return not_made(name, illness, "share", threshold, source, "there is no gain to share out")
    share = interval(share_beyond(mine, theirs, first=first))
    fired = share.side(threshold, ill_below=True, decide=evidence.decide)
    return made(
        name, illness, share, "share", threshold, fired, source,
        f"{said(share)} of what z gives lies beyond the first {first} tokens (first words only: {threshold:g} or "
        "less)", coded=evidence.coded,
    )  # fmt: skip


def dead_dimensions(evidence: Evidence) -> Check:
    """Partly collapsed: dimensions whose means do not move with the sentence."""
    name, illness, source = "dead dimensions", "partly collapsed", "Burda et al. 2016, arXiv:1509.00519"
    scores, limit = evidence.scores, evidence.thresholds.dead_variance
    if scores.posterior_mean is None or scores.prior_log_variance is None or len(scores) < 2:
        why = "it needs two sentences, the posteriors' means and a factorised Gaussian prior's variances"
        return not_made(name, illness, "dimensions", 0.0, source, why)
    scale = (0.5 * scores.prior_log_variance).exp()
    sides = [
        interval(v).side(limit, ill_below=True, decide=evidence.decide)
        for v in variance_per_dimension(scores.posterior_mean, prior_scale=scale)
    ]
    dead = [d for d, side in enumerate(sides) if side]
    unsure = sides.count(None)
    fired = bool(dead) or (None if unsure else False)
    named = f", z[{ranges(dead)}]" if 0 < len(dead) < len(sides) else ""
    open_ones = f", {unsure} undecided" if unsure else ""
    excused = fired is not False and evidence.at_target
    asked = f", at the rate that was asked for ({evidence.target_rate:g} nats)" if excused else ""
    return made(
        name, illness, Interval(len(dead), math.nan, len(dead), len(dead) + unsure), "dimensions", 0.0,
        False if excused else fired, source,
        f"{len(dead)} of {len(sides)} dimensions are dead{named}{open_ones} (variance of the means at most {limit:g} "
        f"of the prior's){asked}", coded=evidence.coded,
    )  # fmt: skip


CHECKS = (sentences, rate, nats_lost_elsewhere, mismatch, gain_beyond, dead_dimensions)
"""Every check, in the precedence of their illnesses."""
