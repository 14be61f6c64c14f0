"""A step's sums, packed into one vector for one all-reduce, and their averages over the steps between two log lines."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.objective import Terms

_NAMES = ("count", "tokens", "rate", "distortion", "terminated")


def pack(terms: Terms, *, weight: float, terminated: bool) -> Float[Tensor, " n"]:
    """count, tokens, rate, distortion (nats), SIGTERM seen, then KL per dimension: float64 sums over a part."""
    head = torch.stack([terms.tokens.double() * 0 + terms.count, terms.tokens.double(), terms.rate, terms.distortion])
    packed = torch.cat([head.double(), head.new_zeros(1).double(), terms.kl.double()]) * weight
    packed[4] = float(terminated)
    return packed


def unpack(packed: Float[Tensor, " n"], norm: Float[Tensor, ""]) -> dict[str, Any]:
    """The sums by name, in one transfer from the device: kl a tensor [D] on the CPU, the others plain numbers."""
    values = torch.cat([packed, norm.double().reshape(1)]).cpu()
    numbers = dict(zip(_NAMES, values.tolist(), strict=False))
    return numbers | {"gradient_norm": values[-1].item(), "kl": values[len(_NAMES) : -1]}


class Window:
    """Averages over the steps since the last log line."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.count = self.tokens = self.rate = self.distortion = self.seconds = 0.0
        self.last: dict[str, float] = {}

    def add(self, sums: dict[str, Any], *, seconds: float) -> None:
        """Take in one step."""
        self.count += sums["count"]
        self.tokens += sums["tokens"]
        self.rate += sums["rate"]
        self.distortion += sums["distortion"]
        self.seconds += seconds
        self.last = {name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")}

    def close(self) -> dict[str, float]:
        """Means per sentence in nats, speed, and the last step's weights; then begin anew."""
        count = self.count or math.nan
        numbers = {
            "rate_nats": self.rate / count,
            "distortion_nats": self.distortion / count,
            "neg_elbo_nats": (self.rate + self.distortion) / count,
            **self.last,
            "tokens_per_second": self.tokens / self.seconds if self.seconds else math.nan,
        }
        self._clear()
        return numbers
