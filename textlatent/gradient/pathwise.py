"""The pathwise gradient: z as a smooth function of the encoder's parameters and of noise that has none."""

from jaxtyping import Float
from torch import Tensor

from textlatent.nats.gaussian import DiagonalGaussian


def reparameterise(posterior: DiagonalGaussian, noise: Float[Tensor, "S B D"]) -> Float[Tensor, "S B D"]:
    """Z = mu(y) + sigma(y) * eps for eps ~ N(0, I): dz/dmu = 1, dz/dsigma = eps.

    Source: THEORY T4; Kingma & Welling 2014, arXiv:1312.6114, section 2.4.
    """
    return posterior.sample(noise)
