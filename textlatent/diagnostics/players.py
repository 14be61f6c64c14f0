"""Each player's own gradient at a trained model, beside what chance alone would make of it (THEORY T9).

Encoder, decoder and codebook each follow the gradient of their own objective (stop-gradients keep the others' out). At
a stationary point of the game every one of these is zero. A gradient is measured on a sample of sentences, so its norm
is never 0; what it is to be compared with is the norm that the mean of so many batches has by chance.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class PlayerGradient:
    """The mean gradient of one player's own objective, per sentence.

    Attributes:
        player: its name.
        norm: |mean of g|, nats per unit of the parameters.
        noise: the norm that chance gives to a mean of so many batches around a true gradient of 0:
            sqrt(sum of the variances / batches).
        single: root mean square of |g| of one batch.
        batches: how many.
        parameters: how many numbers the player moves.
    """

    player: str
    norm: float
    noise: float
    single: float
    batches: int
    parameters: int

    @property
    def systematic(self) -> float:
        """sqrt(max(norm^2 - noise^2, 0)): what of the norm is no chance; its square is estimated without bias."""
        return math.sqrt(max(self.norm**2 - self.noise**2, 0.0))

    @property
    def at_rest(self) -> bool:
        """Whether the norm is at most twice what chance makes of it."""
        return self.norm <= 2.0 * self.noise

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        names = ("player", "norm", "noise", "single", "batches", "parameters", "systematic", "at_rest")
        return {name: getattr(self, name) for name in names}


class GradientSums:
    """Adds up one player's gradients, batch by batch, without keeping them.

    Args:
        player: its name.
    """

    def __init__(self, player: str) -> None:
        self.player = player
        self.mean: list[Tensor] = []
        self.squares: list[float] = []

    def add(self, gradients: Iterable[Tensor]) -> None:
        """One batch's gradient per sentence, a tensor for each parameter, in the same order each time.

        Raises:
            ValueError: a gradient that is not finite.
        """
        parts = [each.detach().to(torch.float64) for each in gradients]
        square = math.fsum(part.square().sum().item() for part in parts)
        if not math.isfinite(square):
            raise ValueError(f"the gradient of the {self.player} is not finite.")
        self.squares.append(square)
        if not self.mean:
            self.mean = [torch.zeros_like(part) for part in parts]
        for mean, part in zip(self.mean, parts, strict=True):
            mean += (part - mean) / len(self.squares)

    def close(self) -> PlayerGradient:
        """The mean over the batches, each of the same weight.

        Raises:
            ValueError: fewer than two batches, whose spread could not be known.
        """
        batches = len(self.squares)
        if batches < 2:
            raise ValueError(f"the noise of a gradient needs at least 2 batches, got {batches}; take smaller ones.")
        norm2 = math.fsum(mean.square().sum().item() for mean in self.mean)
        single2 = math.fsum(self.squares) / batches
        noise2 = max(single2 - norm2, 0.0) / (batches - 1)
        size = sum(mean.numel() for mean in self.mean)
        return PlayerGradient(self.player, math.sqrt(norm2), math.sqrt(noise2), math.sqrt(single2), batches, size)
