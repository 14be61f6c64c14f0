"""Priors of several Gaussians: a mixture that is learned, and one of the posteriors of learned inputs."""

import math

import torch
from torch import Tensor, nn

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture
from textlatent.prior.prior import Encode, Prior

MIXTURE_COMPONENTS = 10
VAMP_COMPONENTS = 100
APART = 0.1
"""Deviation of a mixture's first means: near N(0, I), so that the rate starts as there, and no two alike."""


class MixturePrior(Prior):
    """sum_k w_k N(mean_k, diag exp(log_variance_k)), weights, means and variances learned.

    Args:
        latent_size: D.
        components: K.

    Raises:
        ValueError: fewer than one component.
    """

    def __init__(self, latent_size: int, *, components: int = MIXTURE_COMPONENTS) -> None:
        super().__init__()
        _check(components)
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(APART * torch.randn(components, latent_size))
        self.log_variance = nn.Parameter(torch.zeros(components, latent_size))

    def forward(self, encode: Encode | None = None) -> GaussianMixture:
        """The mixture, of K parts in D dimensions."""
        return GaussianMixture(self.logits.log_softmax(0), DiagonalGaussian(self.mean, self.log_variance))


class VampPrior(Prior):
    """1/K sum_k P_enc(z|u_k): the encoder's posteriors of K learned pseudo-inputs.

    A sentence is discrete, so a pseudo-input is a row of vectors in the place of its tokens' embeddings, before the
    encoder adds its positions.

    Args:
        width: E, of a token's embedding.
        components: K.
        tokens: T, vectors of a pseudo-input.

    Raises:
        ValueError: fewer than one component or vector.

    Source: Tomczak & Welling 2018, arXiv:1705.07120, eq. 9 (there the inputs are images).
    """

    SCALE = 0.02  # of a new transformer's embeddings

    def __init__(self, width: int, *, components: int = VAMP_COMPONENTS, tokens: int = 8) -> None:
        super().__init__()
        _check(components)
        if tokens < 1:
            raise ValueError(f"a pseudo-input has at least one vector, got pseudo_tokens {tokens}.")
        self.inputs = nn.Parameter(self.SCALE * torch.randn(components, tokens, width))

    def forward(self, encode: Encode | None = None) -> GaussianMixture:
        """The mixture, of K parts in D dimensions.

        Raises:
            ValueError: no encoder was given.
        """
        if encode is None:
            raise ValueError("a Vamp prior is made of posteriors: ask the model for its prior_distribution().")
        parts: DiagonalGaussian = encode(self.inputs)
        count = len(self.inputs)
        uniform: Tensor = parts.mean.new_full((count,), -math.log(count))
        return GaussianMixture(uniform, parts)


def _check(components: int) -> None:
    if components < 1:
        raise ValueError(f"a mixture has at least one component, got components {components}.")
