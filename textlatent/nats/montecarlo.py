"""Averages of samples: log-mean-exp, importance weights, effective sample size, standard errors."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Estimate:
    """A mean and the standard error of that mean.

    Attributes:
        value: the estimate.
        se: its standard error, in the same unit; NaN when it rests on fewer than two values.
        count: how many independent values it rests on.
    """

    value: float
    se: float
    count: int


def mean_with_error(x: Float[Tensor, " N"]) -> Estimate:
    """The mean of x and its standard error sd / sqrt(N), in the unit of x, computed in float64.

    Raises:
        ValueError: x is empty.
    """
    if x.numel() == 0:
        raise ValueError("a mean needs at least one value, got an empty tensor.")
    x = x.detach().to(torch.float64)
    se = (x.std(correction=1) / math.sqrt(x.numel())).item() if x.numel() > 1 else math.nan
    return Estimate(x.mean().item(), se, x.numel())


def log_mean_exp(x: Float[Tensor, "..."], dim: int = 0) -> Float[Tensor, "..."]:
    """Ln mean exp(x) along dim, without overflow."""
    return torch.logsumexp(x, dim) - math.log(x.shape[dim])


def log_importance_weights(
    log_p_enc: Float[Tensor, "S B"], log_p_pri: Float[Tensor, "S B"], log_p_dec: Float[Tensor, "S B"]
) -> Float[Tensor, "S B"]:
    """Ln w = ln P_pri(z) + ln P_dec(y|z) - ln P_enc(z|y), nats; E_enc w = P(y).

    Source: THEORY T3; Burda et al. 2016, arXiv:1509.00519, eq. 8.
    """
    return log_p_pri + log_p_dec - log_p_enc


def effective_sample_size(log_weights: Float[Tensor, "S B"]) -> Float[Tensor, " B"]:
    """(sum w)^2 / sum w^2 per sentence, between 1 and S (a number of samples).

    Source: Kong 1992; Owen 2013, Monte Carlo, eq. 9.13.
    """
    return (2.0 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2.0 * log_weights, 0)).exp()
