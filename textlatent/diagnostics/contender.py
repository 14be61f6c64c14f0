"""A contender: one run, or the runs of one recipe over its seeds; its nats per sentence and their two sources of error.

Over sentences: another test set would give other numbers; a paired difference has the error of its per-sentence
differences. Over seeds: another seed would give another model; it is known only where there are several.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from textlatent.diagnostics.likelihood import importance_ladder, perplexity
from textlatent.diagnostics.point import Information, read_information
from textlatent.nats.montecarlo import Estimate, mean_with_error
from textlatent.nats.student import joined_degrees, ninety_five
from textlatent.scores import Scores

QUANTITIES = {"rate": "rate", "distortion": "distortion", "neg_elbo": "-ELBO", "nll": "NLL"}
"""What is compared, nats per sentence, and its name in a table; NLL is -ln P(y) where it is exact, IW-NLL elsewhere."""


@dataclass(frozen=True)
class Member:
    """One evaluated run of a contender.

    Attributes:
        name: the run's.
        seed: it was trained with.
        scores: of the sentences all runs share, in one order.
        ledger: the ledger of these scores, or what is known of it: information_nats, active_units.
        verdict: of its diagnosis, None where there is none.
        minutes: of training, None where they are not known.
    """

    name: str
    seed: int
    scores: Scores
    ledger: Mapping[str, Any]
    verdict: str | None = None
    minutes: float | None = None

    @cached_property
    def nats(self) -> dict[str, Tensor]:
        """Each of QUANTITIES, nats per sentence in float64, [N]; NaN where undefined: all but one of a point's.

        "nll" is IW-NLL; where -ln P(y) was summed over every z it is that, and "bound" the IW-NLL.
        """
        tensors = self.scores.to_dict()
        scores = Scores.from_dict({k: v.double() if v.is_floating_point() else v for k, v in tensors.items()})
        if not scores.has_rate:
            undefined = torch.full_like(scores.distortion(), math.nan)
            return dict.fromkeys((*QUANTITIES, "bound"), undefined) | {"distortion": scores.distortion()}
        bound = importance_ladder(scores.log_weights())[-1].nll
        known = {"rate": scores.rate(), "distortion": scores.distortion(), "neg_elbo": scores.neg_elbo()}
        nll = bound if scores.log_marginal is None else -scores.log_marginal
        return known | {"nll": nll, "bound": bound}

    @property
    def exact(self) -> bool:
        """Whether -ln P(y) of each sentence was summed over every z."""
        return self.scores.log_marginal is not None or bool((self.ledger.get("iw_nll_nats") or {}).get("exact"))


@dataclass(frozen=True)
class Measure:
    """A mean nat cost, or a difference of two.

    Attributes:
        value: nats per sentence, the mean over seeds.
        se: its standard error over sentences (of a difference: of the per-sentence differences); NaN of one sentence.
        sd_over_seeds: of the seeds' values, NaN of one seed; of a difference NaN.
        se_over_seeds: of the mean over seeds, NaN where it is not known.
        degrees_over_seeds: degrees of freedom of that error, NaN where it is not known.
        seeds: how many; of a difference, the fewer.
    """

    value: float
    se: float
    sd_over_seeds: float
    se_over_seeds: float
    degrees_over_seeds: float
    seeds: int

    @property
    def total_se(self) -> float:
        """Both errors together: sqrt(se^2 + se_over_seeds^2), or the sentences' alone where seeds tell nothing."""
        return self.se if math.isnan(self.se_over_seeds) else math.hypot(self.se, self.se_over_seeds)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval: value +- t total_se, t = 1.96 or, since a few seeds tell little of their own error, more.

        Student's t, the sentences' error counted as known (Welch & Satterthwaite).
        """
        seeds = (self.se_over_seeds, self.degrees_over_seeds)
        degrees = math.nan if math.isnan(self.se_over_seeds) else joined_degrees((self.se, math.inf), seeds)
        reach = ninety_five(degrees) * self.total_se
        return self.value - reach, self.value + reach

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, a number that is not known as null."""
        names = ("value", "se", "sd_over_seeds", "se_over_seeds")
        known = {name: as_json(getattr(self, name)) for name in names}
        return known | {"seeds": self.seeds, "interval": [as_json(end) for end in self.interval]}


