"""The inference gap as rows to read: what the posteriors cost above ln P(y), what of it the encoder could recover."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from textlatent.diagnostics.use import InferenceGap
from textlatent.nats.bounds import NINETY_FIVE
from textlatent.nats.montecarlo import Estimate

_ROWS = {
    "gap_nats": "inference gap",
    "amortisation_nats": "of it amortisation",
    "left_nats": "of it left",
}


class InferenceRow(NamedTuple):
    """One part of the gap, nats per sentence.

    Attributes:
        name: of the part.
        value: None where it was not measured.
        se: its standard error; None where one sentence leaves none.
        lower: of its 95 % interval.
        upper: of its 95 % interval.
        why: what it is; where it was not measured, what would measure it.
    """

    name: str
    value: float | None
    se: float | None
    lower: float | None
    upper: float | None
    why: str


def inference_cells(found: InferenceGap) -> dict[str, Any]:
    """As diagnosis.json holds it: each part {"value", "se"} or None, and the draws of the IW-NLL."""
    cells = {"gap_nats": found.gap, "amortisation_nats": found.amortisation, "left_nats": found.left}
    return {name: None if each is None else _cell(each) for name, each in cells.items()} | {"samples": found.samples}


def inference_rows(inference: Mapping[str, Any] | None) -> list[InferenceRow]:
    """The gap and its parts; [] where nothing of it was measured.

    Args:
        inference: of diagnosis.json.

    Source: Cremer et al. 2018, arXiv:1801.03558 (amortisation and approximation gap); THEORY T2, T3.
    """
    if inference is None or all(inference.get(name) is None for name in _ROWS):
        return []
    words = _words(inference)
    return [_row(name, inference.get(key), words[key]) for key, name in _ROWS.items()]


def _words(inference: Mapping[str, Any]) -> dict[str, str]:
    """What each part is, or why it is missing."""
    samples = inference.get("samples")
    gap = "-ELBO less -ln P(y), which is exact"
    if samples is not None:
        gap = f"-ELBO less the IW-NLL of {samples} draws, an upper bound of -ln P(y): the gap is at least this"
    amortisation = "what refining each sentence's posterior recovers, and the encoder misses"
    left = "gap less amortisation: the posterior's family, and what more steps would recover"
    if inference.get("gap_nats") is None:
        gap = (
            "not measured: the last evaluation is not of these sentences with several draws each; `textlatent evaluate`"
        )
    if inference.get("amortisation_nats") is None:
        amortisation = "not measured: no posterior was refined"
    if inference.get("left_nats") is None:
        left = "not measured: it needs both"
    return {"gap_nats": gap, "amortisation_nats": amortisation, "left_nats": left}


def _row(name: str, cell: Mapping[str, Any] | None, why: str) -> InferenceRow:
    if cell is None:
        return InferenceRow(name, None, None, None, None, why)
    value, se = cell["value"], cell.get("se")
    reach = None if se is None else NINETY_FIVE * se
    lower, upper = (None, None) if reach is None else (value - reach, value + reach)
    return InferenceRow(name, value, se, lower, upper, why)


def _cell(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "se": None if math.isnan(estimate.se) else estimate.se}
