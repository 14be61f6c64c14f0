"""Mixtures of diagonal Gaussians: densities, moments, drawing a component."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.gaussian import DiagonalGaussian


@dataclass(frozen=True)
class GaussianMixture:
    """sum_k w_k N(mean_k, diag sigma_k^2).

    Attributes:
        log_weight: ln w_k, the weights summing to 1, [K].
        parts: the K Gaussians, mean and log-variance [K, D].
    """

    log_weight: Tensor
    parts: DiagonalGaussian

    def log_prob(self, z: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Ln sum_k w_k N(z; mean_k, sigma_k^2), nats: z [..., D] -> [...]."""
        return torch.logsumexp(self.log_weight + self.parts.log_prob(z[..., None, :]), -1)

    @property
    def mean(self) -> Float[Tensor, " D"]:
        """E z."""
        return self.log_weight.exp() @ self.parts.mean

    @property
    def variance(self) -> Float[Tensor, " D"]:
        """Var z_d of each dimension: the parts' own, and that of their means."""
        return self.log_weight.exp() @ (self.parts.variance + (self.parts.mean - self.mean).square())

    @property
    def std(self) -> Float[Tensor, " D"]:
        """The deviation of each dimension."""
        return self.variance.sqrt()

    @property
    def moments(self) -> DiagonalGaussian:
        """The Gaussian of the same mean and variances."""
        return DiagonalGaussian(self.mean, self.variance.log())

    def double(self) -> "GaussianMixture":
        """The same mixture in float64."""
        return GaussianMixture(self.log_weight.double(), self.parts.double())

    def part(self, at: Float[Tensor, " n"]) -> DiagonalGaussian:
        """The parts at which u ~ U(0, 1) falls among the weights, laid end to end: n Gaussians, [n, D]."""
        ends = self.log_weight.exp().cpu().cumsum(0)  # a GPU's running sums need not repeat
        found = torch.searchsorted(ends, at.to(ends)).clamp(max=len(ends) - 1)  # the last end may round below 1
        chosen = found.to(self.parts.mean.device)
        return DiagonalGaussian(self.parts.mean[chosen], self.parts.log_variance[chosen])
