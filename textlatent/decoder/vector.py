"""P_dec(y|z) of a real vector: a Gaussian or Laplace density around yhat(z), so that squared or absolute error is nats.

l2: Dist = ||y - yhat||^2   p = N(yhat, c I), c = 1/(2 lam)      -ln p = lam Dist + n/2 ln(pi / lam)
l1: Dist = ||y - yhat||_1   p = Laplace(yhat, b), b = 1/lam      -ln p = lam Dist + n ln(2 / lam)
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

DISTORTIONS = ("l2", "l1")


class VectorDecoder(nn.Module):
    """P_dec(y|z), as sharp as lam says; -ln p is a density's and may be negative.

    Args:
        network: z [..., D] to the n components, in units of `scale` around `centre`.
        size: n.
        distortion: "l2" (Gaussian) or "l1" (Laplace).
        lam: nats that a unit of Dist costs.
        centre: where the components lie, [n]; 0 if not given.
        scale: their deviations, [n]; 1 if not given.

    Raises:
        ValueError: an unknown distortion, or lam that is not above 0.

    Source: THEORY T6c.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        size: int,
        distortion: str = "l2",
        lam: float = 1.0,
        centre: Float[Tensor, " n"] | None = None,
        scale: Float[Tensor, " n"] | None = None,
    ) -> None:
        super().__init__()
        if distortion not in DISTORTIONS:
            raise ValueError(f"distortion must be one of {', '.join(DISTORTIONS)}, got {distortion!r}.")
        if not lam > 0.0:
            raise ValueError(f"lam must be > 0, got {lam}: with 0 the density would be flat over all vectors.")
        self.network = network
        self.size = size
        self.distortion = distortion
        self.lam = lam
        self.register_buffer("centre", torch.zeros(size) if centre is None else centre.clone())
        self.register_buffer("scale", torch.ones(size) if scale is None else scale.clone())

    def forward(self, latents: Float[Tensor, "*S D"]) -> Float[Tensor, "*S n"]:
        """yhat of each z, in the data's own units."""
        return self.centre + self.scale * self.network(latents)

    @property
    def unit(self) -> str:
        """What Dist is, written out."""
        return "||y - yhat||^2" if self.distortion == "l2" else "||y - yhat||_1"

    @property
    def constant(self) -> float:
        """-ln p where Dist is 0, nats: what the density's normaliser adds to lam * Dist."""
        if self.distortion == "l2":
            return 0.5 * self.size * math.log(math.pi / self.lam)
        return self.size * math.log(2.0 / self.lam)

    def dist(self, vectors: Float[Tensor, "B n"], latents: Float[Tensor, "*S B D"]) -> Float[Tensor, "*S B"]:
        """Dist of each row, float64, in the data's own unit (squared, for l2)."""
        error = (vectors - self(latents)).double()
        return (error.square() if self.distortion == "l2" else error.abs()).sum(-1)

    def log_prob(self, vectors: Float[Tensor, "B n"], latents: Float[Tensor, "*S B D"]) -> Float[Tensor, "*S B"]:
        """Ln p(y | yhat(z)) = -(lam Dist + constant), float64, nats."""
        return -(self.lam * self.dist(vectors, latents) + self.constant)
