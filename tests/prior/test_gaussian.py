"""Both priors start as N(0, I); one of them learns."""

import torch
from torch.distributions import Normal

from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.prior.gaussian import LearnedGaussian, StandardNormal


def test_the_standard_prior_is_the_standard_normal() -> None:
    prior = StandardNormal(3).double()
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(prior().log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(1), rtol=1e-14, atol=1e-14)
    assert list(prior.parameters()) == []
    assert prior().mean.dtype == torch.float64


def test_the_learned_prior_starts_there_and_can_learn() -> None:
    prior = LearnedGaussian(3)
    assert torch.equal(kl_per_dimension(prior(), StandardNormal(3)()), torch.zeros(3))
    assert [name for name, _ in prior.named_parameters()] == ["mean", "log_variance"]


def test_the_best_prior_for_fixed_posteriors_is_their_moments() -> None:
    """E KL(enc || pri) over Gaussian priors is least at the mixture's mean and variance (T6, among Gaussians)."""
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 50, 3, generator=generator, dtype=torch.float64)
    prior = LearnedGaussian(3).double()

    def rate() -> torch.Tensor:
        return kl_per_dimension(DiagonalGaussian(mean, log_variance), prior()).sum(1).mean()

    with torch.no_grad():
        prior.mean.copy_(mean.mean(0))
        prior.log_variance.copy_((log_variance.exp().mean(0) + mean.var(0, correction=0)).log())
    least = rate()
    least.backward()
    assert prior.mean.grad.abs().max() < 1e-14
    assert prior.log_variance.grad.abs().max() < 1e-14
    for parameter in prior.parameters():
        for step in (-0.1, 0.1):
            with torch.no_grad():
                parameter.add_(step)
                assert rate() > least
                parameter.sub_(step)
