"""Contenders side by side on the same sentences: a table of what each costs, and one of paired differences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from textlatent.diagnostics.codes import is_quantised
from textlatent.diagnostics.contender import QUANTITIES, Contender, Measure, Member, as_json
from textlatent.diagnostics.table import Cell, Table
from textlatent.scores import Scores

UNDEFINED = "undefined"
"""What is written for the nats of a model without a density (THEORY T6d)."""

_LOWER_IS_BETTER = ("neg_elbo", "nll")  # a rate alone is neither good nor bad, nor is a distortion alone


@dataclass(frozen=True)
class Comparison:
    """Contenders on the same sentences.

    Attributes:
        contenders: in the order given.
        reference: the one the others are compared with.
        split: what the sentences are of.
        notes: what a reader should know.
    """

    contenders: tuple[Contender, ...]
    reference: Contender
    split: str
    notes: tuple[str, ...] = ()

    def best(self, quantity: str) -> list[Contender]:
        """The one with the lowest mean and every one whose difference from it is within its 95 % interval.

        Several are as good as one another here: nothing is called best that is not told from the next. A contender
        for which the quantity is undefined takes no part.
        """
        known = [each for each in self.contenders if not math.isnan(each.measure(quantity).value)]
        if not known:
            return []
        lowest = min(known, key=lambda each: each.measure(quantity).value)
        gaps = {each.name: each.difference(lowest, quantity) for each in known}
        return [c for c in known if c is lowest or not gaps[c.name].interval[0] > 0]

    def values(self) -> Table:
        """What each contender costs and carries, one row each."""
        seeds = any(len(each.members) > 1 for each in self.contenders)
        columns = ["run", *(["seeds"] if seeds else []), *QUANTITIES.values()]
        columns += ["perplexity per word", "information", "active units", "verdict", "minutes"]
        best = {name: self.best(name) for name in _LOWER_IS_BETTER}
        rows = [self._row(each, best, seeds) for each in self.contenders]
        sizes = self.contenders[0].members[0]
        caption = (
            f"Nats per sentence on {len(sizes.scores):,} sentences of {self.split} ± standard error over sentences"
            + (", (standard deviation over seeds)" if seeds else "")
            + f"; NLL: {self._what_the_nll_is()}; information: 95 % interval in nats."
            " Bold: lowest, and not distinguishable from it: 0 lies within the 95 % interval of the paired difference."
            + self._still_falling()
            + self._over_all_codes()
        )
        return Table(tuple(columns), tuple(rows), caption)

    def _what_the_nll_is(self) -> str:
        """Whose NLL is -ln P(y) itself, and what the others' is."""
        exact = [each.name for each in self.contenders if each.exact]
        bound = "" if len(exact) == len(self.contenders) else f"IW-NLL with K = {self._samples}"
        if not exact:
            return bound
        itself = "-ln P(y), summed over every z" + (f", of {', '.join(exact)}" if bound else "")
        return itself + (f", {bound} of the others" if bound else "")

    def _still_falling(self) -> str:
        """A warning of bounds that more draws would lower."""
        names = ", ".join(each.name for each in self.contenders if each.unconverged)
        return f" IW-NLL not converged in K, -ln P(y) is lower: {names}." if names else ""

    def _over_all_codes(self) -> str:
        """The NLL of codes that a ledger holds and its Scores, written before they kept it by sentence, do not."""
        known = [(each.name, each.marginal) for each in self.contenders if not each.exact]
        told = [f"{name} {_with_error(nll.value, nll.se)}" for name, nll in known if nll is not None]
        if not told:
            return ""
        return (
            " These have the bound by a sentence's own code in place of the sum over all codes, which their Scores do "
            f"not hold by sentence (evaluate them again): {', '.join(told)} when summed."
        )

    def _row(self, each: Contender, best: Mapping[str, list[Contender]], seeds: bool) -> tuple[Cell, ...]:
        cells = [Cell(each.name), *([Cell(str(len(each.members)))] if seeds else [])]
        cells += [Cell(_measured(each.measure(name)), each in best.get(name, [])) for name in QUANTITIES]
        ppl, information, minutes = each.perplexity, each.information, each.minutes
        cells.append(Cell("-") if ppl is None else Cell(_with_error(ppl.value, ppl.se), each in best["nll"]))
        cells.append(Cell(f"[{information.low:z.2f}, {information.high:z.2f}]" if information else "-"))
        cells.append(Cell(each.units))
        cells.append(Cell(each.verdict or "-"))
        cells.append(Cell("-" if minutes is None else f"{minutes:.1f}"))
        return tuple(cells)

    def differences(self) -> Table:
        """Each contender less the reference, with the 95 % interval, one row each."""
        rows = []
        for each in self.contenders:
            if each is not self.reference:
                measures = [each.difference(self.reference, name) for name in QUANTITIES]
                rows.append((Cell(each.name), *(Cell(_difference(measure)) for measure in measures)))
        over = any(not math.isnan(each.measure("rate").se_over_seeds) for each in self.contenders)
        errors = "sentences, and over seeds where both have several (Student's t)" if over else "sentences"
        caption = (
            f"Nats per sentence less those of {self.reference.name}, paired by sentence: difference ± standard error"
            f" over {errors} [95 % interval]." + "".join(f" {note}" for note in self.notes)
        )
        return Table(("run", *QUANTITIES.values()), tuple(rows), caption)

    @property
    def _samples(self) -> int:
        every = [member.scores for each in self.contenders for member in each.members]
        drawn = [scores for scores in every if not _alike(scores)]
        return (drawn or every)[0].need("log_p_dec").shape[0]

    def to_markdown(self) -> str:
        """Both tables, to paste."""
        return f"{self.values().to_markdown()}\n{self.differences().to_markdown()}"

    def to_latex(self) -> str:
        """Both tables, to paste; they need the package booktabs."""
        return f"{self.values().to_latex()}\n{self.differences().to_latex()}"

    def to_dict(self) -> dict[str, Any]:
        """Every number, as JSON holds it."""
        best = {name: self.best(name) for name in _LOWER_IS_BETTER}
        return {
            "reference": self.reference.name,
            "split": self.split,
            "sentences": len(self.contenders[0].members[0].scores),
            "samples": self._samples,
            "notes": list(self.notes),
            "contenders": [self._dict(each, best) for each in self.contenders],
        }

    def _dict(self, each: Contender, best: Mapping[str, list[Contender]]) -> dict[str, Any]:
        ppl, information, active, codes = each.perplexity, each.information, each.active, each.codes
        nats = {f"{name}_nats": each.measure(name).to_dict() for name in QUANTITIES}
        for name, found in best.items():
            nats[f"{name}_nats"]["best"] = each in found
        nats["nll_nats"] |= {"exact": each.exact, "still_falls": each.unconverged}
        return {
            "name": each.name,
            "runs": [{"name": member.name, "seed": member.seed} for member in each.members],
            **nats,
            "difference": {f"{n}_nats": each.difference(self.reference, n).to_dict() for n in QUANTITIES},
            "perplexity_per_word": ppl and {"value": ppl.value, "se": as_json(ppl.se)},
            "information_nats": information
            and {"interval": [information.low, information.high], "cap": information.cap},
            "active_units": active and {"value": active[0], "of": active[1]},
            "codes_used": codes and {"value": codes[0], "of": codes[1]},
            "verdict": each.verdict or None,
            "minutes": each.minutes,
        }


