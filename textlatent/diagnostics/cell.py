"""A cell of the ledger: a value with its error, or no value and why."""

import math
from typing import Any

from torch import Tensor

from textlatent.nats.montecarlo import Estimate, mean_with_error

Cell = dict[str, Any]
"""One quantity: {"value", "se", ...}, or {"value": None, "why"}."""

NO_LATENT = "the model is a language model: it has no z."


def blank(why: str) -> Cell:
    """The cell of a quantity that has no value."""
    return {"value": None, "why": why}


def cell(estimate: Estimate, **more: Any) -> Cell:
    """The estimate as a cell; an error that one sentence cannot have is None, since JSON has no NaN.

    Raises:
        ValueError: the value is not finite.
    """
    if not math.isfinite(estimate.value):
        raise ValueError(
            f"the scores hold a number that is not finite: a mean over sentences came out {estimate.value}."
        )
    return {"value": estimate.value, "se": None if math.isnan(estimate.se) else estimate.se, **more}


def mean_cell(per_sentence: Tensor | None, why: str) -> Cell:
    """The mean over sentences and its error, or the reason why there are no numbers."""
    return blank(why) if per_sentence is None else cell(mean_with_error(per_sentence))
