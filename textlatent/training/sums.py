"""A step's sums, packed into one vector for one all-reduce, and their averages over the steps between two log lines."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.objective.objective import Terms

_NAMES = ("count", "terminated", "rated", "decoded", "tokens", "rate", "distortion", "loss")


def pack(terms: Terms, *, weight: float, terminated: bool) -> Float[Tensor, " n"]:
    """Float64 sums over a part, nats: of _NAMES, then the KL per dimension.

    `rated` counts the sentences that have a rate, `decoded` those that have a distortion.
    """
    count, loss = terms.count * weight, terms.loss.detach()
    there = [0.0 if term is None else count for term in (terms.rate, terms.distortion)]
    known = torch.tensor([count, float(terminated), *there], dtype=torch.float64, device=loss.device)
    nats = (torch.zeros_like(loss) if term is None else term for term in (terms.rate, terms.distortion))
    sums = [x.double() * weight for x in (terms.tokens, *nats, loss)]
    return torch.cat([known, torch.stack(sums), terms.kl.double() * weight])


def unpack(packed: Float[Tensor, " n"], norm: Float[Tensor, ""]) -> dict[str, Any]:
    """The sums by name, in one transfer from the device: kl a tensor [D] on the CPU, the others plain numbers.

    Rate and distortion are None where no sentence has one.
    """
    values = torch.cat([packed, norm.double().reshape(1)]).cpu()
    numbers = values.tolist()
    sums: dict[str, Any] = dict(zip(_NAMES, numbers, strict=False))
    for name, counted in (("rate", "rated"), ("distortion", "decoded")):
        sums[name] = sums[name] if sums.pop(counted) else None
    return sums | {"gradient_norm": numbers[-1], "kl": values[len(_NAMES) : -1]}


_SUMMED = ("count", "tokens", "rate", "distortion", "encoder_updates", "encoder_tokens", "codes_revived")


class Window:
    """Averages over the steps since the last log line.

    Args:
        sums: where they are kept; a checkpoint holds them, so that a resumed run's next line covers the same steps.
    """

    def __init__(self, sums: dict[str, float]) -> None:
        self.sums = sums

    def add(self, sums: dict[str, Any], *, seconds: float) -> None:
        """Take in one step."""
        step = {name: float(sums[name]) for name in _SUMMED if sums.get(name) is not None} | {"seconds": seconds}
        self.sums.update({name: self.sums.get(name, 0.0) + value for name, value in step.items()})
        self.sums.update({name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")})

    def close(self, *, aggressive: bool = False) -> dict[str, float | None]:
        """Means per sentence in nats, speed, and the last step's weights; then begin anew.

        What has no value is None: the rate and -ELBO of points, the distortion where the prior learns alone, the
        distortion per token of rows that have no tokens.

        Args:
            aggressive: also say how many encoder-only updates there were.
        """
        sums = dict(self.sums)
        self.sums.clear()
        rate, distortion, tokens = sums.get("rate"), sums.get("distortion"), sums["tokens"]
        return {
            "rate_nats": None if rate is None else rate / sums["count"],
            "distortion_nats": None if distortion is None else distortion / sums["count"],
            "neg_elbo_nats": None if rate is None or distortion is None else (rate + distortion) / sums["count"],
            "distortion_nats_per_token": None if distortion is None or not tokens else distortion / tokens,
            **{name: sums[name] for name in ("beta", "gradient_norm", "learning_rate")},
            **({"encoder_updates": sums["encoder_updates"]} if aggressive else {}),
            **({"codes_revived": sums["codes_revived"]} if "codes_revived" in sums else {}),
            "sentences_per_second": sums["count"] / sums["seconds"],
            "tokens_per_second": (sums["tokens"] + sums["encoder_tokens"]) / sums["seconds"],
        }
