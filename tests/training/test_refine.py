"""Refined posteriors meet the exact ones where these are known, are the sentences' own, and are never worse.

The oracle: y = W z + b + N(0, I) for z ~ N(0, I), whose best diagonal posterior has Bayes' mean and 1 / precision_dd.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor, nn

from tests.toy_run import NO_DROPOUT, toy_recipe, toy_trainer
from textlatent.corpus.batches import EncodedSplit
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture
from textlatent.nats.montecarlo import mean_with_error
from textlatent.scores import Scores
from textlatent.training.evaluate import evaluate
from textlatent.training.loop import Trainer
from textlatent.training.refine import refine_posteriors

SIZE = 2


def sentences(count: int) -> EncodedSplit:
    """Sentences of one token, whose number is all there is of them."""
    numbers = torch.arange(count)
    return EncodedSplit(
        tokens=numbers.int(), offsets=torch.arange(count + 1), words=numbers, characters=numbers, label=numbers,
        index=numbers, notes=[], dataset=Dataset.from_dict({"text": ["y"] * count}),
    )  # fmt: skip


class LinearGaussian(nn.Module):
    """P_dec(y|z) = N(y; W z, I), y a point that the token names; an encoder that is wrong in mean and variance."""

    def __init__(self, count: int, *, prior: Any = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.tensor([[2.0, 0.5], [0.0, 1.0], [0.3, 0.0]], dtype=torch.float64))
        self.y = 2.0 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
        self.prior = prior or DiagonalGaussian(torch.zeros(SIZE).double(), torch.zeros(SIZE).double())

    def posterior(self, tokens: Tensor, lengths: Tensor) -> DiagonalGaussian:
        exact = self.exact(tokens[:, 0])
        return DiagonalGaussian(exact.mean + 0.6, exact.log_variance + 0.8)

    def prior_distribution(self) -> Any:
        return self.prior

    def log_prob_token(self, tokens: Tensor, lengths: Tensor, z: Tensor) -> Tensor:
        mean = z @ self.weight.T
        return DiagonalGaussian(mean, torch.zeros_like(mean)).log_prob(self.y[tokens[:, 0]])[:, None]

    def exact(self, tokens: Tensor) -> DiagonalGaussian:
        """The diagonal Gaussian of the lowest -ELBO under N(0, I)."""
        precision = torch.eye(SIZE).double() + self.weight.T @ self.weight
        mean = torch.linalg.solve(precision, self.weight.T @ self.y[tokens].T).T.detach()
        return DiagonalGaussian(mean, -precision.diagonal().log().expand_as(mean).detach())


def test_the_best_posterior_is_met() -> None:
    model, split = LinearGaussian(6), sentences(6)
    scores = refine_posteriors(model, split, steps=300, learning_rate=0.1, samples=16)
    best = model.exact(torch.arange(6))
    assert (scores.need("posterior_mean") - best.mean).abs().max() < 0.1 * best.std.min()
    assert (scores.need("posterior_log_variance") - best.log_variance).abs().max() < 0.1
    start = model.posterior(torch.arange(6)[:, None], torch.ones(6))
    assert (start.mean - best.mean).abs().min() > best.std.min(), "it began far from there"


def test_under_a_prior_without_a_closed_rate_too() -> None:
    """A mixture of two equal parts is that part: the same posterior is best."""
    zero = torch.zeros(2, SIZE).double()
    mixture = GaussianMixture(torch.full((2,), 0.5).double().log(), DiagonalGaussian(zero, zero))
    model = LinearGaussian(4, prior=mixture)
    scores = refine_posteriors(model, sentences(4), steps=300, learning_rate=0.1, samples=16)
    best = model.exact(torch.arange(4))
    assert (scores.need("posterior_mean") - best.mean).abs().max() < 0.2 * best.std.min()
    assert scores.kl is None
    assert scores.prior_mean is None
    assert scores.rate().shape == (4,)


def test_a_few_steps_recover_most_of_the_gap() -> None:
    model, split = LinearGaussian(40), sentences(40)
    gaps = []
    for steps in (0, 20):
        scores = refine_posteriors(model, split, steps=steps)
        z = scores.need("z")[0]
        assert scores.log_p_dec is not None
        assert torch.allclose(scores.log_p_dec[0], model.log_prob_token(torch.arange(40)[:, None], None, z)[:, 0])
        gaps.append(scores.neg_elbo().mean().item())
    best = model.exact(torch.arange(40))
    noise = (scores.need("z")[0] - scores.need("posterior_mean")) / scores.need("posterior_log_variance").mul(0.5).exp()
    z = best.sample(noise)
    from_best = -model.log_prob_token(torch.arange(40)[:, None], None, z)[:, 0] - model.prior.log_prob(z)
    floor = (from_best + best.log_prob(z)).mean().item()
    assert gaps[1] - floor < 0.25 * (gaps[0] - floor), "the same noise numbers on all three"


def test_steps_that_would_lead_astray_are_not_kept() -> None:
    """A step of thirty deviations: the encoder's own posterior is better, and stays."""
    model, split = LinearGaussian(20), sentences(20)
    scores = refine_posteriors(model, split, steps=3, learning_rate=30.0)
    start = model.posterior(torch.arange(20)[:, None], torch.ones(20))
    assert torch.equal(scores.need("posterior_mean"), start.mean)
    assert torch.equal(scores.need("posterior_log_variance"), start.log_variance)


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A float64 sentence VAE whose posterior and decoder say something, in training mode."""

    def speak(model: Any) -> None:
        for part in (model.encoder.head.weight, model.decoder.to_slots.weight, model.decoder.to_every.weight):
            part.data.mul_(20.0)
        model.train()

    return toy_trainer(toy_recipe(tmp_path_factory.mktemp("refine"), NO_DROPOUT), double=True, prepare=speak)


def test_a_sentence_vaes_neg_elbo_falls_and_nothing_else_changes(trainer: Trainer) -> None:
    few = torch.arange(12)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    own = evaluate(trainer.model, trainer.valid, positions=few, keep_tokens=True, seed=3)
    refined = refine_posteriors(trainer.model, trainer.valid, positions=few, seed=3)
    assert trainer.model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in trainer.model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.state_dict().items())
    assert own.to_dict().keys() == refined.to_dict().keys()
    gap = mean_with_error(own.neg_elbo() - refined.neg_elbo())
    assert gap.value > 4 * gap.se
    assert gap.value > 0.5
    assert torch.equal(own.need("index"), refined.need("index"))


def test_no_step_is_what_evaluate_says(trainer: Trainer) -> None:
    few = torch.arange(8)
    own = evaluate(trainer.model, trainer.valid, positions=few, keep_tokens=True, seed=3)
    still = refine_posteriors(trainer.model, trainer.valid, positions=few, seed=3, steps=0)
    for name, tensor in own.to_dict().items():
        assert (still.to_dict()[name] - tensor).abs().max() < 1e-9, name


@pytest.mark.parametrize("budget", [1, 300])
def test_a_sentence_is_refined_alike_in_any_company(trainer: Trainer, budget: int) -> None:
    whole = refine_posteriors(trainer.model, trainer.valid, positions=torch.arange(9), steps=5)
    order = torch.tensor([7, 2, 4])
    part = refine_posteriors(trainer.model, trainer.valid, positions=order, steps=5, tokens_per_batch=budget)
    again = whole.select(torch.tensor([2, 4, 7]))
    for name, tensor in part.to_dict().items():
        expected = again.to_dict()[name]
        if name == "log_p_dec_token":
            expected = expected[:, : tensor.shape[1]]
        assert (tensor - expected).abs().max() < 1e-7, name


def test_faults(tmp_path: Path) -> None:
    model, split = LinearGaussian(3), sentences(3)
    for wrong in ({"samples": 0}, {"held": 0}, {"steps": -1}):
        with pytest.raises(ValueError, match="samples and held must be >= 1 and steps >= 0"):
            refine_posteriors(model, split, **wrong)
    plain = toy_trainer(toy_recipe(tmp_path, {"model": {"latent_size": 0}}), double=True)
    with pytest.raises(ValueError, match="a language model has no z"):
        refine_posteriors(plain.model, plain.valid, positions=torch.arange(2))


def test_progress_is_in_sentences() -> None:
    events: list[dict[str, Any]] = []
    refine_posteriors(LinearGaussian(5), sentences(5), steps=1, samples=1, tokens_per_batch=2, progress=events.append)
    assert [event["done"] for event in events] == [2, 4, 5]
    assert {(event["what"], event["total"]) for event in events} == {("refining", 5)}
    assert isinstance(refine_posteriors(LinearGaussian(2), sentences(2), steps=1), Scores)
