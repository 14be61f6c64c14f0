"""The abstract encoder: tokens in, a distribution over z out."""

from abc import ABC, abstractmethod

from jaxtyping import Bool, Int
from torch import Tensor, nn

from textlatent.nats.gaussian import DiagonalGaussian


class Encoder(nn.Module, ABC):
    """P_enc(z|y)."""

    @abstractmethod
    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            mask: True on tokens, False on padding; padding changes nothing.
        """
