"""Which latent dimensions are used: how far their means move, and what they cost."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textlatent.nats.montecarlo import Estimate, mean_with_error

THRESHOLD = 0.01
"""A dimension is active above this variance (Burda et al. 2016, arXiv:1509.00519)."""


def variance_per_dimension(
    mean: Float[Tensor, "N D"], *, prior_scale: float | Float[Tensor, " D"] = 1.0
) -> list[Estimate]:
    """Var_y E[z_d|y] / prior_scale_d^2 of each dimension d (no unit), with the standard error of a sample variance.

    Args:
        mean: encoder means, one row per sentence.
        prior_scale: the prior's standard deviation (or one per dimension).

    Raises:
        ValueError: fewer than two sentences.

    Source: Burda et al. 2016, arXiv:1509.00519, activity statistic A_u, with divisor N - 1; the error is
    sqrt((m_4 - (N-3)/(N-1) s^4) / N), m_4 the fourth central moment (Mood, Graybill & Boes 1974, VI theorem 2).
    """
    count = len(mean)
    if count < 2:
        raise ValueError(f"a variance over sentences needs at least 2 of them, got {count}.")
    scaled = mean.to(torch.float64) / torch.as_tensor(prior_scale, dtype=torch.float64, device=mean.device)
    centred = scaled - scaled.mean(0)
    variance = centred.square().sum(0) / (count - 1)
    error = ((centred**4).mean(0) - (count - 3) / (count - 1) * variance.square()).clamp(min=0.0).div(count).sqrt()
    return [Estimate(v, e, count) for v, e in zip(variance.tolist(), error.tolist(), strict=True)]


def variance_spectrum(
    mean: Float[Tensor, "N D"], prior_scale: float | Float[Tensor, " D"] = 1.0
) -> Float[Tensor, " D"]:
    """The variances of `variance_per_dimension`, largest first (no unit)."""
    variances = variance_per_dimension(mean, prior_scale=prior_scale)
    return torch.tensor([v.value for v in variances], dtype=torch.float64).sort(descending=True).values


def active_units(
    mean: Float[Tensor, "N D"], *, prior_scale: float | Float[Tensor, " D"] = 1.0, threshold: float = THRESHOLD
) -> Bool[Tensor, " D"]:
    """Which dimensions move with the input: Var_y E[z|y] / prior_scale^2 > threshold (no unit).

    Args:
        mean: encoder means, one row per sentence.
        prior_scale: the prior's standard deviation (or one per dimension).
        threshold: 0.01 follows the source.

    Source: Burda et al. 2016, arXiv:1509.00519, activity statistic A_u.
    """
    variances = variance_per_dimension(mean, prior_scale=prior_scale)
    return torch.tensor([v.value > threshold for v in variances])


def active_count(variances: list[Estimate], *, threshold: float = THRESHOLD) -> Estimate:
    """How many dimensions are active, and how far other sentences would change that number.

    The error counts a dimension only where its variance lies within a few standard errors of the threshold: it is
    sqrt(sum_d p_d (1 - p_d)), p_d the chance that a variance N(value, se^2) is above it.
    """
    doubt = 0.0
    for v in variances:
        if v.se > 0:
            above = 0.5 * math.erfc((threshold - v.value) / (v.se * math.sqrt(2.0)))
            doubt += above * (1.0 - above)
    return Estimate(float(sum(v.value > threshold for v in variances)), math.sqrt(doubt), variances[0].count)


def rate_per_dimension(kl: Float[Tensor, "B D"]) -> list[Estimate]:
    """E_y KL(enc || pri) of each dimension, nats per sentence."""
    return [mean_with_error(column) for column in kl.unbind(1)]
