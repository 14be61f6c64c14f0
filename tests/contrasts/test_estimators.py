"""Oracle: autograd through the sum over every sentence; an estimate summed over every outcome of its draws."""

from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.contrasts.players import gan, given, sentences
from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.estimators import ESTIMATORS, RELAXED, SCORE_FUNCTION, draw, generator_loss, rebar_terms
from textlatent.contrasts.losses import COSTS, cost_of

DRAWS = {"reinforce": 1, "constant": 1, "boundary": 1, "leave_one_out": 2, "optimal": 3}


def _exact(model: BigramGAN, cost: str) -> list[Tensor]:
    """d sum_y P(y) cost(y): every sentence in the graph of the tables."""
    words, _ = sentences(model)
    live = torch.cat([torch.ones(len(words), 1, dtype=torch.bool), words[:, :-1] != model.config.eos_token_id], 1)
    probability = model.generator.log_prob(words, live.sum(1)).exp()
    costs = cost_of(model.discriminator, words, cost=cost).sum(1).detach()
    return list(torch.autograd.grad((probability * costs).sum(), list(model.generator.parameters())))


def _gradient(model: BigramGAN, loss: Tensor) -> list[Tensor]:
    parameters = list(model.generator.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]


def _mean(model: BigramGAN, estimator: str, cost: str, draws: int) -> list[Tensor]:
    """E of the estimate over every outcome of so many sentences."""
    words, probability = sentences(model)
    total = [torch.zeros_like(p) for p in model.generator.parameters()]
    for outcome in product(range(len(words)), repeat=draws):
        rows = words[list(outcome)]
        model.baseline.fill_(0.3)
        loss, _ = generator_loss(model, given(model, rows), estimator=estimator, cost=cost)
        for each, found in zip(total, _gradient(model, loss), strict=True):
            each += probability[list(outcome)].prod() * found
    return total


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("estimator", DRAWS)
def test_estimators_with_discrete_noise_are_unbiased(estimator: str, cost: str) -> None:
    model = gan(2, 3) if DRAWS[estimator] > 1 else gan(3, 3)
    found = _mean(model, estimator, cost, DRAWS[estimator])
    for each, wanted in zip(found, _exact(model, cost), strict=True):
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("judges", ["sentence", "reader"])
@pytest.mark.parametrize("estimator", ["reinforce", "leave_one_out"])
def test_verdicts_on_whole_sentences_too(estimator: str, judges: str) -> None:
    model = gan(2, 3, reader=True) if judges == "reader" else gan(2, 3, judges="sentence")
    found = _mean(model, estimator, "non_saturating", DRAWS[estimator])
    for each, wanted in zip(found, _exact(model, "non_saturating"), strict=True):
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-7 if judges == "reader" else 1e-12)


@pytest.mark.parametrize("cost", COSTS)
def test_the_exact_estimator_is_exact(cost: str) -> None:
    model = gan(4, 4, eos=2)
    loss, mean = generator_loss(model, lambda shape, stream: torch.empty(0), estimator="exact", cost=cost)
    for each, wanted in zip(_gradient(model, loss), _exact(model, cost), strict=True):
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-12)
    words, probability = sentences(model)
    costs = cost_of(model.discriminator, words, cost=cost).sum(1).detach()
    assert float(mean) == pytest.approx(float((probability * costs).sum()))


def test_rebar_is_unbiased() -> None:
    """Words summed; the noise of the relaxation by quadrature, one grid for every word, whose terms are apart."""
    place, weight = np.polynomial.legendre.leggauss(40)
    x, w = 0.5 * (place + 1.0), 0.5 * weight
    for _ in range(2):
        w, x = w * 6.0 * x * (1.0 - x), x * x * (3.0 - 2.0 * x)
    point, share = torch.from_numpy(x), torch.from_numpy(w)
    grid = torch.stack(torch.meshgrid(point, point, indexing="ij"), -1).reshape(-1, 2)
    weights = torch.outer(share, share).reshape(-1)
    model = gan(2, 3)
    words, probability = sentences(model)
    total = [torch.zeros_like(p) for p in model.generator.parameters()]
    for row, p in zip(words, probability, strict=True):
        rows = row.expand(len(grid), -1)
        noise = given(model, rows, grid[:, None].expand(-1, 3, -1))
        drawn = draw(model, noise((3,), 0), cost="minimax")
        terms = rebar_terms(model, drawn, noise((3, 2), 1), cost="minimax", temperature=0.7)
        for each, found in zip(total, _gradient(model, (weights * terms).sum()), strict=True):
            each += p * found
    for each, wanted in zip(total, _exact(model, "minimax"), strict=True):
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("judges", ["pairs", "sentence"])
def test_inverse_cdf_has_no_gradient(judges: str) -> None:
    model = gan(4, 4, judges=judges)
    loss, mean = generator_loss(
        model, lambda shape, stream: torch.rand(50, *shape).double(), estimator="inverse_cdf", cost="log_ratio"
    )
    found = torch.autograd.grad(loss, list(model.generator.parameters()), allow_unused=True)
    assert found == (None, None)
    assert loss.item() == pytest.approx(float(mean))
    assert loss.requires_grad, "its graph leads to the discriminator alone"


