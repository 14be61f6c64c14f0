"""A rate asked for in nats: beta as the multiplier of an equality, or of a bound from below."""

import math


class TargetRate:
    """beta = exp(multiplier) >= 0, moved until the running rate equals the target from either side.

    min over the model, max over beta of  beta (R - R*) + D  has R = R* at its saddle. Per step

        multiplier += gain * clip((R - R*) / R*, -1, 1),

    with R the mean over sentences of an exponential window of past steps and of all processes. The step in ln beta is
    bounded by the gain, so that a rate far away cannot throw beta further than e^(gain * steps).

    As a minimum, beta never rises above 1: where the rate is more than asked for, the loss is -ELBO itself; where it is
    less, beta falls until it is not. (The source's beta is 1 less its multiplier and may turn negative; ours may not.)

    Args:
        rate: R*, nats per sentence.
        gain: largest change of ln beta in one step.
        decay: of the window; 0.95 averages about 20 steps.
        beta_start: the first beta.
        minimum: whether more than R* is as good as R*.

    Source: Pelsmaeker & Aziz 2020, arXiv:1904.08194 (minimum desired rate: one-sided); Rezende & Viola 2018,
    arXiv:1810.00597 (log-multiplier, moving average).
    """

    def __init__(
        self,
        rate: float,
        *,
        gain: float = 0.02,
        decay: float = 0.95,
        beta_start: float = 1.0,
        minimum: bool = False,
    ) -> None:
        self.rate = rate
        self.minimum = minimum
        self.gain = gain
        self.decay = decay
        self.multiplier = math.log(beta_start)
        self.rate_sum = 0.0
        self.count = 0.0

    @property
    def beta(self) -> float:
        """The rate's weight (no unit)."""
        return math.exp(self.multiplier)

    @property
    def running_rate(self) -> float:
        """The windowed mean rate, nats per sentence; NaN before the first step."""
        return self.rate_sum / self.count if self.count else math.nan

    def observe(self, rate_sum: float, count: float) -> None:
        """Take in one step's rate, summed over all its sentences on all processes (nats), and move beta."""
        self.rate_sum = self.decay * self.rate_sum + rate_sum
        self.count = self.decay * self.count + count
        error = (self.running_rate - self.rate) / self.rate
        self.multiplier += self.gain * max(-1.0, min(1.0, error))
        if self.minimum:
            self.multiplier = min(self.multiplier, 0.0)

    def meets(self, rate: float, *, tolerance: float) -> bool:
        """Whether a rate (nats per sentence) is what was asked for, within a share of it."""
        share = rate / self.rate - 1.0
        return share >= -tolerance and (self.minimum or share <= tolerance)

    def state_dict(self) -> dict[str, float]:
        """Plain numbers; JSON keeps every digit of them."""
        return {"multiplier": self.multiplier, "rate_sum": self.rate_sum, "count": self.count}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take up a state made by `state_dict`."""
        self.multiplier, self.rate_sum, self.count = state["multiplier"], state["rate_sum"], state["count"]
