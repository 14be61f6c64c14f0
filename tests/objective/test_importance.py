"""The importance-weighted bound against its definition, its gradient's own formula, and an enumerable latent."""

import itertools

import pytest
import torch
from torch import Tensor

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.objective.importance import importance_loss


def densities(draws: int, count: int = 3, *, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(draws, count, generator=generator, dtype=torch.float64) for _ in range(3)]


def test_by_hand() -> None:
    """Weights 1/2 and 1/4 of one sentence: -ln 3/8."""
    enc, pri = torch.tensor([[0.0], [0.0]], dtype=torch.float64), torch.tensor([[0.5], [0.5]]).double().log()
    dec = torch.tensor([[1.0], [0.5]]).double().log()
    torch.testing.assert_close(importance_loss(enc, pri, dec), torch.tensor([3 / 8]).double().log().neg())


@pytest.mark.parametrize(("beta", "lam"), [(1.0, 1.0), (0.3, 2.0)])
def test_of_one_draw_it_is_the_sampled_loss(beta: float, lam: float) -> None:
    enc, pri, dec = densities(1)
    expected = beta * (enc - pri)[0] - lam * dec[0]
    torch.testing.assert_close(importance_loss(enc, pri, dec, beta=beta, lam=lam), expected, rtol=0, atol=1e-14)


def _expected(draws: int, *, beta: float = 1.0) -> float:
    """E over all draws of a latent of three values, every tuple enumerated, of the loss of one sentence."""
    enc = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    pri = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    dec = torch.tensor([0.7, 0.1, 0.05], dtype=torch.float64)
    total = 0.0
    for chosen in itertools.product(range(3), repeat=draws):
        rows = [each[list(chosen)].log()[:, None] for each in (enc, pri, dec)]
        total += enc[list(chosen)].prod().item() * importance_loss(*rows, beta=beta).item()
    return total


def test_in_expectation_it_falls_with_every_draw_towards_the_nll() -> None:
    """Of 1 to 6 draws, exactly: -ELBO first, each less than the one before, all above -ln P(y) (THEORY T3)."""
    found = [_expected(draws) for draws in range(1, 7)]
    neg_elbo = sum(e * (e / (p * d)).log() for e, p, d in _joint()).item()
    nll = -sum(p * d for _, p, d in _joint()).log().item()
    assert found[0] == pytest.approx(neg_elbo, abs=1e-12)
    assert all(later < earlier for earlier, later in itertools.pairwise(found))
    assert found[-1] > nll
    assert found[-1] - nll < 0.3 * (found[0] - nll)


def _joint() -> list[tuple[Tensor, Tensor, Tensor]]:
    rows = torch.tensor([[0.5, 0.2, 0.7], [0.3, 0.2, 0.1], [0.2, 0.6, 0.05]], dtype=torch.float64)
    return [(row[0], row[1], row[2]) for row in rows]


def test_the_exact_posterior_gives_the_nll_at_any_number_of_draws() -> None:
    """Every weight is then P(y) (THEORY T3)."""
    pri = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    dec = torch.tensor([0.7, 0.1, 0.05], dtype=torch.float64)
    enc = pri * dec / (pri * dec).sum()
    for chosen in ([0], [0, 2], [1, 1, 2]):
        loss = importance_loss(*(each[chosen].log()[:, None] for each in (enc, pri, dec)))
        torch.testing.assert_close(loss, -(pri * dec).sum().log()[None], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("beta", "lam"), [(1.0, 1.0), (0.4, 1.5)])
def test_the_gradient_is_the_formula_written_out(beta: float, lam: float) -> None:
    """-sum_k w_k / sum w (beta d(ln p_pri - ln p_enc) + lam d ln p_dec), and so along z = mu + sigma eps."""
    start = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    noise = torch.randn(4, 1, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def terms(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = DiagonalGaussian(mean, log_variance)
        z = q.sample(noise)
        zero = torch.zeros(2, dtype=torch.float64)
        return q.log_prob(z), DiagonalGaussian(zero, zero).log_prob(z), -(z - 1.0).square().sum(-1)

    mean, log_variance = start.clone().requires_grad_(), (start - 1.0).requires_grad_()
    importance_loss(*terms(mean, log_variance), beta=beta, lam=lam).sum().backward()
    with torch.no_grad():
        enc, pri, dec = terms(mean, log_variance)
        weight = torch.softmax(beta * (pri - enc) + lam * dec, 0)  # [K, 1]
    for place, parameter in ((0, mean), (1, log_variance)):
        expected = torch.zeros_like(parameter)
        for k in range(4):

            def draw(x: Tensor, k: int = k, place: int = place) -> Tensor:
                inputs = [mean.detach(), log_variance.detach()]
                inputs[place] = x
                enc, pri, dec = terms(*inputs)
                return (beta * (pri - enc) + lam * dec)[k].sum()

            expected -= weight[k] * torch.autograd.functional.jacobian(draw, parameter.detach())
        torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-12)
