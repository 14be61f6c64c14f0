"""Normalised means: the rate they are sure of, and the gradient that statistics in the graph would give."""

import pytest
import torch
from torch import Tensor

from textlatent.encoder.normalised import NormalisedMean

GAMMA = 0.5


def norm(*, epsilon: float = 0.0) -> NormalisedMean:
    return NormalisedMean(2, gamma=GAMMA, epsilon=epsilon).double()


def means(*, seed: int = 0, scale: float = 0.3) -> Tensor:
    """Far from 0 and of two different spreads."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(50, 2, generator=generator, dtype=torch.float64) * torch.tensor([scale, 3 * scale]) + 4.0


def rate_of(normalised: Tensor) -> Tensor:
    """E KL(N(mu', 1) || N(0, 1)) of each dimension: the least rate these means can have."""
    return 0.5 * normalised.square().mean(0)


def test_the_reference_sentences_have_mean_shift_and_deviation_gamma() -> None:
    module, mu = norm(), means()
    module.calibrate(mu)
    normalised = module(mu)
    torch.testing.assert_close(normalised.mean(0), torch.zeros(2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(normalised.std(0, correction=0), torch.full((2,), GAMMA).double(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_over_the_reference_sentences_the_rate_is_sure(seed: int) -> None:
    """(gamma^2 + shift^2) / 2 in every dimension, to the digit, whatever the means: D gamma^2 / 2 at least."""
    module, mu = norm(), means(seed=seed, scale=10.0 ** (seed - 1))
    module.calibrate(mu)
    with torch.no_grad():
        module.shift.copy_(torch.tensor([0.0, -0.7], dtype=torch.float64))
    expected = torch.tensor([GAMMA**2, GAMMA**2 + 0.49], dtype=torch.float64) / 2
    torch.testing.assert_close(rate_of(module(mu)), expected, rtol=0, atol=1e-12)


def test_over_others_a_share_is_sure() -> None:
    """Half gamma^2 v_B / s^2 + (gamma (m_B - m) / s + shift)^2."""
    module = norm()
    module.calibrate(means(seed=1))
    with torch.no_grad():
        module.shift.copy_(torch.tensor([0.2, -0.1]))
    mu = 0.8 * means(seed=2) + 1.0
    share = mu.var(0, correction=0) / module.variance
    centre = GAMMA * (mu.mean(0) - module.mean) / module.variance.sqrt() + module.shift
    torch.testing.assert_close(rate_of(module(mu)), 0.5 * (GAMMA**2 * share + centre.square()), rtol=0, atol=1e-12)
    assert (rate_of(module(mu)) >= 0.5 * GAMMA**2 * share).all()


def test_means_that_do_not_move_are_sure_of_nothing() -> None:
    """A constant encoder: no spread to normalise, nothing but finite numbers."""
    module, mu = norm(epsilon=1e-8), torch.full((5, 2), 3.0).double()
    module.calibrate(mu)
    assert not module(mu).any()


def _in_the_graph(mu: Tensor, shift: Tensor) -> Tensor:
    return GAMMA * (mu - mu.mean(0)) / mu.std(0, correction=0) + shift


def test_the_rate_s_gradient_is_that_of_statistics_in_the_graph() -> None:
    """There the rate does not depend on mu at all, only on the shift: so does `held`; without it, it would."""
    module, mu = norm(), means().requires_grad_()
    module.calibrate(mu)
    shift = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    exact = torch.autograd.grad(rate_of(_in_the_graph(mu, shift)).sum(), (mu, shift))
    assert exact[0].abs().max() < 1e-14
    with torch.no_grad():
        module.shift.copy_(shift)
    held = module.held(module(mu))
    torch.testing.assert_close(held, module(mu), rtol=0, atol=0)
    found = torch.autograd.grad(rate_of(held).sum(), (mu, module.shift), allow_unused=True)
    assert found[0] is None
    torch.testing.assert_close(found[1], exact[1], rtol=0, atol=1e-12)
    assert torch.autograd.grad(rate_of(module(mu)).sum(), mu)[0].abs().max() > 1e-3


@pytest.mark.parametrize("held", [True, False])
def test_a_rate_that_reached_mu_would_shrink_it_for_ever(held: bool) -> None:
    """An encoder mu = w x under the rate's gradient alone, 150 steps of Adam: w stays, or is driven to nothing."""
    module = norm(epsilon=1e-8)
    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight = torch.full((2,), 0.1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([weight, module.shift], lr=1e-3)
    for _ in range(150):
        module.calibrate(weight * x)
        normalised = module(weight * x)
        optimiser.zero_grad()
        rate_of(module.held(normalised) if held else normalised).sum().backward()
        optimiser.step()
    assert weight.abs().max().item() == pytest.approx(0.1 if held else 0.0, abs=0.01)


def test_the_statistics_are_saved() -> None:
    module, other = norm(), norm()
    module.calibrate(means())
    other.load_state_dict(module.state_dict())
    assert torch.equal(other(means(seed=3)), module(means(seed=3)))
    assert set(module.state_dict()) == {"mean", "variance", "shift"}
