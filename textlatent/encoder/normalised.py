"""Posterior means of a spread that is set, not learned: batch normalisation by statistics of reference sentences."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NormalisedMean(nn.Module):
    """mu' = gamma (mu - m) / s + shift: gamma is fixed, shift learned, m and s are mean and deviation of mu.

    m and s are those of reference sentences, the same ones throughout, taken anew whenever the weights have changed
    (`calibrate`). Over any sentences whose mu has mean m_B and variance v_B in a dimension, the rate under N(0, 1) is
    there at least

        1/2 E mu'^2 = 1/2 (gamma^2 v_B / s^2 + (gamma (m_B - m) / s + shift)^2).

    Over the reference sentences that is (gamma^2 + shift^2) / 2: D gamma^2 / 2 nats in all are sure, at every step.
    Over others the share v_B / s^2 of it is, which is near 1 where they come from the same corpus.

    m and s carry no gradient, so that the gradient stays a sum over sentences however a step is cut. The rate does not
    depend on the scale and place of mu if its own statistics normalise it, and its gradient in mu is then 0: so `held`
    lets the rate's gradient reach the shift alone. The distortion's reaches mu.

    Args:
        latent_size: D.
        gamma: deviation of mu' over sentences.
        epsilon: added to the variance.

    Raises:
        ValueError: gamma is not above 0.

    Source: Zhu et al. 2020, arXiv:2004.12585, section 3 (gamma 0.5). Deviation: there m and s are the batch's own in
    training and a running mean's in evaluation. A batch's own would tie its sentences together and, batches being of
    one length, take the length out of z; a running mean's lag by several deviations behind a mu that Adam moves.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, latent_size: int, *, gamma: float, epsilon: float = 1e-8) -> None:
        super().__init__()
        if not gamma > 0.0:
            raise ValueError(f"batch_norm must be > 0, got {gamma}; leave it out for means as they are.")
        self.gamma = gamma
        self.epsilon = epsilon
        self.register_buffer("mean", torch.zeros(latent_size))
        self.register_buffer("variance", torch.ones(latent_size))
        self.shift = nn.Parameter(torch.zeros(latent_size))

    def forward(self, mean: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """mu' of mu."""
        return self.gamma * (mean - self.mean) / (self.variance + self.epsilon).sqrt() + self.shift

    def held(self, normalised: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """The same mu', whose gradient reaches the shift and not mu."""
        return normalised.detach() + (self.shift - self.shift.detach())

    @torch.no_grad()
    def calibrate(self, mean: Float[Tensor, "R D"]) -> None:
        """Take mean and variance of mu over the reference sentences."""
        self.mean.copy_(mean.double().mean(0))
        self.variance.copy_(mean.double().var(0, correction=0))
