"""A charge on how far the rate is from a capacity, |R - C|, in place of the rate."""

import math
from typing import Any


class Capacity:
    """weight |R - C_t|: its slope in R is +weight above C_t and -weight below, and that is the rate's beta.

    R is the mean over sentences of an exponential window of past steps and of all processes, so that the sign is the
    same for every sentence of a step. Before the first step R is not known, and nothing is charged. A weight of 1 or
    more is needed to hold the rate down to a C below the one that beta = 1 would have.

    Args:
        rate: C, nats per sentence.
        weight: of the distance (no unit).
        steps: over which C_t rises from 0 to C; None has C at once.
        decay: of the window; 0.9 averages about 10 steps.

    Source: Burgess et al. 2018, arXiv:1804.03599, eq. 8 (C rising linearly); Prokhorov et al. 2019, arXiv:1909.13668,
    eq. 3 (text, C constant, weight 1). There R is the batch's own.
    """

    def __init__(self, rate: float, *, weight: float = 1.0, steps: int | None = None, decay: float = 0.9) -> None:
        self.rate = rate
        self.weight = weight
        self.steps = steps
        self.decay = decay
        self.rate_sum = 0.0
        self.count = 0.0

    @property
    def running_rate(self) -> float:
        """The windowed mean rate, nats per sentence; NaN before the first step."""
        return self.rate_sum / self.count if self.count else math.nan

    def at(self, step: int) -> float:
        """C_t, nats per sentence."""
        return self.rate if self.steps is None else self.rate * min(1.0, step / self.steps)

    def beta(self, step: int) -> float:
        """The rate's weight at a step: +weight, -weight, or 0 while the rate is not known or is C_t itself."""
        error = self.running_rate - self.at(step) if self.count else 0.0
        return math.copysign(self.weight, error) if error else 0.0

    def observe(self, rate_sum: float, count: float) -> None:
        """Take in one step's rate, summed over all its sentences on all processes (nats)."""
        self.rate_sum = self.decay * self.rate_sum + rate_sum
        self.count = self.decay * self.count + count

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers; JSON keeps every digit of them."""
        return {"rate_sum": self.rate_sum, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state made by `state_dict`."""
        self.rate_sum, self.count = state["rate_sum"], state["count"]
