"""The abstract prior: a distribution over z that depends on nothing."""

from abc import ABC, abstractmethod

from torch import nn

from textlatent.nats.gaussian import DiagonalGaussian


class Prior(nn.Module, ABC):
    """P_pri(z)."""

    @abstractmethod
    def forward(self) -> DiagonalGaussian:
        """The distribution over z, mean and log-variance [D]."""
