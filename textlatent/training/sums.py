"""A step's sums, packed into one vector for one all-reduce, and their averages over the steps between two log lines."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.objective import Terms

_NAMES = ("count", "terminated", "rated", "tokens", "rate", "distortion", "loss")


def pack(terms: Terms, *, weight: float, terminated: bool) -> Float[Tensor, " n"]:
    """Float64 sums over a part, nats: of _NAMES, then the KL per dimension; `rated` counts sentences with a rate."""
    count, rated = terms.count * weight, 0.0 if terms.rate is None else terms.count * weight
    known = torch.tensor([count, float(terminated), rated], dtype=torch.float64, device=terms.distortion.device)
    rate = torch.zeros_like(terms.distortion) if terms.rate is None else terms.rate
    sums = [x.double() * weight for x in (terms.tokens, rate, terms.distortion, terms.loss.detach())]
    return torch.cat([known, torch.stack(sums), terms.kl.double() * weight])


def unpack(packed: Float[Tensor, " n"], norm: Float[Tensor, ""]) -> dict[str, Any]:
    """The sums by name, in one transfer from the device: kl a tensor [D] on the CPU, the others plain numbers.

    The rate is None where no sentence has one.
    """
    values = torch.cat([packed, norm.double().reshape(1)]).cpu()
    numbers = values.tolist()
    sums: dict[str, Any] = dict(zip(_NAMES, numbers, strict=False))
    sums["rate"] = sums["rate"] if sums.pop("rated") else None
    return sums | {"gradient_norm": numbers[-1], "kl": values[len(_NAMES) : -1]}


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
        step = {name: float(sums[name]) for name in _SUMMED if sums[name] is not None} | {"seconds": seconds}
        self.sums.update({name: self.sums.get(name, 0.0) + value for name, value in step.items()})
        self.sums.update({name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")})

    def close(self, *, aggressive: bool = False) -> dict[str, float | None]:
        """Means per sentence in nats, speed, and the last step's weights; then begin anew.

        What has no value is None: the rate and -ELBO of points, the distortion per token of rows that have no tokens.

        Args:
            aggressive: also say how many encoder-only updates there were.
        """
        sums = dict(self.sums)
        self.sums.clear()
        rate = sums.get("rate")
        return {
            "rate_nats": None if rate is None else rate / sums["count"],
            "distortion_nats": sums["distortion"] / sums["count"],
            "neg_elbo_nats": None if rate is None else (rate + sums["distortion"]) / sums["count"],
            "distortion_nats_per_token": sums["distortion"] / sums["tokens"] if sums["tokens"] else None,
            **{name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")},
            **({"encoder_updates": sums["encoder_updates"]} if aggressive else {}),
            "sentences_per_second": sums["count"] / sums["seconds"],
            "tokens_per_second": (sums["tokens"] + sums["encoder_tokens"]) / sums["seconds"],
        }