@pytest.mark.parametrize("estimator", [*RELAXED, "rebar"])
def test_a_biased_estimator_says_how_much(estimator: str) -> None:
    """Sampled: the relaxations differ from the exact gradient by more than their noise, rebar does not."""
    model, count = gan(3, 3, seed=3), 200_000
    torch.manual_seed(0)

    def noise(shape: tuple[int, ...], stream: int) -> Tensor:
        return torch.rand(count // 20, *shape, dtype=torch.float64)

    runs = []
    for _ in range(20):
        loss, _ = generator_loss(model, noise, estimator=estimator, cost="log_ratio", temperature=0.5)
        runs.append(torch.cat([g.flatten() for g in _gradient(model, loss)]))
    found, exact = torch.stack(runs), torch.cat([g.flatten() for g in _exact(model, "log_ratio")])
    error = found.var(0).sum().div(20).sqrt()
    bias = (found.mean(0) - exact).norm()
    assert bias < 2.0 * error if estimator == "rebar" else bias > 4.0 * error, (float(bias), float(error))


def test_the_constant_baseline_is_of_earlier_draws() -> None:
    """It moves after its use, so that the first draw meets a baseline of 0."""
    model = gan(3, 3)
    words, _ = sentences(model)
    model.baseline.zero_()
    losses = [
        generator_loss(model, given(model, words), estimator=each, cost="log_ratio")[0]
        for each in ("reinforce", "constant", "constant")
    ]
    assert losses[0].item() == losses[1].item()
    assert losses[1].item() != losses[2].item()


def test_what_cannot_be() -> None:
    noise = given(gan(3, 3), torch.tensor([[1, 1, 0]]))
    with pytest.raises(ValueError, match="the estimator must be one of inverse_cdf, exact, .*, got 'adam'"):
        generator_loss(gan(3, 3), noise, estimator="adam", cost="log_ratio")
    for estimator in ("exact", "boundary", "rebar"):
        with pytest.raises(ValueError, match=f"estimator {estimator} needs a discriminator: table that judges: pairs"):
            generator_loss(gan(3, 3, judges="sentence"), noise, estimator=estimator, cost="log_ratio")
    with pytest.raises(ValueError, match="cost must be one of log_ratio, minimax, non_saturating, got 'hinge'"):
        generator_loss(gan(3, 3), noise, estimator="reinforce", cost="hinge")


def test_all_estimators_are_tested() -> None:
    tested = {*DRAWS, "exact", "rebar", "inverse_cdf", *RELAXED}
    assert tested == set(ESTIMATORS)
    assert set(SCORE_FUNCTION) <= set(DRAWS)


@pytest.mark.parametrize("estimator", ["reinforce", "leave_one_out", "boundary", "exact"])
def test_a_centre_is_taken_off_every_word_and_held(estimator: str) -> None:
    """Oracle: the cost less 0.7 for each word up to the end, summed over every sentence."""
    model = gan(2, 3)
    words, probability = sentences(model)
    live = torch.cat([torch.ones(len(words), 1, dtype=torch.bool), words[:, :-1] != 0], 1)
    costs = (cost_of(model.discriminator, words, cost="log_ratio").sum(1) - 0.7 * live.double().sum(1)).detach()
    wanted = torch.autograd.grad(
        (model.generator.log_prob(words, live.sum(1)).exp() * costs).sum(), list(model.generator.parameters())
    )
    draws = DRAWS.get(estimator, 1)
    total = [torch.zeros_like(each) for each in wanted]
    for outcome in product(range(len(words)), repeat=draws):
        model.move_centre(torch.tensor(7.0), torch.tensor(10.0))
        noise = given(model, words[list(outcome)])
        loss, _ = generator_loss(model, noise, estimator=estimator, cost="log_ratio", centred=True)
        for each, found in zip(total, _gradient(model, loss), strict=True):
            each += probability[list(outcome)].prod() * found
    for each, found in zip(total, wanted, strict=True):
        torch.testing.assert_close(each, found, rtol=0, atol=1e-12)


@pytest.mark.parametrize("estimator", ["leave_one_out", "exact", "gumbel_softmax"])
def test_the_centre_is_of_earlier_words(estimator: str) -> None:
    model = gan(3, 3)
    assert float(model.centre()) == 0.0

    def noise(shape: tuple[int, ...], stream: int) -> Tensor:
        return torch.rand(4000, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(stream))

    for _ in range(2):  # the second is centred already, and finds the same mean
        generator_loss(model, noise, estimator=estimator, cost="log_ratio", centred=True)
        words, probability = sentences(model)
        judged = model.discriminator.judged(words)
        mean = (probability[:, None] * cost_of(model.discriminator, words, cost="log_ratio")).sum()
        length = (probability[:, None] * judged).sum()
        assert float(model.centre()) == pytest.approx(float((mean / length).detach()), abs=0.05)
    with pytest.raises(ValueError, match="leave `centred` out"):
        generator_loss(gan(3, 3, judges="sentence"), noise, estimator="reinforce", cost="log_ratio", centred=True)
