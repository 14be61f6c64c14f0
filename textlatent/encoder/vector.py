"""P_enc(z|y) of a real vector: a network to the mean and log-variance of a diagonal Gaussian, or to a point."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from textlatent.nats.gaussian import DiagonalGaussian

VARIANCES = ("row", "shared")


class VectorPoint(nn.Module):
    """z = f(y): no density, so that no rate is defined (THEORY T6d).

    Args:
        network: n numbers to D.
        size: n.
        centre: subtracted from y first, [n]; 0 if not given.
        scale: what y is divided by then, [n]; 1 if not given.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        size: int,
        centre: Float[Tensor, " n"] | None = None,
        scale: Float[Tensor, " n"] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("centre", torch.zeros(size) if centre is None else centre.clone())
        self.register_buffer("scale", torch.ones(size) if scale is None else scale.clone())

    def forward(self, vectors: Float[Tensor, "B n"]) -> Float[Tensor, "B D"]:
        """f(y) of each row."""
        return self.network((vectors - self.centre) / self.scale)


class VectorEncoder(nn.Module):
    """N(mu(y), diag sigma(y)^2).

    Args:
        point: gives mu and, under "row", ln sigma^2 after it.
        latent_size: D.
        variance: "row" (each row its own) or "shared" (one for all rows, learned, as the best encoder of a
            linear-Gaussian source has it).
        log_variance_bias: ln sigma^2 to begin with.

    Raises:
        ValueError: an unknown variance.
    """

    def __init__(
        self, point: VectorPoint, *, latent_size: int, variance: str = "row", log_variance_bias: float = 0.0
    ) -> None:
        super().__init__()
        if variance not in VARIANCES:
            raise ValueError(f"variance must be one of {', '.join(VARIANCES)}, got {variance!r}.")
        self.point = point
        self.latent_size = latent_size
        self.log_variance_bias = log_variance_bias
        self.log_variance = nn.Parameter(torch.zeros(latent_size)) if variance == "shared" else None

    def forward(self, vectors: Float[Tensor, "B n"]) -> DiagonalGaussian:
        """P_enc(z|y) of each row, mean and log-variance [B, D]."""
        mean, *log_variance = self.point(vectors).split(self.latent_size, -1)
        own = log_variance[0] if self.log_variance is None else self.log_variance.expand_as(mean)
        return DiagonalGaussian(mean, own + self.log_variance_bias)
