"""A rate-distortion sweep: what every model of it costs and carries, and the lower convex hull of what was reached.

Among models that all minimise beta * rate + distortion, a model on the hull is the cheapest of them at some beta, one
above the hull at none: a mixture of two others does better (THEORY T1).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textlatent.nats.montecarlo import Estimate

QUANTITIES = ("rate", "distortion", "neg_elbo", "iw_nll")
"""What a point is measured in, nats per sentence; `NAME_nats` in curve.json."""


@dataclass(frozen=True)
class Information:
    """How much z says of y, from the ledger's two bounds.

    Attributes:
        low: the lower bound less 1.96 standard errors, nats.
        high: the upper bound plus 1.96 standard errors, nats.
        cap: ln N, above which the lower bound cannot rise, nats.
    """

    low: float
    high: float
    cap: float


@dataclass(frozen=True)
class Point:
    """One trained model, as its ledger says; the standard errors are over sentences.

    Attributes:
        name: the run's name.
        asked: the target rate in nats, or beta; None for the language model without z.
        seed: of the run.
        rate: nats per sentence.
        distortion: nats per sentence.
        neg_elbo: nats per sentence.
        iw_nll: nats per sentence.
        samples: importance samples K of iw_nll.
        information: None where there is no z to say anything.
        active: active units, None where there is no z.
        dimensions: how many units there are.
        beta: the rate's weight at the model's step, given or found.
        seconds: of training.
        folder: the run's folder.
    """

    name: str
    asked: float | None
    seed: int
    rate: Estimate
    distortion: Estimate
    neg_elbo: Estimate
    iw_nll: Estimate
    samples: int
    information: Information | None
    active: int | None
    dimensions: int
    beta: float
    seconds: float
    folder: str


@dataclass(frozen=True)
class Setting:
    """The points of one target rate or beta, over their seeds.

    Attributes:
        asked: the target rate in nats, or beta; None for the language model without z.
        points: one per seed.
    """

    asked: float | None
    points: tuple[Point, ...]

    def mean(self, quantity: str) -> Estimate:
        """The mean over seeds, with the standard error over sentences (the seeds' mean one), nats per sentence.

        Seeds measured on the same sentences share that error, and more of them do not reduce it.
        """
        cells = [getattr(point, quantity) for point in self.points]
        value, se = (math.fsum(getattr(cell, name) for cell in cells) / len(cells) for name in ("value", "se"))
        return Estimate(value, se, cells[0].count)

    def spread(self, quantity: str) -> float:
        """The standard deviation over seeds, nats per sentence; NaN of one seed."""
        values = [getattr(point, quantity).value for point in self.points]
        if len(values) < 2:
            return math.nan
        mean = math.fsum(values) / len(values)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@dataclass(frozen=True)
class Curve:
    """A sweep, as far as it has come.

    Attributes:
        name: the recipe's.
        axis: what was asked of each point.
        points: the finished ones, in the order of the sweep.
        baseline: the language model without z: rate 0, distortion its NLL.
        exact_entropy: H(y) in nats per sentence, where the language is known.
        exact_here: the mean exact -ln P(y) of the very sentences that were scored, nats.
        split: of the corpus, whose sentences were scored.
        left: names of the points that are not finished.
        folder: holds curve.json, curve.png and points/.
    """

    name: str
    axis: Literal["target_rate", "beta"]
    points: tuple[Point, ...]
    baseline: Point | None
    exact_entropy: float | None
    exact_here: Estimate | None
    split: str
    left: tuple[str, ...]
    folder: str

    def settings(self) -> list[Setting]:
        """The points gathered by what was asked, in the order of the sweep."""
        asked = dict.fromkeys(point.asked for point in self.points)
        return [Setting(value, tuple(p for p in self.points if p.asked == value)) for value in asked]

    def hull(self) -> list[Setting]:
        """The settings on the lower convex hull, by rising rate; the language model among them where it is there."""
        settings = self.settings() + ([Setting(None, (self.baseline,))] if self.baseline else [])
        places = [(each.mean("rate").value, each.mean("distortion").value) for each in settings]
        return [settings[i] for i in lower_hull(places)]

    def to_dict(self) -> dict[str, Any]:
        """What curve.json holds."""
        on_hull = {each.asked for each in self.hull()}
        known = self.exact_entropy is not None
        exact = {"value": self.exact_entropy, "these_sentences": self.exact_here and _cell(self.exact_here)}
        settings = [
            {"asked": each.asked, "seeds": [p.seed for p in each.points], "on_hull": each.asked in on_hull}
            | {f"{q}_nats": _cell(each.mean(q)) | {"sd_over_seeds": _number(each.spread(q))} for q in QUANTITIES}
            for each in self.settings()
        ]
        return {
            "name": self.name,
            "axis": {"target_rate": "target_rate_nats", "beta": "beta"}[self.axis],
            "split": self.split,
            "settings": settings,
            "points": [_row(point) | {"on_hull": point.asked in on_hull} for point in self.points],
            "baseline": self.baseline and _row(self.baseline) | {"on_hull": None in on_hull},
            "exact_entropy_nats": exact if known else None,
            "left": list(self.left),
        }


def lower_hull(places: Sequence[tuple[float, float]]) -> list[int]:
    """The positions of those (rate, distortion) that minimise beta * rate + distortion at some beta > 0, by rate.

    A place on an edge, or equal to another, is kept.

    Raises:
        ValueError: a number that is not finite.
    """
    if wrong := [place for place in places if not all(map(math.isfinite, place))]:
        raise ValueError(f"a hull needs finite rates and distortions, got {wrong[0]}.")
    return sorted((i for i, place in enumerate(places) if _is_best_somewhere(place, places)), key=lambda i: places[i])


def _is_best_somewhere(place: tuple[float, float], places: Sequence[tuple[float, float]]) -> bool:
    """Whether a beta > 0 is left that every other place allows: a lower rate bounds it above, a higher one below."""
    rate, distortion = place
    least, most = 0.0, math.inf
    for other_rate, other_distortion in places:
        saved = other_distortion - distortion
        if other_rate < rate:
            most = min(most, saved / (rate - other_rate))
        elif other_rate > rate:
            least = max(least, saved / (rate - other_rate))
        elif saved < 0:
            return False
    return least <= most and most > 0


def read_point(
    ledger: Mapping[str, Any], *, name: str, asked: float | None, seed: int, beta: float, seconds: float, folder: str
) -> Point:
    """The point that a run's ledger describes.

    Raises:
        ValueError: the ledger has no rate or no IW-NLL, so the model has no place on a curve.
    """
    for key in ("rate_nats", "distortion_nats", "iw_nll_nats"):
        if ledger[key]["value"] is None:
            raise ValueError(f"{folder} has no place on a rate-distortion curve, for {key}: {ledger[key]['why']}")
    active, information = ledger["active_units"], ledger["information_nats"]
    return Point(
        name=name,
        asked=asked,
        seed=seed,
        **{q: _estimate(ledger[f"{q}_nats"], ledger["sentences"]) for q in QUANTITIES},
        samples=ledger["iw_nll_nats"]["samples"],
        information=read_information(information),
        active=None if active["value"] is None else round(active["value"]),
        dimensions=active.get("of", 0),
        beta=beta,
        seconds=seconds,
        folder=folder,
    )


def read_information(cell: Mapping[str, Any]) -> Information | None:
    """The 95 % interval of a ledger's information_nats, nats; None where it has no value."""
    if cell["value"] is None:
        return None
    low, high = cell["lower"] - 1.96 * cell["lower_se"], cell["upper"] + 1.96 * cell["upper_se"]
    return Information(low, high, cell["cap"])


def _estimate(cell: Mapping[str, Any], count: int) -> Estimate:
    return Estimate(cell["value"], math.nan if cell["se"] is None else cell["se"], count)


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return value if math.isfinite(value) else None


def _cell(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "se": _number(estimate.se)}


def _row(point: Point) -> dict[str, Any]:
    information, active = point.information, point.active
    interval = information and {"interval": [information.low, information.high], "cap": information.cap}
    return {
        "name": point.name,
        "asked": point.asked,
        "seed": point.seed,
        **{f"{q}_nats": _cell(getattr(point, q)) for q in QUANTITIES},
        "samples": point.samples,
        "information_nats": interval,
        "active_units": None if active is None else {"value": active, "of": point.dimensions},
        "beta": point.beta,
        "training_seconds": point.seconds,
        "folder": point.folder,
    }
