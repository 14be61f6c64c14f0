"""Codes that are a fixed grid: every component of the encoder's vector is bounded and rounded to one of a few levels.

With L levels in a component and h = (L - 1) / 2, the level of a number x is

    b(x) = h tanh(x + s)                   in (-h, h)
    n(x) = round(b(x) + h)                 in 0 .. L - 1,  for even and odd L alike
    z(x) = a (n(x) - h),                   a = sqrt(12 / (L^2 - 1))

The shift s says where x = 0 lies. b + h is h there without one: for odd L a level, for even L the edge between two, so
that the noise around a number that says nothing would turn the code. Half a level further it is a level again:
b(0) = 1/2, so tanh(s) = 1/(2 h) = 1/(L - 1). At L = 2 that is 1, which tanh does not reach: the edge stays at 0.

The factor a gives levels that are used alike mean 0 and variance 1 (that of 0 .. L - 1 is (L^2 - 1) / 12), which is
what the decoder's maps of z are made for; the rounding does not know of it. L of variance 1 uses them nearly alike: a
normal number comes to levels of 5 with shares 0.17, 0.23, 0.20, 0.23, 0.17.

The codes of all components together are one number, k = sum_i n_i prod_{j<i} L_j. Nothing is learned and no code can
be revived; there is no penalty, because a vector cannot run away from a grid that it is bounded to. It can come to rest
at the edge, where tanh has no slope: a decoder that knows no words yet pushes the mean of all L there at high learning
rates. A stage in which the decoder learns alone, and a warm-up, keep L on the grid (recipes/vq/fsq.yaml, with numbers).

Source: Mentzer et al. 2023, arXiv:2309.15505, section 3 and appendix A.1. Deviations: s is the inverse of tanh (there
tan), there is no epsilon (the ends of b are levels themselves, so that nothing rounds beyond them), and the grid is
centred and scaled.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textlatent.encoder.codebook import Quantised, alone, newer_usage

LARGEST = 1 << 20
"""K up to which a grid is built: usage is counted and a prior asked for each code."""


class FiniteScalar(nn.Module):
    """K = prod L_i codes of d components that nothing moves; it stands where a Codebook does.

    Args:
        levels: L_i, of each of the d components.

    Raises:
        ValueError: no component, fewer than two levels, or more than LARGEST codes.
    """

    fixed = True
    """The codes are where they are, whatever the vectors."""

    revived = None
    vectors: Tensor
    usage: Tensor
    positions: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels must be two or more in each of one or more components, got {list(levels)}.")
        codes = math.prod(levels)
        if codes > LARGEST:
            raise ValueError(f"levels {list(levels)} are {codes:,} codes, more than {LARGEST:,}; take fewer.")
        self.levels = tuple(levels)
        self.register_buffer("vectors", self.grid())
        self.register_buffer("usage", torch.full((codes,), 1.0 / codes))
        self.register_buffer("positions", torch.zeros(()))
        # A plain attribute: DDP would overwrite a buffer of this process with that of the first between two parts.
        self._step: list[Tensor] = []
        self.register_load_state_dict_pre_hook(_refuse_another_grid)

    def grid(self) -> Float[Tensor, "K d"]:
        """z of every code."""
        number = torch.arange(math.prod(self.levels))
        columns = []
        for level in self.levels:
            columns.append(_step_of(level) * (number % level - 0.5 * (level - 1)))
            number = number // level
        return torch.stack(columns, 1)

    def bounded(self, latents: Float[Tensor, "M d"]) -> Float[Tensor, "M d"]:
        """A b(x), which lies among the codes: what is rounded, and what the decoder's gradient is given to."""
        columns = zip(latents.unbind(1), self.levels, strict=True)
        return torch.stack([_bounded(column, level) for column, level in columns], 1)

    def forward(self, latents: Float[Tensor, "M d"]) -> Quantised:
        """Each vector's code, its value z to the bit; the gradient of z is that of the bounded value, to the bit."""
        with torch.autocast(latents.device.type, enabled=False):
            bounded = self.bounded(latents.to(self.vectors.dtype))
        codes = self._rounded(bounded.detach())
        vectors = self.look_up(codes) + (bounded - bounded.detach())
        return Quantised(vectors, codes, bounded.new_zeros(len(bounded)))

    def _rounded(self, bounded: Float[Tensor, "M d"]) -> Int[Tensor, " M"]:
        """K of the nearest code. NaN is any code: the value stays NaN, and training stops at it with a sentence."""
        codes = torch.zeros(len(bounded), dtype=torch.long, device=bounded.device)
        for level, column in zip(reversed(self.levels), reversed(bounded.unbind(1)), strict=True):
            place = torch.round(column / _step_of(level) + 0.5 * (level - 1)).nan_to_num(nan=0.0)
            codes = codes * level + place.long()
        return codes

    def look_up(self, codes: Int[Tensor, " M"]) -> Float[Tensor, "M d"]:
        """Z of each code."""
        return functional.embedding(codes, self.vectors)

    def row_parameters(self) -> list[nn.Parameter]:
        """None: no code is learned."""
        return []

    @torch.no_grad()
    def observe(
        self, latents: Float[Tensor, "M d"], codes: Int[Tensor, " M"], *, draw: Float[Tensor, " M"] | None = None
    ) -> None:
        """Count a part's codes; a Codebook would also learn from the vectors, and revive codes by the draws."""
        part = torch.bincount(codes, minlength=len(self.usage)).to(self.usage.dtype)
        self._step = [self._step[0] + part] if self._step else [part]

    @torch.no_grad()
    def settle(self, *, reduce: Callable[[Tensor], Tensor] = alone) -> None:
        """End the step: add over processes what was counted.

        Args:
            reduce: returns the sum of a tensor over all processes.
        """
        number = reduce(self._step[0] if self._step else torch.zeros_like(self.usage))
        self._step = []
        self.usage.copy_(newer_usage(self.usage, number))
        self.positions.copy_(number.sum())

    @torch.no_grad()
    def initialise(self, latents: Float[Tensor, "M d"], *, seed: int) -> None:
        """The usage as at the start; the codes are where they are, whatever the vectors and the seed."""
        self.usage.fill_(1.0 / len(self.usage))


def _refuse_another_grid(book: FiniteScalar, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """The codes of other levels may have the same shape; what is loaded must be this grid, in whatever precision."""
    found = state.get(f"{prefix}vectors")
    grid = book.grid().double()
    if found is not None and found.shape == grid.shape and not torch.allclose(found.cpu().double(), grid, atol=0.02):
        raise ValueError(f"these weights are not of the grid of levels {list(book.levels)}; take the levels they have.")


def _step_of(level: int) -> float:
    """A: the distance of two levels, so that levels used alike have variance 1."""
    return math.sqrt(12.0 / (level**2 - 1))


def _bounded(column: Float[Tensor, " M"], level: int) -> Float[Tensor, " M"]:
    """A h tanh(x + s) of one component."""
    shift = math.atanh(1.0 / (level - 1)) if level % 2 == 0 and level > 2 else 0.0
    return _step_of(level) * 0.5 * (level - 1) * torch.tanh(column + shift)
