"""The section that says what is charged: loss = beta * rate + lam * distortion."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.section import Conflict, Section


class Objective(Section):
    """loss = beta * rate + lam * distortion, in nats per sentence."""

    beta: float | None = Field(None, ge=0)
    """The rate's weight; null means 1, or that the target rate finds it."""
    lam: float = Field(1.0, ge=0)
    """The distortion's weight."""
    schedule: Literal["constant", "linear", "cyclical"] = "constant"
    """How beta comes to its value: at once, by one rise, or by a rise in every cycle."""
    schedule_steps: int | None = Field(None, ge=1)
    """Optimiser steps the schedule lasts, all cycles together."""
    beta_start: float | None = Field(None, ge=0)
    """The first beta, of a schedule (null is 0) or of a target rate (null is 1)."""
    cycles: int = Field(4, ge=1)
    """How many rises a cyclical schedule has."""
    ramp: float = Field(0.5, gt=0, le=1)
    """Share of a cycle spent rising."""
    zero: float = Field(0.0, ge=0, lt=1)
    """Share of a cycle at beta 0 before it rises; Li et al. 2020 have cycles 1, zero 0.5, ramp 0.25."""
    target_rate: float | None = Field(None, gt=0)
    """The rate to train to, in nats per sentence; beta then follows from it."""
    minimum_rate: float | None = Field(None, gt=0)
    """The least rate to train to, in nats per sentence; beta stays 1 above it and falls below; 5 in its paper."""
    target_gain: float = Field(0.02, gt=0)
    """Largest change of ln beta in one step."""
    capacity: float | None = Field(None, gt=0)
    """C, in nats per sentence, where capacity_weight * |rate - C| is charged in place of the rate."""
    capacity_weight: float = Field(1.0, gt=0)
    """The weight of |rate - C|; 1 in Prokhorov et al. 2019."""
    capacity_steps: int | None = Field(None, ge=1)
    """Steps in which C rises from 0, as in Burgess et al. 2018; null has C from the start."""
    free_nats: float = Field(0.0, ge=0)
    """Nats below which the rate is not pressed further."""
    free_nats_on: Literal["dimension", "sentence", "batch_dimension", "batch"] = "dimension"
    """What the floor holds for: each dimension or the sum, of each sentence or of the batch mean."""
    importance_samples: int = Field(1, ge=1)
    """Draws of z per sentence in training; above 1 the loss is Burda et al. 2016's bound, beta and lam inside it."""

    def conflicts(self) -> Iterator[Conflict]:
        """One thing decides beta, and the rate is charged in one way."""
        asked = [name for name in ("target_rate", "minimum_rate", "capacity") if getattr(self, name) is not None]
        for name in asked[1:]:
            yield name, f"and objective.{asked[0]} would each decide beta; take one of the two out."
        for name in asked[:1]:
            if self.beta is not None:
                yield name, "finds beta itself, so objective.beta must be null; take one of the two out."
            if self.schedule != "constant":
                yield name, f"finds beta itself, so objective.schedule must be constant, got {self.schedule!r}."
        yield from self._rate_conflicts()
        yield from self._schedule_conflicts()

    def asks_of_rate(self) -> list[str]:
        """The keys by which this objective asks something of a rate: all but lam that are not as they are at first."""
        return [k for k, v in type(self).model_fields.items() if k != "lam" and getattr(self, k) != v.get_default()]

    def _rate_conflicts(self) -> Iterator[Conflict]:
        """What is charged for the rate."""
        if self.minimum_rate is not None and self.beta_start is not None and self.beta_start > 1:
            yield "beta_start", f"must be <= 1, got {self.beta_start}: under a minimum rate beta is never above 1."
        if self.capacity_steps is not None and self.capacity is None:
            yield "capacity_steps", "needs objective.capacity, the rate to rise to; set it, or take this key out."
        if self.capacity is not None and self.free_nats:
            yield "free_nats", "and objective.capacity would each charge the rate; take one of the two out."
        if self.importance_samples > 1:
            for name in ("free_nats", "capacity"):
                if getattr(self, name):
                    yield name, "needs a rate apart, which objective.importance_samples > 1 has not; take one out."

    def _schedule_conflicts(self) -> Iterator[Conflict]:
        """What belongs to a schedule, and to which."""
        if self.zero and self.schedule != "cyclical":
            yield (
                "zero",
                "needs objective.schedule: cyclical, whose cycles begin with it; set it, or take this key out.",
            )
        if self.zero + self.ramp > 1:
            yield "zero", f"plus objective.ramp must be <= 1, a cycle, got {self.zero} + {self.ramp}."
        if self.schedule == "constant" and self.schedule_steps is not None:
            yield "schedule_steps", "needs a schedule; set objective.schedule to linear or cyclical, or take it out."
        steered = self.target_rate is not None or self.minimum_rate is not None
        if self.schedule == "constant" and not steered and self.beta_start is not None:
            yield "beta_start", "needs a schedule or a target rate; set objective.schedule, or take it out."
        if self.schedule != "constant" and self.schedule_steps is None:
            yield "schedule_steps", f"must be the number of steps that a {self.schedule} schedule lasts."
