"""R(D) of a Gaussian source under squared error, in closed form: reverse water-filling over its components."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class WaterFilling:
    """A point of R(D).

    Attributes:
        rate: of each component, nats.
        distortion: of each component, squared error in the source's own unit.
    """

    rate: Float[Tensor, " n"]
    distortion: Float[Tensor, " n"]


def reverse_water_filling(variance: Float[Tensor, " n"], *, lam: float) -> WaterFilling:
    """What the best code of independent Gaussians pays where rate + lam * squared error is least, nats and units.

    At the water level c = 1/(2 lam) a component of variance s^2 costs

        rate 1/2 ln(s^2 / min(s^2, c)),   distortion min(s^2, c):

    one below the water is left out and costs its variance. For a source that is not diagonal, `variance` are the
    eigenvalues of its covariance. No source of that covariance costs more (the Gaussian is the worst).

    Args:
        variance: s^2 of each component.
        lam: nats that a unit of squared error is worth.

    Raises:
        ValueError: a variance below 0, or lam that is not above 0.

    Source: THEORY T6c; Cover & Thomas 2006, Elements of Information Theory, theorem 10.3.3.
    """
    if not lam > 0.0:
        raise ValueError(f"lam must be > 0, got {lam}: at 0 no distortion is worth a nat, and nothing is sent.")
    if bool((variance < 0.0).any()):
        raise ValueError(f"variances must be >= 0, got {variance.min().item()}; pass eigenvalues of a covariance.")
    distortion = variance.clamp(max=0.5 / lam)
    rate = torch.where(variance > distortion, 0.5 * (variance * 2.0 * lam).log(), torch.zeros_like(variance))
    return WaterFilling(rate, distortion)
