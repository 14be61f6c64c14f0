"""Nearest vectors in one matrix product, and the k-means that starts a codebook."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK = 1 << 21
"""Scores held at a time (8 MiB in float32): the search needs little memory, however many vectors there are."""


@torch.no_grad()
def nearest(points: Float[Tensor, "M d"], codes: Float[Tensor, "K d"]) -> Int[Tensor, " M"]:
    """argmin_k |C[k] - L| of each point, the lowest k of codes that are equal.

    |C - L|^2 / 2 = |C|^2 / 2 - L.C + |L|^2 / 2, and the last term is every code's, so it is left out. The codes' mean
    is subtracted from both sides first: where all lie far from the origin the terms would be large and their
    differences lost.

    In the points' precision, at least float32, outside autocast.
    """
    dtype = torch.promote_types(points.dtype, torch.float32)
    with torch.autocast(points.device.type, enabled=False):
        centre = codes.to(dtype).mean(0)
        centred = codes.to(dtype) - centre
        half_square = 0.5 * centred.square().sum(1)
        rows = max(1, CHUNK // max(codes.shape))
        found = [
            torch.addmm(half_square, part.to(dtype) - centre, centred.T, alpha=-1).argmin(1)
            for part in points.split(rows)
        ]
    return torch.cat(found)


def totals(
    points: Float[Tensor, "M d"], codes: Int[Tensor, " M"], *, count: int
) -> tuple[Float[Tensor, " K"], Float[Tensor, "K d"]]:
    """n_k and the sum of the points of each code: O(M d), no M x K table.

    Args:
        points: of any float type.
        codes: the code of each point, below `count`.
        count: K.
    """
    number = torch.bincount(codes, minlength=count).to(points.dtype)
    return number, points.new_zeros(count, points.shape[1]).index_add_(0, codes, points)


@torch.no_grad()
def spread_out(points: Float[Tensor, "M d"], *, count: int, seed: int) -> Float[Tensor, "K d"]:
    """K of the points, each drawn in proportion to its squared distance from those drawn before it (k-means++).

    A function of the points in their order and of the seed. Fewer distinct points than K leave some codes equal.

    Raises:
        ValueError: fewer points than codes.

    Source: Arthur & Vassilvitskii 2007, k-means++, section 2.2.
    """
    if len(points) < count:
        raise ValueError(f"{count} codes need as many vectors to start from, got {len(points)}; give more sentences.")
    draws = torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    chosen = [int(draws[0] * len(points))]
    squared = (points - points[chosen[0]]).square().sum(1)
    for draw in draws[1:]:
        mass = squared.cpu().double().cumsum(0)  # a GPU's running sums may differ from run to run
        if mass[-1] > 0.0:
            following = int(torch.searchsorted(mass, draw * mass[-1], right=True).clamp(max=len(points) - 1))
        else:  # every point is a code already
            following = int(draw * len(points))
        chosen.append(following)
        squared = torch.minimum(squared, (points - points[following]).square().sum(1))
    return points[chosen].clone()


@torch.no_grad()
def lloyd(points: Float[Tensor, "M d"], codes: Float[Tensor, "K d"]) -> Float[Tensor, "K d"]:
    """The mean of the points nearest to each code; a code that has none stays where it is."""
    number, total = totals(points, nearest(points, codes), count=len(codes))
    return torch.where((number > 0)[:, None], total / number.clamp(min=1)[:, None], codes)
