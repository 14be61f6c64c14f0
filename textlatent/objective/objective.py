"""loss = beta * rate + lam * distortion, as sums over sentences in nats."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.floor import FLOORS, floored_rate
from textlatent.objective.schedule import SCHEDULES, beta_at
from textlatent.objective.target import TargetRate
from textlatent.scores import Scores


@dataclass(frozen=True)
class Terms:
    """One batch's sums, float64.

    Attributes:
        loss: beta * floored rate + lam * distortion + penalty, summed over sentences; carries the gradient.
        rate: the raw rate summed over sentences, nats.
        distortion: summed over sentences, nats.
        kl: per dimension, summed over sentences, nats, [D]; empty when there is no closed form.
        count: sentences.
        tokens: scored tokens.
    """

    loss: Float[Tensor, ""]
    rate: Float[Tensor, ""]
    distortion: Float[Tensor, ""]
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
        target_rate: the rate wanted, nats per sentence; beta is then found, not given (target.TargetRate).
        target_gain: largest change of ln beta in one step.
        free_nats: part of the rate that costs nothing (floor.floored_rate).
        free_nats_on: "dimension", "sentence", "batch_dimension" or "batch".

    Raises:
        ValueError: weights below 0, an unknown schedule or floor, a schedule without its length, or a target rate
            together with a beta or a schedule.
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
        target_rate: float | None = None,
        target_gain: float = 0.02,
        free_nats: float = 0.0,
        free_nats_on: str = "dimension",
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
        if target_rate is not None:
            if beta is not None or schedule != "constant":
                raise ValueError("target_rate finds beta itself: give either target_rate, or beta and its schedule.")
            if target_rate <= 0.0:
                raise ValueError(f"target_rate must be > 0 nats, got {target_rate}; for no rate at all raise beta.")
            if beta_start == 0.0:
                raise ValueError("a target rate moves ln beta: beta_start must be > 0, got 0; try 0.1.")
        self.lam = lam
        self.final_beta = 1.0 if beta is None else beta
        self.schedule = schedule
        self.schedule_steps = schedule_steps
        self.beta_start = beta_start or 0.0
        self.cycles = cycles
        self.ramp = ramp
        self.free_nats = free_nats
        self.free_nats_on = free_nats_on
        start = 1.0 if beta_start is None else beta_start
        self.target = TargetRate(target_rate, gain=target_gain, beta_start=start) if target_rate else None
        self.running_kl: Tensor | None = None
        self.running_count = 0.0

    def beta(self, step: int) -> float:
        """The rate's weight at a step (no unit)."""
        if self.target is not None:
            return self.target.beta
        return beta_at(
            step,
            beta=self.final_beta,
            schedule=self.schedule,
            schedule_steps=self.schedule_steps,
            beta_start=self.beta_start,
            cycles=self.cycles,
            ramp=self.ramp,
        )

    def settled(self, step: int) -> bool:
        """Whether every schedule has ended by this step."""
        return self.schedule == "constant" or step >= (self.schedule_steps or 0)

    def __call__(self, scores: Scores, step: int) -> Terms:
        """The sums of a batch at a step; the gradient of their loss is a sum over sentences, whatever the batch."""
        rate, distortion = scores.rate(), scores.distortion()
        charged = rate
        kl = scores.kl if scores.kl is not None else rate.new_zeros(rate.shape[0], 0)
        if self.free_nats:
            mean = None if self.running_kl is None else (self.running_kl / self.running_count).to(kl.device)
            charged = self._charge(scores, mean)
        rate_sum, distortion_sum = rate.sum(), distortion.sum()
        charged_sum = rate_sum if charged is rate else charged.sum()
        loss = self.beta(step) * charged_sum + self.lam * distortion_sum
        if scores.penalty is not None:
            loss = loss + scores.penalty.sum()
        tokens = scores.tokens.sum() if scores.tokens is not None else torch.zeros(())
        return Terms(
            loss, rate_sum.detach(), distortion_sum.detach(), kl.detach().sum(0), rate.shape[0], tokens.detach()
        )

    def final_loss(self, scores: Scores) -> Tensor:
        """Per sentence, at the weights every schedule ends with: what validation compares, nats at beta = lam = 1.

        Under a target rate this is -ELBO: the found beta is a means, not a goal.
        """
        if self.target is not None:
            return scores.neg_elbo()
        rate = scores.rate()
        if self.free_nats:
            rate = self._charge(scores, scores.kl.mean(0) if scores.kl is not None else None)
        return self.final_beta * rate + self.lam * scores.distortion()

    def _charge(self, scores: Scores, running_kl: Tensor | None) -> Tensor:
        if scores.kl is None:
            raise ValueError("free_nats needs a rate in closed form, and these Scores hold no kl; set free_nats to 0.")
        return floored_rate(scores.kl, free_nats=self.free_nats, on=self.free_nats_on, running_kl=running_kl)

    def observe(self, *, rate: float, kl: Tensor, count: float) -> None:
        """Take in one step's sums over all its sentences on all processes, nats: for the floor and the target."""
        if self.target is not None:
            self.target.observe(rate, count)
        decay = 0.9
        kl = kl.detach().to("cpu", torch.float64)
        self.running_kl = kl if self.running_kl is None else decay * self.running_kl + kl
        self.running_count = decay * self.running_count + count

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and lists; JSON keeps every digit of them."""
        return {
            "target": self.target.state_dict() if self.target else None,
            "running_kl": self.running_kl.tolist() if self.running_kl is not None else None,
            "running_count": self.running_count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state made by `state_dict`."""
        if self.target is not None:
            self.target.load_state_dict(state["target"])
        running = state["running_kl"]
        self.running_kl = torch.tensor(running, dtype=torch.float64) if running is not None else None
        self.running_count = state["running_count"]
