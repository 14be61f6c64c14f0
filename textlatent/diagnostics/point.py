"""A point of a rate-distortion curve: what one trained model costs and carries, as its ledger says."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textlatent.nats.montecarlo import Estimate

GAUSSIAN = "gaussian"
"""The family of a model whose z are numbers; the others are model.type of their recipes."""

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
class CodesUsed:
    """What a model with codes makes of its codebook, from the ledger.

    Attributes:
        uniform_rate: P ln K, nats: what a sentence would cost under the uniform prior.
        used: codes that some sentence has.
        of: all codes.
        perplexity: of the codes.
    """

    uniform_rate: float
    used: int
    of: int
    perplexity: float


@dataclass(frozen=True)
class Point:
    """One trained model, as its ledger says; the standard errors are over sentences.

    Attributes:
        name: the run's name.
        asked: the target rate in nats, beta, or P ln K in nats; None for the language model without z, and for a run
            that was laid beside the sweep.
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
        family: GAUSSIAN, or another model.type.
        label: what tells its setting from others that were asked the same; empty where `asked` does.
        codes: of a model with codes.
        marginal_nll: -ln P(y) of codes that were all summed over, nats per sentence; None elsewhere.
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
    family: str = GAUSSIAN
    label: str = ""
    codes: CodesUsed | None = None
    marginal_nll: Estimate | None = None

    @property
    def key(self) -> tuple[str, float | None, str]:
        """What the seeds of one setting share."""
        return self.family, self.asked, self.label


def read_point(
    ledger: Mapping[str, Any],
    *,
    name: str,
    asked: float | None,
    seed: int,
    beta: float,
    seconds: float,
    folder: str,
    family: str = GAUSSIAN,
    label: str = "",
) -> Point:
    """The point that a run's ledger describes.

    Raises:
        ValueError: the ledger has no rate or no IW-NLL, so the model has no place on a curve.
    """
    for key in ("rate_nats", "distortion_nats", "iw_nll_nats"):
        if ledger[key]["value"] is None:
            raise ValueError(f"{folder} has no place on a rate-distortion curve, for {key}: {ledger[key]['why']}")
    active, information = ledger["active_units"], ledger["information_nats"]
    marginal = ledger.get("marginal_nll_nats", {"value": None})
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
        family=family,
        label=label,
        codes=_codes(ledger),
        marginal_nll=None if marginal["value"] is None else _estimate(marginal, ledger["sentences"]),
    )


def _codes(ledger: Mapping[str, Any]) -> CodesUsed | None:
    used = ledger.get("codes_used", {"value": None})
    if used["value"] is None:
        return None
    uniform, perplexity = ledger["uniform_rate_nats"]["value"], ledger["code_perplexity"]["value"]
    return CodesUsed(uniform, round(used["value"]), used["of"], perplexity)


def read_information(cell: Mapping[str, Any]) -> Information | None:
    """The 95 % interval of a ledger's information_nats, nats; None where it has no value."""
    if cell["value"] is None:
        return None
    low, high = cell.get("interval") or (
        cell["lower"] - 1.96 * cell["lower_se"],
        cell["upper"] + 1.96 * cell["upper_se"],
    )
    return Information(low, high, cell["cap"])


def _estimate(cell: Mapping[str, Any], count: int) -> Estimate:
    return Estimate(cell["value"], math.nan if cell["se"] is None else cell["se"], count)


def number(value: float) -> float | None:
    """The number, None where it is none: JSON has no NaN."""
    return value if math.isfinite(value) else None


def nats_cell(estimate: Estimate) -> dict[str, float | None]:
    """A mean and its error, as JSON holds them."""
    return {"value": estimate.value, "se": number(estimate.se)}


def point_row(point: Point) -> dict[str, Any]:
    """The point as curve.json holds it."""
    information, active = point.information, point.active
    interval = information and {"interval": [information.low, information.high], "cap": information.cap}
    return {
        "name": point.name,
        "family": point.family,
        "label": point.label,
        "asked": point.asked,
        "seed": point.seed,
        **{f"{q}_nats": nats_cell(getattr(point, q)) for q in QUANTITIES},
        "marginal_nll_nats": point.marginal_nll and nats_cell(point.marginal_nll),
        "samples": point.samples,
        "information_nats": interval,
        "active_units": None if active is None else {"value": active, "of": point.dimensions},
        "codes": point.codes
        and {
            "uniform_rate_nats": point.codes.uniform_rate,
            "used": point.codes.used,
            "of": point.codes.of,
            "perplexity": point.codes.perplexity,
        },
        "beta": point.beta,
        "training_seconds": point.seconds,
        "folder": point.folder,
    }
