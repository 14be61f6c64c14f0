"""Where the posteriors lie: the plane of their principal components, and their aggregate in one dimension."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.gaussian import LOG_TWO_PI


@dataclass(frozen=True)
class Plane:
    """The means of N posteriors seen from the side where they differ most.

    Attributes:
        coordinates: [N, 2], in the unit of the means; the second column is 0 where D = 1.
        axes: [2, D], orthonormal rows (a zero row where D = 1); each points to where its largest entry is positive.
        centre: [D], the mean of the means, which lies at (0, 0).
        share: of the total variance along either axis, 0 to 1 (0 where the means do not differ at all).
    """

    coordinates: Tensor
    axes: Tensor
    centre: Tensor
    share: tuple[float, float]


def principal_plane(mean: Float[Tensor, "N D"]) -> Plane:
    """The first two principal components of the posteriors' means (in the unit of the means).

    Args:
        mean: one row per sentence; in units of the prior's scale where dimensions should weigh alike.

    Raises:
        ValueError: fewer than two sentences, or no dimension.

    Source: Pearson 1901; the signs are fixed so that the same means give the same picture.
    """
    count, size = mean.shape
    if count < 2 or size < 1:
        raise ValueError(f"a plane needs at least 2 sentences and 1 dimension, got {count} and {size}.")
    mean = mean.detach().to(torch.float64)
    centre = mean.mean(0)
    _, lengths, rows = torch.linalg.svd(mean - centre, full_matrices=False)
    kept = min(2, len(lengths))
    axes = mean.new_zeros(2, size)
    axes[:kept] = rows[:kept]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    variance, total = lengths.square(), lengths.square().sum().item()
    share = [(variance[i].item() / total if i < kept and total > 0 else 0.0) for i in range(2)]
    return Plane((mean - centre) @ axes.T, axes, centre, (share[0], share[1]))


def aggregate_density(
    mean: Float[Tensor, " N"], log_variance: Float[Tensor, " N"], *, at: Float[Tensor, " G"]
) -> Float[Tensor, " G"]:
    """1/N sum_i N(at; mean_i, exp(log_variance_i)): the aggregate posterior of one dimension (per unit of z).

    Args:
        mean: of N posteriors in that dimension.
        log_variance: of the same posteriors.
        at: where.

    Source: Hoffman & Johnson 2016, ELBO surgery, the average encoding distribution.
    """
    mean, log_variance, at = (x.detach().to(torch.float64) for x in (mean, log_variance, at))
    squared = (at[:, None] - mean).square() * (-log_variance).exp()
    return (-0.5 * (squared + log_variance + LOG_TWO_PI)).exp().mean(1)
