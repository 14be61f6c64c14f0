"""Priors of several Gaussians: one part is the learned Gaussian; a Vamp prior is made of the posteriors it is given."""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.prior.gaussian import LearnedGaussian
from textlatent.prior.mixture import APART, MixturePrior, VampPrior

Z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_one_component_is_the_learned_gaussian() -> None:
    """Density and gradient in mean and log-variance to 1e-12; the one weight has none."""
    one, learned = MixturePrior(3, components=1).double(), LearnedGaussian(3).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        learned.mean.copy_(torch.randn(3, generator=generator, dtype=torch.float64))
        learned.log_variance.copy_(torch.randn(3, generator=generator, dtype=torch.float64))
        one.mean.copy_(learned.mean[None])
        one.log_variance.copy_(learned.log_variance[None])
    for prior in (one, learned):
        prior().log_prob(Z).sum().backward()
    torch.testing.assert_close(one().log_prob(Z), learned().log_prob(Z), rtol=0, atol=1e-12)
    torch.testing.assert_close(one.mean.grad[0], learned.mean.grad, rtol=0, atol=1e-12)
    torch.testing.assert_close(one.log_variance.grad[0], learned.log_variance.grad, rtol=0, atol=1e-12)
    assert one.logits.grad.abs().max() < 1e-12


def test_a_mixture_starts_near_the_standard_normal_and_no_two_alike() -> None:
    torch.manual_seed(0)
    prior = MixturePrior(3, components=10)()
    zero = torch.zeros(3)
    assert kl_per_dimension(prior.parts, DiagonalGaussian(zero, zero)).max() < 0.5 * (4 * APART) ** 2
    assert len(prior.parts.mean.unique(dim=0)) == 10
    torch.testing.assert_close(prior.log_weight, torch.full((10,), -math.log(10)))


def test_a_vamp_prior_is_the_mixture_of_the_posteriors_of_its_inputs() -> None:
    """With an encoder that sums: equal weights, and a gradient that reaches every input."""
    torch.manual_seed(0)
    prior = VampPrior(3, components=4, tokens=2).double()

    def encode(embeddings: Tensor) -> DiagonalGaussian:
        return DiagonalGaussian(30 * embeddings.sum(1), embeddings[:, 0])

    density = prior(encode).log_prob(Z)
    parts = encode(prior.inputs)
    by_hand = torch.stack(
        [DiagonalGaussian(m, v).log_prob(Z) for m, v in zip(parts.mean, parts.log_variance, strict=True)]
    )
    torch.testing.assert_close(density, by_hand.exp().mean(0).log(), rtol=0, atol=1e-12)
    density.sum().backward()
    assert (prior.inputs.grad != 0).all()


def test_what_makes_no_sense_is_refused() -> None:
    for make in (lambda: MixturePrior(3, components=0), lambda: VampPrior(3, components=0)):
        with pytest.raises(ValueError, match="at least one component, got components 0"):
            make()
    with pytest.raises(ValueError, match="at least one vector, got pseudo_tokens 0"):
        VampPrior(3, tokens=0)
    with pytest.raises(ValueError, match="ask the model for its prior_distribution"):
        VampPrior(3)()
