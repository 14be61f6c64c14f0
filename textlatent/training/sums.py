"""A step's sums, packed into one vector for one all-reduce, and their averages over the steps between two log lines."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.objective import Terms

_NAMES = ("count", "terminated", "tokens", "rate", "distortion", "loss")


def pack(terms: Terms, *, weight: float, terminated: bool) -> Float[Tensor, " n"]:
    """count, SIGTERM seen, tokens, rate, distortion, loss (nats), then KL per dimension: float64 sums over a part."""
    known = torch.tensor([terms.count * weight, float(terminated)], dtype=torch.float64, device=terms.rate.device)
    sums = [x.double() * weight for x in (terms.tokens, terms.rate, terms.distortion, terms.loss.detach())]
    return torch.cat([known, torch.stack(sums), terms.kl.double() * weight])


def unpack(packed: Float[Tensor, " n"], norm: Float[Tensor, ""]) -> dict[str, Any]:
    """The sums by name, in one transfer from the device: kl a tensor [D] on the CPU, the others plain numbers."""
    values = torch.cat([packed, norm.double().reshape(1)]).cpu()
    numbers = values.tolist()
    return dict(zip(_NAMES, numbers, strict=False)) | {"gradient_norm": numbers[-1], "kl": values[len(_NAMES) : -1]}


_SUMMED = ("count", "tokens", "rate", "distortion", "encoder_updates", "encoder_tokens")


class Window:
    """Averages over the steps since the last log line.

    Args:
        sums: where they are kept; a checkpoint holds them, so that a resumed run's next line covers the same steps.
    """

    def __init__(self, sums: dict[str, float]) -> None:
        self.sums = sums

    def add(self, sums: dict[str, Any], *, seconds: float) -> None:
        """Take in one step."""
        step = {name: float(sums[name]) for name in _SUMMED} | {"seconds": seconds}
        self.sums.update({name: self.sums.get(name, 0.0) + value for name, value in step.items()})
        self.sums.update({name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")})

    def close(self, *, aggressive: bool = False) -> dict[str, float]:
        """Means per sentence in nats, speed, and the last step's weights; then begin anew.

        Args:
            aggressive: also say how many encoder-only updates there were.
        """
        sums = dict(self.sums)
        self.sums.clear()
        return {
            "rate_nats": sums["rate"] / sums["count"],
            "distortion_nats": sums["distortion"] / sums["count"],
            "neg_elbo_nats": (sums["rate"] + sums["distortion"]) / sums["count"],
            "distortion_nats_per_token": sums["distortion"] / sums["tokens"],
            **{name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")},
            **({"encoder_updates": sums["encoder_updates"]} if aggressive else {}),
            "tokens_per_second": (sums["tokens"] + sums["encoder_tokens"]) / sums["seconds"],
        }
