"""The abstract prior: a distribution over z that depends on nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture

Distribution = DiagonalGaussian | GaussianMixture
"""What a prior may be. Both give log_prob(z), mean, std, double() and part(u), the Gaussian that u ~ U(0, 1) draws."""

Encode = Callable[[Tensor], DiagonalGaussian]
"""The encoder, from embeddings [K, T, E] in the place of tokens to posteriors [K, D]."""


class Prior(nn.Module, ABC):
    """P_pri(z)."""

    @abstractmethod
    def forward(self, encode: Encode | None = None) -> Distribution:
        """The distribution over z, of D dimensions.

        Args:
            encode: the encoder, for a prior that is made of posteriors; the others need none.
        """
