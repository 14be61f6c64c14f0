"""loss = beta * rate + lam * distortion, as sums over sentences in nats."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.capacity import Capacity
from textlatent.objective.floor import FLOORS, floored_rate
from textlatent.objective.importance import importance_loss
from textlatent.objective.schedule import SCHEDULES, beta_at
from textlatent.objective.target import TargetRate
from textlatent.scores import Scores


@dataclass(frozen=True)
class Terms:
    """One batch's sums, float64.

    Attributes:
        loss: beta * floored rate + lam * distortion + penalty, summed over sentences; carries the gradient.
        rate: the raw rate summed over sentences, nats; None where none is defined (a point encoder's).
        distortion: summed over sentences, nats; None where the decoder did not run, the prior learning alone.
        kl: per dimension, summed over sentences, nats, [D]; empty when there is no closed form.
        count: sentences.
        tokens: scored tokens.
    """

    loss: Float[Tensor, ""]
    rate: Float[Tensor, ""] | None
    distortion: Float[Tensor, ""] | None
    kl: Float[Tensor, " D"]
    count: int
    tokens: Tensor


class Objective:
    """beta * rate + lam * distortion (THEORY T1), beta scheduled or steered to a rate asked for in nats.

    Args:
        beta: the rate's weight, at the end of its schedule; 1 if not given.
        lam: the distortion's weight.
        schedule: "constant", "linear" or "cyclical" (schedule.beta_at).
        schedule_steps: length of the schedule in steps.
        beta_start: first beta of a schedule, or of a target rate.
        cycles: of a cyclical schedule.
        ramp: share of a cycle spent rising.
        zero: share of a cycle without a charge, before it rises.
        target_rate: the rate wanted, nats per sentence; beta is then found, not given (target.TargetRate).
        minimum_rate: the least rate wanted, nats per sentence; beta <= 1 is then found (target.TargetRate).
        target_gain: largest change of ln beta in one step.
        capacity: C, nats per sentence; weight |rate - C| is then charged for the rate (capacity.Capacity).
        capacity_weight: the weight (no unit).
        capacity_steps: steps in which C rises from 0; None has it at once.
        free_nats: part of the rate that costs nothing (floor.floored_rate).
        free_nats_on: "dimension", "sentence", "batch_dimension" or "batch".
        importance_samples: K, draws of z per sentence in training; above 1 the loss is the importance-weighted bound of
            the same beta and lam (importance.importance_loss).

    Raises:
        ValueError: weights below 0, an unknown schedule or floor, a schedule without its length, or two settings of
            which each would decide beta.
    """

    def __init__(
        self,
        *,
        beta: float | None = None,
        lam: float = 1.0,
        schedule: str = "constant",
        schedule_steps: int | None = None,
        beta_start: float | None = None,
        cycles: int = 4,
        ramp: float = 0.5,
        zero: float = 0.0,
        target_rate: float | None = None,
        minimum_rate: float | None = None,
        target_gain: float = 0.02,
        capacity: float | None = None,
        capacity_weight: float = 1.0,
        capacity_steps: int | None = None,
        free_nats: float = 0.0,
        free_nats_on: str = "dimension",
        importance_samples: int = 1,
    ) -> None:
        for name, value in (("beta", beta), ("lam", lam), ("beta_start", beta_start), ("free_nats", free_nats)):
            if value is not None and not value >= 0.0:  # NaN too
                raise ValueError(f"{name} must be >= 0, got {value}.")
        if schedule not in SCHEDULES:
            raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}.")
        if free_nats_on not in FLOORS:
            raise ValueError(f"free_nats_on must be one of {', '.join(FLOORS)}, got {free_nats_on!r}.")
        if schedule != "constant" and schedule_steps is None:
            raise ValueError(f"a {schedule} schedule needs schedule_steps, the number of steps it lasts.")
        if cycles < 1 or not 0.0 < ramp <= 1.0:
            raise ValueError(f"cycles must be >= 1 and ramp in (0, 1], got {cycles} and {ramp}.")
        if zero and (schedule != "cyclical" or not 0.0 < zero <= 1.0 - ramp):
            raise ValueError(f"zero belongs to a cyclical schedule, with zero + ramp <= 1, got {zero} and ramp {ramp}.")
        if importance_samples < 1:
            raise ValueError(f"importance_samples must be >= 1, got {importance_samples}.")
        if importance_samples > 1 and (free_nats or capacity is not None):
            raise ValueError(
                "importance_samples above 1 leaves no rate apart to be floored: no free_nats, no capacity."
            )
        found = {"target_rate": target_rate, "minimum_rate": minimum_rate, "capacity": capacity}
        self._refuse_two(found, beta, schedule, beta_start)
        if capacity is not None and (free_nats or not capacity_weight > 0.0):
            raise ValueError(f"capacity goes with free_nats 0 and a weight > 0, got {free_nats} and {capacity_weight}.")
        self.lam = lam
        self.final_beta = 1.0 if beta is None else beta
        self.schedule = schedule
        self.schedule_steps = schedule_steps
        self.beta_start = beta_start or 0.0
        self.cycles = cycles
        self.ramp = ramp
        self.zero = zero
        self.free_nats = free_nats
        self.free_nats_on = free_nats_on
        self.importance_samples = importance_samples
        start, wanted = 1.0 if beta_start is None else beta_start, target_rate or minimum_rate
        self.target = (
            TargetRate(wanted, gain=target_gain, beta_start=start, minimum=target_rate is None) if wanted else None
        )
        self.capacity = Capacity(capacity, weight=capacity_weight, steps=capacity_steps) if capacity else None
        self.running_kl: Tensor | None = None
        self.running_count = 0.0

    @staticmethod
    def _refuse_two(
        found: dict[str, float | None], beta: float | None, schedule: str, beta_start: float | None
    ) -> None:
        """Raise where beta is given and found, or found in two ways."""
        asked = [name for name, rate in found.items() if rate is not None]
        if len(asked) > 1:
            raise ValueError(f"{asked[0]} and {asked[1]} would each decide beta; take one of the two out.")
        for name in asked:
            if beta is not None or schedule != "constant":
                raise ValueError(f"{name} finds beta itself: give either {name}, or beta and its schedule.")
            if not (rate := found[name] or 0.0) > 0.0:
                raise ValueError(f"{name} must be > 0 nats, got {rate}; for no rate at all raise beta.")
            if beta_start == 0.0:
                raise ValueError("a target rate moves ln beta: beta_start must be > 0, got 0; try 0.1.")
            if name == "minimum_rate" and beta_start is not None and beta_start > 1.0:
                raise ValueError(
                    f"under a minimum rate beta is never above 1: beta_start must be <= 1, got {beta_start}."
                )

    @property
    def needs_densities(self) -> bool:
        """Whether the loss asks for ln P_enc and ln P_pri of each draw, be the rate in closed form or not."""
        return self.importance_samples > 1

    def beta(self, step: int) -> float:
        """The rate's weight at a step (no unit); below 0 where a capacity asks for more rate."""
        if self.target is not None:
            return self.target.beta
        if self.capacity is not None:
            return self.capacity.beta(step)
        return beta_at(
            step,
            beta=self.final_beta,
            schedule=self.schedule,
            schedule_steps=self.schedule_steps,
            beta_start=self.beta_start,
            cycles=self.cycles,
            ramp=self.ramp,
            zero=self.zero,
        )

    def settled(self, step: int) -> bool:
        """Whether every schedule has ended by this step."""
        rising = self.capacity.steps if self.capacity is not None else self.schedule_steps
        return step >= (rising or 0)

    def meets(self, rate: float, *, tolerance: float) -> bool:
        """Whether a validation's rate (nats per sentence) is one asked for, within a share of it; True if none is."""
        return self.target is None or self.target.meets(rate, tolerance=tolerance)

    def __call__(self, scores: Scores, step: int) -> Terms:
        """The sums of a batch at a step; the gradient of their loss is a sum over sentences, whatever the batch.

        Without a rate (a point encoder's) the loss is lam * distortion (THEORY T6d).

        Raises:
            ValueError: something is asked of a rate, and there is none.
        """
        if not scores.has_rate:
            return self._distortion_alone(scores)
        rate = charged = scores.rate()
        distortion_sum = None if scores.log_p_dec is None else scores.distortion().sum()
        kl = scores.kl if scores.kl is not None else rate.new_zeros(rate.shape[0], 0)
        if self.free_nats:
            mean = None if self.running_kl is None else (self.running_kl / self.running_count).to(kl.device)
            charged = self._charge(scores, mean)
        rate_sum = rate.sum()
        if self.importance_samples > 1:
            loss = self._importance(scores, self.beta(step), self.lam).sum()
        else:
            charged_sum = rate_sum if charged is rate else charged.sum()
            loss = self.beta(step) * charged_sum
            loss = loss if distortion_sum is None else loss + self.lam * distortion_sum
        if scores.penalty is not None:
            loss = loss + scores.penalty.sum()
        tokens = scores.tokens.sum() if scores.tokens is not None else rate.new_zeros(())
        heard = None if distortion_sum is None else distortion_sum.detach()
        return Terms(loss, rate_sum.detach(), heard, kl.detach().sum(0), rate.shape[0], tokens.detach())

    def _distortion_alone(self, scores: Scores) -> Terms:
        """The sums of a batch whose encoder gives points."""
        if self.target is not None or self.capacity is not None or self.free_nats or self.importance_samples > 1:
            raise ValueError(
                "the encoder gives points, so that no rate is defined, and the objective asks something of it: take "
                "target_rate, minimum_rate, capacity, free_nats and importance_samples out."
            )
        distortion = scores.distortion()
        total = distortion.sum()
        loss = self.lam * total + (0.0 if scores.penalty is None else scores.penalty.sum())
        tokens = scores.tokens.sum() if scores.tokens is not None else distortion.new_zeros(())
        return Terms(loss, None, total.detach(), total.new_zeros(0), distortion.shape[0], tokens.detach())

    def final_loss(self, scores: Scores) -> Tensor:
        """Per sentence, at the weights every schedule ends with: what validation compares, nats at beta = lam = 1.

        Under a target or minimum rate this is -ELBO (or its importance-weighted bound): the found beta is a means, not
        a goal. Under a capacity every sentence is charged the distance of their mean rate.
        """
        if not scores.has_rate:
            return self.lam * scores.distortion()
        if self.importance_samples > 1:
            return self._importance(scores, *((1.0, 1.0) if self.target is not None else (self.final_beta, self.lam)))
        if self.target is not None:
            return scores.neg_elbo()
        rate = scores.rate()
        if self.capacity is not None:
            return self.capacity.weight * (rate.mean() - self.capacity.rate).abs() + self.lam * scores.distortion()
        if self.free_nats:
            rate = self._charge(scores, scores.kl.mean(0) if scores.kl is not None else None)
        return self.final_beta * rate + self.lam * scores.distortion()

    def _importance(self, scores: Scores, beta: float, lam: float) -> Tensor:
        log_p = (scores.need(name) for name in ("log_p_enc", "log_p_pri", "log_p_dec"))
        return importance_loss(*log_p, beta=beta, lam=lam)

    def _charge(self, scores: Scores, running_kl: Tensor | None) -> Tensor:
        if scores.kl is None:
            raise ValueError("free_nats needs a rate in closed form, and these Scores hold no kl; set free_nats to 0.")
        return floored_rate(scores.kl, free_nats=self.free_nats, on=self.free_nats_on, running_kl=running_kl)

    def observe(self, *, rate: float | None, kl: Tensor, count: float) -> None:
        """Take in one step's sums over all its sentences on all processes, nats: for the floor and the target."""
        if self.target is not None and rate is not None:
            self.target.observe(rate, count)
        if self.capacity is not None and rate is not None:
            self.capacity.observe(rate, count)
        decay = 0.9
        kl = kl.detach().to("cpu", torch.float64)
        self.running_kl = kl if self.running_kl is None else decay * self.running_kl + kl
        self.running_count = decay * self.running_count + count

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and lists; JSON keeps every digit of them."""
        return {
            "target": self.target.state_dict() if self.target else None,
            "capacity": self.capacity.state_dict() if self.capacity else None,
            "running_kl": self.running_kl.tolist() if self.running_kl is not None else None,
            "running_count": self.running_count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state made by `state_dict`."""
        if self.target is not None:
            self.target.load_state_dict(state["target"])
        if self.capacity is not None:
            self.capacity.load_state_dict(state["capacity"])
        running = state["running_kl"]
        self.running_kl = torch.tensor(running, dtype=torch.float64) if running is not None else None
        self.running_count = state["running_count"]
