"""Diagonal Gaussians: densities, KL divergence per dimension, standardising a prior."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LOG_TWO_PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class DiagonalGaussian:
    """A Gaussian with independent dimensions, N(mean, diag(exp(log_variance))).

    Attributes:
        mean: [..., D].
        log_variance: [..., D], natural logarithm of the variance.
    """

    mean: Tensor
    log_variance: Tensor

    @property
    def variance(self) -> Float[Tensor, "..."]:
        """sigma^2, [..., D]."""
        return self.log_variance.exp()

    @property
    def std(self) -> Float[Tensor, "..."]:
        """sigma, [..., D]."""
        return (0.5 * self.log_variance).exp()

    def log_prob(self, z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Ln N(z; mean, sigma^2), nats, summed over the D dimensions: z [..., D] -> [...]."""
        squared = (z - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (squared + self.log_variance + LOG_TWO_PI).sum(-1)

    def double(self) -> "DiagonalGaussian":
        """The same Gaussian in float64."""
        return DiagonalGaussian(self.mean.double(), self.log_variance.double())

    def sample(self, noise: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The point mean + sigma * noise for noise ~ N(0, I) (THEORY T4)."""
        return self.mean + self.std * noise

    def part(self, at: Float[Tensor, " n"]) -> "DiagonalGaussian":
        """The Gaussian itself, wherever u ~ U(0, 1) falls: it is a mixture of one."""
        return self

    @property
    def moments(self) -> "DiagonalGaussian":
        """The Gaussian of the same mean and variances: itself."""
        return self

    def entropy(self) -> Float[Tensor, "..."]:
        """Differential entropy, nats: sum_d 1/2 ln(2 pi e sigma_d^2), [...]."""
        return 0.5 * (self.log_variance + LOG_TWO_PI + 1.0).sum(-1)


def kl_per_dimension(q: DiagonalGaussian, p: DiagonalGaussian) -> Float[Tensor, "..."]:
    """KL(q || p) of each dimension, nats, [..., D] (shapes broadcast).

    (sigma^2 + (mu - mu_p)^2) / (2 sigma_p^2) + ln(sigma_p / sigma) - 1/2. The terms in sigma are gathered as
    expm1(x) - x with x = ln(sigma^2 / sigma_p^2), so that a posterior near its prior keeps its digits.

    Source: THEORY T5.
    """
    log_ratio = q.log_variance - p.log_variance
    squared = (q.mean - p.mean).square() * (-p.log_variance).exp()
    return 0.5 * (torch.expm1(log_ratio) - log_ratio + squared)


def standardise(q: DiagonalGaussian, p: DiagonalGaussian) -> DiagonalGaussian:
    """q in the coordinates (z - mu_p) / sigma_p in which p is N(0, I); KL(q || p) is unchanged.

    Source: THEORY T5.
    """
    return DiagonalGaussian((q.mean - p.mean) / p.std, q.log_variance - p.log_variance)
