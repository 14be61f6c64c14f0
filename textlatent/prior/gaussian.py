"""The standard normal prior, and a Gaussian one whose mean and variance are learned (THEORY T5)."""

import torch
from torch import Tensor, nn

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.prior.prior import Encode, Prior


class StandardNormal(Prior):
    """N(0, I) over D dimensions; nothing to learn."""

    zero: Tensor

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(latent_size))

    def forward(self, encode: Encode | None = None) -> DiagonalGaussian:
        """N(0, I), [D]."""
        return DiagonalGaussian(self.zero, self.zero)


class LearnedGaussian(Prior):
    """N(mean, diag exp(log_variance)), both learned; it starts as N(0, I)."""

    def __init__(self, latent_size: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(latent_size))
        self.log_variance = nn.Parameter(torch.zeros(latent_size))

    def forward(self, encode: Encode | None = None) -> DiagonalGaussian:
        """N(mean, diag exp(log_variance)), [D]."""
        return DiagonalGaussian(self.mean, self.log_variance)
