"""Codes against the means of the vectors they stand for: where k-means would have put them (THEORY T7, T8)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class CodeMeans:
    """The codes of one codebook and their clusters; a code that stands for no vector has NaN.

    Attributes:
        counts: vectors of each code, [K].
        distance: |C[k] - m[k]|, m[k] the mean of its vectors, [K].
        spread: root of the mean |L - m[k]|^2 over its vectors, [K].
        off_centre: share of sum |L - C[k]|^2 that is sum n_k |C[k] - m[k]|^2: what moving every code to its mean would
            save, 0 to 1. 0 is a stationary point of `published`.
        left: share of the variance of L that the codes do not explain, sum |L - C[k]|^2 / sum |L - mean|^2.
    """

    counts: Int[Tensor, " K"]
    distance: Float[Tensor, " K"]
    spread: Float[Tensor, " K"]
    off_centre: float
    left: float

    @property
    def relative(self) -> Float[Tensor, " K"]:
        """distance / spread, [K]; of a cluster without spread NaN. About n^(-1/2) is what chance does to a mean."""
        return torch.where(self.spread > 0, self.distance / self.spread, torch.nan)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, with null for what has no value."""
        columns = {"distance": self.distance, "spread": self.spread, "relative": self.relative}
        return {
            "counts": self.counts.tolist(),
            **{name: [None if x != x else x for x in column.tolist()] for name, column in columns.items()},
            "off_centre": self.off_centre,
            "left": self.left,
        }


def means_against_codes(
    latents: Float[Tensor, "M d"], codes: Int[Tensor, " M"], vectors: Float[Tensor, "K d"]
) -> CodeMeans:
    """How far each code is from the mean of the vectors it stands for, in float64.

    Args:
        latents: L, the encoder's vectors before the codes, of valid positions only.
        codes: k of each.
        vectors: C.

    Raises:
        ValueError: no vectors, or a number that is not finite.
    """
    if len(latents) == 0:
        raise ValueError("means need at least one vector, got none.")
    latents, vectors = latents.to(torch.float64), vectors.to(torch.float64)
    if not bool(latents.isfinite().all() and vectors.isfinite().all()):
        raise ValueError("latents and codes must be finite.")
    count = torch.bincount(codes, minlength=len(vectors))
    hits = count.to(torch.float64)
    mean = torch.zeros_like(vectors).index_add(0, codes, latents) / hits[:, None]  # NaN of no vectors
    within = torch.zeros_like(hits).index_add(0, codes, (latents - mean[codes]).square().sum(1))
    away = (vectors - mean).square().sum(1)
    error = (latents - vectors[codes]).square().sum().item()
    moved = (hits * away)[count > 0].sum().item()
    whole = (latents - latents.mean(0)).square().sum().item()
    return CodeMeans(
        counts=count,
        distance=away.sqrt(),
        spread=(within / hits).sqrt(),
        off_centre=moved / error if error > 0.0 else 0.0,
        left=error / whole if whole > 0.0 else 0.0,
    )
