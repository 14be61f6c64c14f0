"""What every decoder of sentences answers: the log-probability of each token given z."""

from abc import abstractmethod
from typing import Protocol

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Decoder(Protocol):
    """P_dec(y|z)."""

    @abstractmethod
    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], latents: Float[Tensor, "B D"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 where mask is False."""
        ...
