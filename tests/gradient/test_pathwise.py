"""The pathwise gradient against the closed form of a quadratic and against finite differences (THEORY T4)."""

import math

import torch
from torch import Tensor

from textlatent.gradient.pathwise import reparameterise
from textlatent.nats.gaussian import DiagonalGaussian

A = torch.tensor([[2.0, 0.5], [0.5, -1.0]], dtype=torch.float64)
B = torch.tensor([1.0, -3.0], dtype=torch.float64)
MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
LOG_VARIANCE = torch.tensor([-0.6, 0.3], dtype=torch.float64)


def quadratic(z: Tensor) -> Tensor:
    """f(z) = z' A z + b' z, so that E f = mu' A mu + b' mu + sum_d A_dd sigma_d^2."""
    return ((z @ A) * z).sum(-1) + z @ B


def gradients(noise: Tensor) -> tuple[Tensor, Tensor]:
    """Per sample: df(z)/dmu and df(z)/dln sigma^2, by autograd through reparameterise, [S, 2]."""
    count = len(noise)
    mean = MEAN.repeat(count, 1).requires_grad_()
    log_variance = LOG_VARIANCE.repeat(count, 1).requires_grad_()
    quadratic(reparameterise(DiagonalGaussian(mean, log_variance), noise[None])).sum().backward()
    assert mean.grad is not None
    assert log_variance.grad is not None
    return mean.grad, log_variance.grad


def test_unbiased_for_a_quadratic() -> None:
    """dE f/dmu = 2 A mu + b and dE f/dln sigma^2 = A_dd sigma_d^2, within 4 standard errors of 50,000 draws."""
    noise = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = (2 * A @ MEAN + B, A.diagonal() * LOG_VARIANCE.exp())
    for samples, truth in zip(gradients(noise), exact, strict=True):
        error = samples.std(0) / math.sqrt(len(noise))
        assert ((samples.mean(0) - truth).abs() < 4 * error).all()


def test_exact_for_a_quadratic_with_two_opposite_noises() -> None:
    """The signs (+-1, +-1) have the first two moments of N(0, I): their mean gradient is exact."""
    noise = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2)
    of_mean, of_log_variance = gradients(noise)
    torch.testing.assert_close(of_mean.mean(0), 2 * A @ MEAN + B, rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(of_log_variance.mean(0), A.diagonal() * LOG_VARIANCE.exp(), rtol=1e-14, atol=1e-14)


def test_the_derivative_at_fixed_noise_is_that_of_finite_differences() -> None:
    """For a function of no closed form; central differences of step h err by h^2."""

    def f(mean: Tensor, log_variance: Tensor) -> Tensor:
        return torch.tanh(reparameterise(DiagonalGaussian(mean, log_variance), noise)).prod(-1).sum()

    noise = torch.randn(3, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        f, (MEAN[None].clone().requires_grad_(), LOG_VARIANCE[None].clone().requires_grad_()), eps=1e-6, atol=1e-9
    )


def test_each_derivative_is_the_noise_s() -> None:
    """dz/dmu = 1 and dz/dsigma = eps, so dz/dln sigma^2 = sigma eps / 2."""
    noise = torch.tensor([[[0.5, -2.0]]], dtype=torch.float64)
    mean, log_variance = MEAN[None].clone().requires_grad_(), LOG_VARIANCE[None].clone().requires_grad_()
    z = reparameterise(DiagonalGaussian(mean, log_variance), noise)
    torch.testing.assert_close(z, MEAN + (LOG_VARIANCE / 2).exp() * noise)
    z.sum().backward()
    assert torch.equal(mean.grad, torch.ones(1, 2, dtype=torch.float64))
    torch.testing.assert_close(log_variance.grad, (LOG_VARIANCE / 2).exp() * noise[0] / 2)
