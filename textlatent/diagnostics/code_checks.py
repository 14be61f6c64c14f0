"""The checks of a model whose z are codes: a codebook's own illnesses beside those that every latent can have."""

import math

from textlatent.diagnostics.check import Check, Evidence, Interval, interval, made, not_made, ranges, said
from textlatent.diagnostics.checks import gain_beyond, mismatch, nats_lost_elsewhere, rate, sentences
from textlatent.diagnostics.codes import code_counts, codes_alive, positions_entropy
from textlatent.nats.bounds import NINETY_FIVE
from textlatent.nats.draws import drawn_entropy

FEW = 12
"""Codes that a message names one by one."""


def nats_in_codes(evidence: Evidence) -> Check:
    """Collapsed: the codes are (almost) the same for every sentence, whatever rate the prior charges for them.

    The sum of the positions' entropies is no less than H(k) = I(y; k): where it is nothing, so is the information. A
    rate does not show it, because a uniform prior charges P ln K for one code as for many.
    """
    name, illness, source = "nats in the codes", "collapsed", "He et al. 2019, arXiv:1901.05534; THEORY T11"
    threshold = evidence.thresholds.negligible
    codes = evidence.scores.need("codes")[0]
    if len(codes) < 2:
        return not_made(name, illness, "nats", threshold, source, "it needs at least 2 sentences")
    found = interval(positions_entropy(codes).plain)
    fired = found.side(threshold, ill_below=True, decide=evidence.decide)
    common = codes.mode(0).values
    same = " ".join(str(code) for code in common.tolist())
    which = f"; nearly every sentence is {same}" if fired else ""
    return made(
        name, illness, found, "nats", threshold, fired, source,
        f"the codes tell at most {said(found)} nats of the sentence (nothing: {threshold:g} or less){which}",
        coded=True,
    )  # fmt: skip


def silent_positions(evidence: Evidence) -> Check:
    """Partly collapsed: positions whose code is (almost) always the same."""
    name, illness, source = "silent positions", "partly collapsed", "one code 99 times in a hundred: 0.056 nats"
    codes, limit = evidence.scores.need("codes")[0], evidence.thresholds.silent_entropy
    if len(codes) < 2:
        return not_made(name, illness, "positions", 0.0, source, "it needs at least 2 sentences")
    entropies = [interval(drawn_entropy(codes[:, p : p + 1]).corrected) for p in range(codes.shape[1])]
    sides = [each.side(limit, ill_below=True, decide=evidence.decide) for each in entropies]
    silent, unsure = [p for p, side in enumerate(sides) if side], sides.count(None)
    named = f", k[{ranges(silent)}]" if 0 < len(silent) < len(sides) else ""
    open_ones = f", {unsure} undecided" if unsure else ""
    return made(
        name, illness, Interval(len(silent), math.nan, len(silent), len(silent) + unsure), "positions", 0.0,
        bool(silent) or (None if unsure else False), source,
        f"{len(silent)} of {len(sides)} positions are silent{named}{open_ones} (entropy of the code at most "
        f"{limit:g} nats)", coded=True,
    )  # fmt: skip


def dead_codes(evidence: Evidence) -> Check:
    """Partly collapsed: codes that no sentence has, counted so that few sentences do not make codes dead.

    The interval goes from the codes that Chao's estimate of those in use leaves, 1.96 of its standard errors more
    being in use, to all that were not seen.
    """
    name, illness, source = "dead codes", "partly collapsed", "Chao 1984 (codes in use); a tenth is ours"
    alphabet, codes = evidence.alphabet, evidence.scores.need("codes")[0]
    if alphabet is None or len(codes) < 2:
        why = "it needs the size of the codebook" if alphabet is None else "it needs at least 2 sentences"
        return not_made(name, illness, "codes", evidence.thresholds.dead_codes, source, why)
    unseen = (code_counts(codes, alphabet).sum(0) == 0).nonzero().squeeze(1).tolist()
    alive = codes_alive(alphabet.symbols(codes), alphabet.size)
    dead = alphabet.size - alive.value
    least = max(0.0, dead - NINETY_FIVE * alive.se)
    threshold = evidence.thresholds.dead_codes * alphabet.size
    found = Interval(dead, math.nan, least, float(len(unseen)))
    fired = found.side(threshold, ill_below=False, decide=evidence.decide)
    named = f": {', '.join(map(alphabet.name, unseen))}" if 0 < len(unseen) <= FEW else ""
    return made(
        name, illness, found, "codes", threshold, fired, source,
        f"of {alphabet.size} codes {len(unseen)} stand for none of these sentences{named}, and {dead:.0f} are dead as "
        f"far as so many can tell (too many: more than {threshold:.3g})", coded=True,
    )  # fmt: skip


CODE_CHECKS = (
    sentences, rate, nats_in_codes, nats_lost_elsewhere, mismatch, gain_beyond, silent_positions, dead_codes,
)  # fmt: skip
"""Every check of a model whose z are codes, in the precedence of their illnesses."""
