"""A rate-distortion sweep: what every model of it costs and carries, and the lower convex hull of what was reached.

Among models that all minimise beta * rate + distortion, a model on the hull is the cheapest of them at some beta, one
above the hull at none: a mixture of two others does better (THEORY T1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from textlatent.diagnostics.point import QUANTITIES, Point, nats_cell, number, point_row
from textlatent.nats.montecarlo import Estimate


@dataclass(frozen=True)
class Setting:
    """The points of one target rate, beta or codebook, over their seeds.

    Attributes:
        asked: the target rate in nats, beta, or P ln K in nats; None for the language model without z.
        points: one per seed.
    """

    asked: float | None
    points: tuple[Point, ...]

    @property
    def key(self) -> tuple[str, float | None, str]:
        """What its points share."""
        return self.points[0].key

    @property
    def summed(self) -> bool:
        """Whether every point has -ln P(y), summed over all its codes."""
        return all(point.marginal_nll is not None for point in self.points)

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
        beside: points of other sweeps or runs, on the same sentences.
    """

    name: str
    axis: Literal["target_rate", "beta", "codes"]
    points: tuple[Point, ...]
    baseline: Point | None
    exact_entropy: float | None
    exact_here: Estimate | None
    split: str
    left: tuple[str, ...]
    folder: str
    beside: tuple[Point, ...] = ()

    def settings(self) -> list[Setting]:
        """The points gathered by what was asked, in the order of the sweep."""
        return _gathered(self.points)

    def others(self) -> list[Setting]:
        """The settings that were laid beside the sweep."""
        return _gathered(self.beside)

    def families(self) -> list[str]:
        """The kinds of models that are drawn, the sweep's own first."""
        return list(dict.fromkeys(point.family for point in (*self.points, *self.beside)))

    def hull(self) -> list[Setting]:
        """The settings on the lower convex hull, by rising rate, of all families; the language model among them."""
        settings = self.settings() + self.others() + ([Setting(None, (self.baseline,))] if self.baseline else [])
        places = [(each.mean("rate").value, each.mean("distortion").value) for each in settings]
        return [settings[i] for i in lower_hull(places)]

    def to_dict(self) -> dict[str, Any]:
        """What curve.json holds."""
        on_hull = {each.key for each in self.hull()}
        known = self.exact_entropy is not None
        exact = {"value": self.exact_entropy, "these_sentences": self.exact_here and nats_cell(self.exact_here)}
        settings = [
            {"asked": each.asked, "family": each.points[0].family, "label": each.points[0].label}
            | {"seeds": [p.seed for p in each.points], "on_hull": each.key in on_hull}
            | {f"{q}_nats": _cell(each, q) for q in QUANTITIES}
            | {"marginal_nll_nats": _cell(each, "marginal_nll") if each.summed else None}
            for each in (*self.settings(), *self.others())
        ]
        return {
            "name": self.name,
            "axis": {"target_rate": "target_rate_nats", "beta": "beta", "codes": "uniform_rate_nats"}[self.axis],
            "split": self.split,
            "settings": settings,
            "points": [point_row(point) | {"on_hull": point.key in on_hull} for point in self.points],
            "beside": [point_row(point) | {"on_hull": point.key in on_hull} for point in self.beside],
            "baseline": self.baseline and point_row(self.baseline) | {"on_hull": self.baseline.key in on_hull},
            "exact_entropy_nats": exact if known else None,
            "left": list(self.left),
        }


def _cell(setting: Setting, quantity: str) -> dict[str, Any]:
    """The mean over seeds, its error over sentences, and the spread over seeds."""
    return nats_cell(setting.mean(quantity)) | {"sd_over_seeds": number(setting.spread(quantity))}


def _gathered(points: Sequence[Point]) -> list[Setting]:
    """The points of each setting together, in the order they came."""
    keys = dict.fromkeys(point.key for point in points)
    return [Setting(key[1], tuple(p for p in points if p.key == key)) for key in keys]


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
