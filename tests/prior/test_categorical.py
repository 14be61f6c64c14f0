"""Priors of independent positions: their mass is 1, their draws have their shares, and what each costs."""

import math
from itertools import product

import pytest
import torch

from textlatent.prior.autoregressive import AutoregressivePrior
from textlatent.prior.categorical import IndependentPrior, UniformPrior, draw
from textlatent.prior.prior import CodePrior
from textlatent.training.launch import deterministic

CODES, POSITIONS = 3, 2
EVERY = torch.tensor(list(product(range(CODES), repeat=POSITIONS)))


def priors() -> list[CodePrior]:
    torch.manual_seed(0)
    shared = AutoregressivePrior(CODES, POSITIONS, size=8, heads=2, layers=1, dropout=0.0)
    own = AutoregressivePrior(CODES, POSITIONS, books=POSITIONS, size=8, heads=2, layers=1, dropout=0.0)
    return [UniformPrior(CODES, POSITIONS), IndependentPrior(CODES, POSITIONS), shared, own]


def moved(prior: CodePrior) -> CodePrior:
    """The prior after its parameters have left their start, in float64."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return prior.double().eval()


@pytest.mark.parametrize("number", range(4))
def test_every_prior_starts_uniform(number: int) -> None:
    """P ln K nats for every sentence (T11), to the digit."""
    prior = priors()[number]
    assert torch.equal(prior.log_prob(EVERY), torch.full(EVERY.shape, -math.log(CODES), dtype=torch.float64))


@pytest.mark.parametrize("number", range(4))
def test_the_mass_of_all_codes_is_one(number: int) -> None:
    """By enumeration of K^P; and each conditional's too, the codes before given."""
    prior = moved(priors()[number])
    log_prob = prior.log_prob(EVERY)
    assert log_prob.dtype == torch.float64
    assert log_prob.sum(1).exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    for first in range(CODES):
        rows = EVERY[:, 0] == first
        assert log_prob[rows, 1].exp().sum().item() == pytest.approx(1.0, abs=1e-12)
        assert log_prob[rows, 0].unique().numel() == 1, "nothing after a position changes what it costs"


@pytest.mark.parametrize("number", range(4))
def test_draws_have_the_prior_s_shares(number: int) -> None:
    """30,000 draws: each of the 9 codes within 4 standard errors; at a temperature, those of P^(1/T)."""
    prior, count = moved(priors()[number]), 30_000
    for temperature in (1.0, 0.5):
        first = prior.log_prob(EVERY)[:, 0] / temperature
        second = prior.log_prob(EVERY)[:, 1] / temperature
        table = torch.stack([first, second], 1).view(CODES, CODES, 2)
        head = table[:, 0, 0].log_softmax(0)
        expected = (head[:, None] + table[:, :, 1].log_softmax(1)).flatten().exp()
        codes = prior.sample(count, seed=3, temperature=temperature)
        found = torch.bincount(codes[:, 0] * CODES + codes[:, 1], minlength=CODES**POSITIONS) / count
        error = (expected * (1 - expected) / count).sqrt().detach()
        assert ((found - expected.detach()).abs() <= 4 * error + 1e-9).all()


@pytest.mark.parametrize("number", range(4))
def test_a_draw_is_a_function_of_its_number(number: int) -> None:
    prior = moved(priors()[number])
    codes = prior.sample(50, seed=4)
    assert torch.equal(prior.sample(torch.tensor([7, 3]), seed=4), codes[[7, 3]])
    assert not torch.equal(prior.sample(50, seed=5), codes)
    assert codes.dtype == torch.int64


def test_the_independent_prior_fitted_to_codes_costs_their_positions_entropies() -> None:
    """Its best rate is sum_p H(k_p), what no prior of independent positions goes below."""
    codes = torch.tensor([[0, 0], [1, 1], [1, 1], [2, 1]])
    prior = IndependentPrior(CODES, POSITIONS).double()
    optimizer = torch.optim.LBFGS(prior.parameters(), max_iter=200, tolerance_grad=1e-12)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        rate = -prior.log_prob(codes).sum(1).mean()
        rate.backward()
        return rate

    optimizer.step(loss)
    entropies = [-sum(p * math.log(p) for p in shares) for shares in ([0.25, 0.5, 0.25], [0.25, 0.75])]
    assert -prior.log_prob(codes).sum(1).mean().item() == pytest.approx(sum(entropies), abs=1e-6)


def test_a_draw_by_hand() -> None:
    """Parts [0, .5), [.5, .75), [.75, 1)."""
    log_prob = torch.tensor([[0.5, 0.25, 0.25]]).log().expand(5, -1)
    assert draw(log_prob, torch.tensor([0.0, 0.49, 0.51, 0.76, 0.9999999])).tolist() == [0, 0, 1, 2, 2]
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        draw(log_prob, torch.zeros(5), temperature=0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a GPU's running sums are refused where they must repeat")
def test_draws_on_a_gpu_are_those_on_the_cpu_and_repeat() -> None:
    """Under training.deterministic as without it."""
    log_prob = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    at = torch.rand(50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with deterministic(True):
        found = draw(log_prob.cuda(), at.cuda())
    assert found.device.type == "cuda"
    assert torch.equal(found.cpu(), draw(log_prob, at))


def test_a_prior_over_one_code_is_refused() -> None:
    with pytest.raises(ValueError, match="codes >= 2 and positions >= 1, got 1 and 2"):
        UniformPrior(1, 2)
