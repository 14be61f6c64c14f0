"""Posterior means of a spread that is set, not learned: batch normalisation by the statistics of past steps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class NormalisedMean(nn.Module):
    """mu' = gamma (mu - m) / s + shift: gamma is fixed, the shift is learned, m and s are mean and deviation of mu.

    m and s^2 are an exponential window over training steps and all processes, detached, so that the gradient stays a
    sum over sentences however a step is cut; a batch's own statistics would tie the sentences of a batch together.

    Over any sentences whose mu has mean m_B and variance v_B in a dimension, the rate under N(0, 1) is there at least

        1/2 E mu'^2 = 1/2 (gamma^2 v_B / s^2 + (gamma (m_B - m) / s + shift)^2).

    With the sentences' own statistics (m = m_B, s^2 = v_B) that is (gamma^2 + shift^2) / 2: D gamma^2 / 2 nats in all
    are sure. With those of past steps the share v_B / s^2 of it is sure. So nothing may drive the deviation of mu below
    the one remembered, and the rate would: shrinking mu seems to save nats, the window follows, and mu shrinks to
    nothing. Under a batch's own statistics the rate does not depend on the scale or place of mu, and its exact gradient
    in mu is 0: so here (`held`) the rate's gradient reaches the shift alone. The distortion's reaches mu.

    Args:
        latent_size: D.
        gamma: deviation of mu' over sentences.
        decay: of the window; 0.9 averages about 10 steps, the first step is taken as it is.
        epsilon: added to the variance.

    Raises:
        ValueError: gamma is not above 0.

    Source: Zhu et al. 2020, arXiv:2004.12585, eqs. 8 to 10 (gamma 0.5 on most corpora). Deviations: statistics of past
    steps for the batch's own, and no gradient of the rate through them.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor
    freedom: Tensor

    def __init__(self, latent_size: int, *, gamma: float, decay: float = 0.9, epsilon: float = 1e-5) -> None:
        super().__init__()
        if not gamma > 0.0:
            raise ValueError(f"batch_norm must be > 0, got {gamma}; leave it out for means as they are.")
        self.gamma = gamma
        self.decay = decay
        self.epsilon = epsilon
        self.register_buffer("mean", torch.zeros(latent_size))
        self.register_buffer("variance", torch.ones(latent_size))
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("freedom", torch.zeros(()))
        self.shift = nn.Parameter(torch.zeros(latent_size))

    @property
    def deviation(self) -> Float[Tensor, " D"]:
        """s, the deviation of mu that is divided by."""
        return (self.variance + self.epsilon).sqrt()

    def forward(self, mean: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """mu' of mu."""
        return self.gamma * (mean - self.mean) / self.deviation + self.shift

    def held(self, normalised: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """The same mu', whose gradient reaches the shift and not mu."""
        return normalised.detach() + (self.shift - self.shift.detach())

    @torch.no_grad()
    def sums(self, normalised: Float[Tensor, "B D"]) -> Float[Tensor, " m"]:
        """Sums over sentences of x = (mu - m) / s and of x^2, float64, from mu'."""
        x = (normalised.double() - self.shift.double()) / self.gamma
        return torch.cat([x.sum(0), x.square().sum(0)])

    @torch.no_grad()
    def observe(self, sums: Float[Tensor, " m"], *, count: float) -> None:
        """Take in a step's `sums` over all its `count` sentences; nothing moves while the encoder does not learn."""
        if not self.shift.requires_grad or not count:
            return
        first, second = (sums.to(self.mean.device).double() / count).chunk(2)
        deviation = self.deviation.double()
        mean, variance = self.mean.double(), self.variance.double()
        squares = count * deviation.square() * (second - first.square()).clamp(min=0.0)  # about the step's own mean
        kept = self.decay * self.count.double(), self.decay * self.freedom.double()
        self.mean.copy_(mean + count / (kept[0] + count) * deviation * first)
        self.variance.copy_((kept[1] * variance + squares) / (kept[1] + count - 1).clamp(min=1.0))
        self.count.copy_(kept[0] + count)
        self.freedom.copy_(kept[1] + count - 1)
