"""The columns of a metric: declared to `evaluate` as float64 (its usual float32 costs digits), and read back."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Features, List, Value
from torch import Tensor

from textlatent.nats.montecarlo import Estimate


def declare(*, numbers: Sequence[str] = (), vectors: Sequence[str] = ()) -> Features:
    """One number, or one vector of numbers, per sentence under each name."""
    scalar = {name: Value("float64") for name in numbers}
    return Features(scalar | {name: List(Value("float64")) for name in vectors})


def column(values: Sequence[Any], name: str) -> Tensor:
    """A column as float64, [N] or [N, width].

    Raises:
        ValueError: no rows, vectors of different lengths or of none, or a number that is not finite.
    """
    if not len(values):
        raise ValueError(f"{name} holds no sentences; add at least one.")
    if isinstance(values[0], Sequence) and len(widths := {len(row) for row in values}) > 1:
        raise ValueError(f"{name} must hold vectors of one length, got lengths {min(widths)} to {max(widths)}.")
    tensor = torch.tensor(list(values), dtype=torch.float64)
    if not tensor.numel():
        raise ValueError(f"{name} holds vectors of no numbers; a model without z has none to measure.")
    if not tensor.isfinite().all():
        row = int((~tensor.isfinite()).nonzero()[0, 0])
        raise ValueError(f"{name} must be finite; sentence {row} of it is not.")
    return tensor


def flat(name: str, estimate: Estimate) -> dict[str, float | None]:
    """{name, name_se}; the error is None where one sentence cannot have one."""
    return {name: estimate.value, f"{name}_se": None if math.isnan(estimate.se) else estimate.se}
