"""Where codes come to rest under each of the three rules, and whether that is at the means of their vectors."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.gradient.codes import code_penalty, straight_through

Distortion = Callable[[Tensor], Tensor]
"""The distortion of each position, nats [M], of the vectors its decoder gets [M, d]."""


@dataclass(frozen=True)
class Rest:
    """Vectors and codes when every gradient that moves them is gone, or when the steps were over.

    Attributes:
        latents: L; where they started if the encoder was held.
        codes: C.
        chosen: k of each position.
        residual: the largest component of a gradient that still moves something (no unit).
    """

    latents: Float[Tensor, "M d"]
    codes: Float[Tensor, "K d"]
    chosen: Int[Tensor, " M"]
    residual: float

    @property
    def from_means(self) -> float:
        """The largest component of C[k] - mean of its L, over the codes that are in use."""
        return max(
            float((self.codes[k] - self.latents[self.chosen == k].mean(0)).abs().max()) for k in self.chosen.unique()
        )


def gradients(
    latents: Float[Tensor, "M d"],
    codes: Float[Tensor, "K d"],
    distortion: Distortion,
    *,
    gradient_rule: str,
    commitment: float,
    codebook_lr_factor: float = 1.0,
) -> tuple[Float[Tensor, "M d"], Float[Tensor, "K d"], Int[Tensor, " M"]]:
    """L.grad, C.grad of distortion + penalty, summed over positions, and k, the nearest codes.

    Args:
        latents: L.
        codes: C.
        distortion: of each position.
        gradient_rule: one of codes.GRADIENT_RULES.
        commitment: beta; not used by `end_to_end`.
        codebook_lr_factor: eta; of `published`.
    """
    leaves = latents.detach().requires_grad_(), codes.detach().requires_grad_()
    chosen = torch.cdist(latents, codes).argmin(1)
    hit = leaves[1][chosen]
    value = straight_through(leaves[0], hit, gradient_rule=gradient_rule)
    penalty = code_penalty(
        leaves[0],
        hit,
        gradient_rule=gradient_rule,
        commitment=commitment,
        codebook_lr_factor=codebook_lr_factor,
    )
    found = torch.autograd.grad((distortion(value) + penalty).sum(), leaves)
    return found[0], found[1], chosen


def come_to_rest(
    latents: Float[Tensor, "M d"],
    codes: Float[Tensor, "K d"],
    distortion: Distortion,
    *,
    gradient_rule: str,
    commitment: float,
    codebook_lr_factor: float = 1.0,
    free: bool = False,
    rate: float = 0.1,
    steps: int = 5000,
    tolerance: float = 1e-11,
) -> Rest:
    """Gradient descent on the codes until nothing moves, the decoder held.

    `published` rests at the means, C[k] = mean of its L, whatever the decoder. `both` rests where sum g = beta sum
    (L - C[k]), `end_to_end` where sum g = 0. If every L[p] is free to move by itself, beta (Lhat - L) = g at its own
    rest, and `both` ends at the means too; under `end_to_end` free vectors never rest unless each g is 0.

    Args:
        latents: L.
        codes: C to start from.
        distortion: of each position.
        gradient_rule: one of codes.GRADIENT_RULES.
        commitment: beta.
        codebook_lr_factor: eta.
        free: let every L[p] move along its own gradient; else the encoder is held.
        rate: size of the steps, for C divided by the number of positions of its code.
        steps: at most.
        tolerance: of the largest component of a gradient.

    Source: THEORY T7.
    """
    residual = torch.inf
    for _ in range(steps):
        of_latents, of_codes, chosen = gradients(
            latents,
            codes,
            distortion,
            gradient_rule=gradient_rule,
            commitment=commitment,
            codebook_lr_factor=codebook_lr_factor,
        )
        residual = float(torch.cat([of_codes, of_latents]).abs().max() if free else of_codes.abs().max())
        if residual < tolerance:
            break
        number = torch.bincount(chosen, minlength=len(codes)).clamp(min=1)[:, None]
        codes = codes - rate * of_codes / number
        latents = latents - rate * of_latents if free else latents
    return Rest(latents, codes, chosen, residual)
