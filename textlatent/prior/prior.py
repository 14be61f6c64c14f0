"""The abstract priors: distributions over z, or over codes, that depend on nothing."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from jaxtyping import Float, Int
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


class NoPrior(nn.Module):
    """No P_pri(z): z is a point without a density, so that nothing is charged for it and none is drawn (THEORY T6d)."""


class CodePrior(nn.Module, ABC):
    """P_pri(k) = prod_p P_pri(k_p | k_<p) over P positions of K codes each.

    Args:
        codes: K.
        positions: P.

    Raises:
        ValueError: fewer than two codes or one position.
    """

    def __init__(self, codes: int, positions: int) -> None:
        super().__init__()
        if codes < 2 or positions < 1:
            raise ValueError(f"a prior over codes needs codes >= 2 and positions >= 1, got {codes} and {positions}.")
        self.codes = codes
        self.positions = positions

    @abstractmethod
    def log_prob(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """Ln P_pri(k_p | k_<p), nats, float64: their sum over p is ln P_pri(k)."""

    @abstractmethod
    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int, temperature: float = 1.0) -> Int[Tensor, "n P"]:
        """k ~ P_pri, on the prior's device.

        Args:
            draws: how many, from number 0 on; or their numbers.
            seed: with its number it decides a draw, whatever the others.
            temperature: each conditional is P^(1/temperature), normalised; 1 is P_pri itself.
        """