def compare_members(
    groups: Mapping[str, Sequence[Member]], *, reference: str, split: str = "test", notes: Sequence[str] = ()
) -> Comparison:
    """The comparison of groups of runs, a name and its seeds each.

    Args:
        groups: name of the row -> its runs.
        reference: the name of the one the others are compared with.
        split: what the sentences are of.
        notes: what a reader should know.

    Raises:
        ValueError: Scores that differ in sentences or K.
    """
    members = [member for group in groups.values() for member in group]
    drawn = [i for i, member in enumerate(members) if not _alike(member.scores)]
    for first in dict.fromkeys([0, *drawn[:1]]):
        for member in members:
            if (reason := what_differs(members[first].scores, member.scores)) is not None:
                raise ValueError(f"{members[first].name} and {member.name} cannot be compared: {reason}.")
    contenders = {name: Contender(name, tuple(group)) for name, group in groups.items()}
    return Comparison(tuple(contenders.values()), contenders[reference], split, tuple(notes))


def what_differs(one: Scores, other: Scores) -> str | None:
    """Why two records cannot be paired sentence by sentence, None where they can.

    The same sentences have the same place in their split, words and characters; tokens may differ. K may differ where
    one of the two needs no draws: it has one code a sentence, or its -ln P(y) is exact.
    """
    if len(one) != len(other):
        return f"one holds {len(one):,} sentences, the other {len(other):,}"
    for name in ("index", "words", "characters"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if (mine is None) is not (theirs is None) or (mine is not None and not torch.equal(mine, theirs)):
            return f"they hold other sentences: {name} differs"
    draws = [scores.need("log_p_dec").shape[0] for scores in (one, other)]
    if draws[0] != draws[1] and not (_alike(one) or _alike(other)):
        return f"IW-NLL was taken with K = {draws[0]} in one, K = {draws[1]} in the other"
    return None


def _alike(scores: Scores) -> bool:
    """Whether more draws would say the same: a sentence has one code, or every z was summed over."""
    return is_quantised(scores) or scores.log_marginal is not None


def _with_error(value: float, se: float) -> str:
    if math.isnan(value):
        return UNDEFINED
    return f"{value:z.2f}" if math.isnan(se) else f"{value:z.2f} ± {se:.2f}"


def _measured(measure: Measure) -> str:
    if math.isnan(measure.value):
        return UNDEFINED
    spread = "" if math.isnan(measure.sd_over_seeds) else f" ({measure.sd_over_seeds:.2f})"
    return _with_error(measure.value, measure.se) + spread


def _difference(measure: Measure) -> str:
    if math.isnan(measure.value):
        return UNDEFINED
    low, high = measure.interval
    over = "" if math.isnan(measure.se_over_seeds) else f" ± {measure.se_over_seeds:.3f}"
    return f"{measure.value:+z.3f} ± {measure.se:.3f}{over} [{low:+z.3f}, {high:+z.3f}]"
