"""What the best encoder and the best prior would reach with a decoder of codes: R(D), and a model's place above it."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.nats.rate_distortion import RatePoint, rate_at, rate_at_slope, rate_distortion_curve


@dataclass(frozen=True)
class CodeLimit:
    """R(D) of one decoder over N sentences, and where the model stands, nats per sentence.

    Attributes:
        points: of R(D), by falling rate; each certified.
        rate: what the model's codes cost under its prior.
        distortion: of its own codes.
        least: R at the model's own distortion.
        best: the point where dR/dD = -1: no encoder and prior have a smaller rate + distortion with this decoder.
        codes: K^P, the codes there are.
        sentences: N; no rate of R(D) exceeds ln N, whatever the codes could tell apart.
    """

    points: tuple[RatePoint, ...]
    rate: float
    distortion: float
    least: RatePoint
    best: RatePoint
    codes: int
    sentences: int

    @property
    def excess(self) -> float:
        """Rate above R(D) at the model's distortion, nats: what a better encoder and prior could save."""
        return self.rate - self.least.lower

    @property
    def excess_loss(self) -> float:
        """rate + distortion above the least of any encoder and prior with this decoder, nats."""
        return self.rate + self.distortion - (self.best.lower + self.best.distortion)

    def to_dict(self) -> dict[str, Any]:
        """As limit.json holds it."""
        return {
            "rate_nats": self.rate,
            "distortion_nats": self.distortion,
            "least_rate_nats": _place(self.least),
            "excess_rate_nats": self.excess,
            "least_loss_nats": {"value": self.best.rate + self.best.distortion, **_place(self.best)},
            "excess_loss_nats": self.excess_loss,
            "curve": [_place(point) for point in self.points],
            "codes": self.codes,
            "sentences": self.sentences,
            "cap_nats": math.log(self.sentences),
        }


def code_limit(
    log_p_dec: Float[Tensor, "N C"], own: Int[Tensor, " N"], rate: Float[Tensor, " N"], *, tolerance: float = 1e-9
) -> CodeLimit:
    """R(D) of the N sentences under the distortion -ln P_dec(y|k), each sentence as likely as any other, nats.

    Every encoder P_enc(k|y) and prior have a rate and a distortion on or above it: the rate is I(y, k) at least (THEORY
    T6). So the curve parts what a model pays into what its decoder asks for and what its encoder and prior add.

    Args:
        log_p_dec: ln P_dec(y_n|k) for every code there is.
        own: the column of each sentence's own code.
        rate: -ln P_pri of it, nats.
        tolerance: the gap of each point, nats.

    Raises:
        ValueError: numbers that are not finite, or an R(D) that cannot be closed to the tolerance.
    """
    if not bool(log_p_dec.isfinite().all() and rate.isfinite().all()):
        raise ValueError("every ln P_dec(y|k) and every rate must be finite; evaluate the run to see which is not.")
    count, codes = log_p_dec.shape
    loss = -log_p_dec.to(torch.float64)
    source = loss.new_full((count,), 1.0 / count)
    distortion = float(loss.gather(1, own[:, None]).mean())
    return CodeLimit(
        points=tuple(rate_distortion_curve(source, loss, tolerance=tolerance)),
        rate=float(rate.to(torch.float64).mean()),
        distortion=distortion,
        least=rate_at(source, loss, distortion, tolerance=max(tolerance, 1e-9)),
        best=rate_at_slope(source, loss, 1.0, tolerance=tolerance),
        codes=codes,
        sentences=count,
    )


def _place(point: RatePoint) -> dict[str, float | None]:
    slope = None if math.isinf(point.slope) else point.slope
    return {"rate": point.rate, "distortion": point.distortion, "lower": point.lower, "slope": slope}