@dataclass(frozen=True)
class Contender:
    """A recipe in the comparison: one run, or several that differ in their seeds alone.

    Attributes:
        name: of its row.
        members: its runs.
    """

    name: str
    members: tuple[Member, ...]

    def per_sentence(self, quantity: str) -> Tensor:
        """Nats of every sentence, the mean over seeds, [N]."""
        return torch.stack(self._of_members(quantity)).mean(0)

    def _of_members(self, quantity: str) -> list[Tensor]:
        """Of each seed; the NLL of one kind for all of them."""
        name = "bound" if quantity == "nll" and not self.exact else quantity
        return [member.nats[name] for member in self.members]

    @property
    def exact(self) -> bool:
        """Whether its NLL is -ln P(y) summed over every z, of every seed; else it is IW-NLL."""
        return all(member.exact for member in self.members)

    def measure(self, quantity: str) -> Measure:
        """The mean nats per sentence."""
        estimate = mean_with_error(self.per_sentence(quantity))
        sd, se = self._over_seeds(quantity)
        seeds = len(self.members)
        return Measure(estimate.value, estimate.se, sd, se, seeds - 1.0 if seeds > 1 else math.nan, seeds)

    def difference(self, other: "Contender", quantity: str) -> Measure:
        """This one's nats less another's, paired by sentence."""
        estimate = mean_with_error(self.per_sentence(quantity) - other.per_sentence(quantity))
        seeds, of = [len(each.members) for each in (self, other)], [x._over_seeds(quantity)[1] for x in (self, other)]
        degrees = math.nan
        if min(seeds) > 1:
            degrees = joined_degrees(*((se, count - 1.0) for se, count in zip(of, seeds, strict=True)))
        return Measure(estimate.value, estimate.se, math.nan, math.hypot(*of), degrees, min(seeds))

    def _over_seeds(self, quantity: str) -> tuple[float, float]:
        """The standard deviation of the seeds' means, and the standard error of the mean over seeds."""
        means = torch.stack([nats.mean() for nats in self._of_members(quantity)])
        if len(means) < 2:
            return math.nan, math.nan
        sd = means.std(correction=1).item()
        return sd, sd / math.sqrt(len(means))

    @property
    def unconverged(self) -> bool:
        """Whether the ledger of some run says that its IW-NLL still falls in K, so that -ln P(y) is lower."""
        cells = [member.ledger.get("iw_nll_nats") or {} for member in self.members]
        return not self.exact and any(cell.get("converged") is False for cell in cells)

    @property
    def perplexity(self) -> Estimate | None:
        """Per word, EOS a word, from the NLL, its error over sentences; None without words or a density."""
        words, nll = self.members[0].scores.words, self.per_sentence("nll")
        return None if words is None or bool(nll.isnan().any()) else perplexity(nll, words + 1)

    @property
    def information(self) -> Information | None:
        """The 95 % interval of I(y; z), nats: from the seeds' lowest end to their highest; None without a z."""
        known = [read_information(member.ledger["information_nats"]) for member in self.members]
        found = [each for each in known if each is not None]
        if not found:
            return None
        return Information(min(x.low for x in found), max(x.high for x in found), min(x.cap for x in found))

    @property
    def active(self) -> tuple[float, int] | None:
        """Active units, the mean over seeds, and how many units there are; None without a z."""
        cells = [member.ledger["active_units"] for member in self.members]
        if any(cell["value"] is None for cell in cells):
            return None
        return math.fsum(cell["value"] for cell in cells) / len(cells), cells[0]["of"]

    @property
    def codes(self) -> tuple[float, int] | None:
        """Codes used, the mean over seeds, and how many there are; None where z is no codes."""
        blank = {"value": None}
        cells = [member.ledger.get("codes_used", blank) for member in self.members]
        if any(cell["value"] is None for cell in cells):
            return None
        return math.fsum(cell["value"] for cell in cells) / len(cells), cells[0]["of"]

    @property
    def marginal(self) -> Estimate | None:
        """-ln P(y) summed over every code, nats per sentence, the mean over seeds; None where it was not summed."""
        cells = [member.ledger.get("marginal_nll_nats", {"value": None}) for member in self.members]
        if any(cell["value"] is None or cell["se"] is None for cell in cells):
            return None
        value, se = (math.fsum(cell[name] for cell in cells) / len(cells) for name in ("value", "se"))
        return Estimate(value, se, len(self.members[0].scores))

    @property
    def units(self) -> str:
        """What z has and how much of it is used: "7 of 8" dimensions, "15 of 16 codes"; a dash without a z."""
        for found, kind in ((self.active, ""), (self.codes, " codes")):
            if found is not None:
                return f"{found[0]:.4g} of {found[1]:,}{kind}"
        return "-"

    @property
    def verdict(self) -> str:
        """The diagnoses, each with its count where the seeds disagree; empty where there is none."""
        found = Counter(member.verdict for member in self.members if member.verdict is not None)
        if len(found) == 1 and found.total() == len(self.members):
            return next(iter(found))
        return ", ".join(f"{count} {name}" for name, count in found.items())

    @property
    def minutes(self) -> float | None:
        """Of training, the mean over seeds."""
        known = [member.minutes for member in self.members if member.minutes is not None]
        return math.fsum(known) / len(known) if known else None


def as_json(value: float) -> float | None:
    """The number, or None where there is none: JSON has no NaN."""
    return value if math.isfinite(value) else None
