"""Scores do not depend on batch size, order, chunks of draws or processes, and no sentence is lost or counted twice.

The oracle is the model itself, given one sentence and one draw at a time.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from tests.toy_run import toy_recipe, toy_trainer
from tests.training.scoring import as_lists, some_latents
from textlatent.corpus.batches import EncodedSplit, collate
from textlatent.scores import Scores
from textlatent.training.evaluate import evaluate, evaluate_at, posteriors
from textlatent.training.loop import Trainer

SAMPLES = 3


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """A float64 model whose posterior says something, in training mode, dropout on."""

    def speak(model: Any) -> None:
        model.encoder.head.weight.data.mul_(20.0)
        model.train()

    return toy_trainer(toy_recipe(tmp_path_factory.mktemp("evaluate")), double=True, prepare=speak)


def _one_by_one(model: Any, split: EncodedSplit, positions: torch.Tensor) -> Scores:
    """Every sentence alone, every draw alone."""
    model.eval()
    rows = []
    with torch.no_grad():
        for position in positions:
            batch = collate(split, position[None])
            draws = [model(**batch, seed=7, samples=1, first_sample=s, keep_latents=True) for s in range(SAMPLES)]
            joined = {n: torch.cat([getattr(d, n) for d in draws]) for n in ("log_p_enc", "log_p_pri", "log_p_dec")}
            rows.append(Scores.from_dict(draws[0].to_dict() | joined))
    model.train()
    return Scores.concatenate(rows)


@pytest.fixture(scope="module")
def oracle(trainer: Trainer) -> Scores:
    return _one_by_one(trainer.model, trainer.valid, torch.arange(20))


def _assert_same(scores: Scores, oracle: Scores) -> None:
    assert scores.to_dict().keys() == oracle.to_dict().keys()
    for name, tensor in scores.to_dict().items():
        expected = oracle.to_dict()[name]
        assert tensor.shape == expected.shape, name
        assert (tensor - expected).abs().max() < 1e-9, name


@pytest.mark.parametrize("size", range(1, 17))
def test_batch_size_and_chunks_of_draws(trainer: Trainer, oracle: Scores, size: int) -> None:
    """Up to `size` sentences of 16 tokens at once: then the draws come one by one, in twos or all together."""
    scores = evaluate(
        trainer.model, trainer.valid, positions=torch.arange(20), samples=SAMPLES, seed=7, tokens_per_batch=16 * size
    )
    _assert_same(scores, oracle)


def test_all_at_once_and_by_tokens(trainer: Trainer, oracle: Scores) -> None:
    for budget in (1, 10**6):
        scores = evaluate(
            trainer.model, trainer.valid, positions=torch.arange(20), samples=SAMPLES, seed=7, tokens_per_batch=budget
        )
        _assert_same(scores, oracle)


def test_order(trainer: Trainer, oracle: Scores) -> None:
    """The rows come in the split's order, whatever order was asked for."""
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    scores = evaluate(trainer.model, trainer.valid, positions=order, samples=SAMPLES, seed=7, tokens_per_batch=64)
    _assert_same(scores, oracle)
    assert scores.index.tolist() == list(range(20))


@pytest.mark.parametrize("world", [1, 2])
def test_every_size_on_every_rank(tmp_path: Path, processes: Processes, world: int) -> None:
    """n = 1 .. 5 sentences, fewer than there are ranks included: each rank holds each sentence once."""
    values, counts = toy_recipe(tmp_path), [1, 2, 3, 4, 5]
    local = toy_trainer(values, double=True)
    found = processes.run("tests.training.scoring:sizes", values, counts, world=world, folder=tmp_path / "job")
    expected = as_lists(_one_by_one(local.model, local.valid, torch.arange(5)))
    for of_rank in found:
        for count, lists in zip(counts, of_rank, strict=True):
            assert lists["index"] == list(range(count))
            for name in ("log_p_enc", "log_p_pri", "log_p_dec"):
                one = torch.tensor(lists[name], dtype=torch.float64)
                other = torch.tensor(expected[name], dtype=torch.float64)[:, :count]
                assert one.shape == (SAMPLES, count)
                assert (one - other).abs().max() < 1e-9, name
            kl, all_kl = torch.tensor(lists["kl"]), torch.tensor(expected["kl"])
            assert (kl - all_kl[:count]).abs().max() < 1e-9
            assert lists["tokens"] == expected["tokens"][:count]
            assert lists["label"] == expected["label"][:count]


def test_the_whole_split_is_the_default(trainer: Trainer) -> None:
    scores = evaluate(trainer.model, trainer.valid)
    assert scores.index.tolist() == list(range(len(trainer.valid)))
    assert scores.tokens.sum() == trainer.valid.tokens.numel()
    assert scores.log_p_dec.shape == (1, len(trainer.valid))


def test_latents_are_kept_only_when_asked_for(trainer: Trainer) -> None:
    few = torch.arange(3)
    kept = evaluate(trainer.model, trainer.valid, positions=few, samples=2)
    assert kept.z.shape == (1, 3, 4), "one draw of z, however many samples"
    assert evaluate(trainer.model, trainer.valid, positions=few, keep_latents=False).z is None


@pytest.mark.parametrize("size", [1, 3, 50])
def test_tokens_are_kept_of_the_first_draw(trainer: Trainer, oracle: Scores, size: int) -> None:
    scores = evaluate(
        trainer.model,
        trainer.valid,
        positions=torch.arange(20),
        samples=SAMPLES,
        seed=7,
        tokens_per_batch=16 * size,
        keep_tokens=True,
    )
    kept = scores.need("log_p_dec_token")
    assert (kept.sum(1) - oracle.need("log_p_dec")[0]).abs().max() < 1e-9
    assert ((kept != 0).sum(1) == scores.tokens).all(), "padding has no nats"
    _assert_same(Scores.from_dict({n: t for n, t in scores.to_dict().items() if n != "log_p_dec_token"}), oracle)
    assert oracle.log_p_dec_token is None


def _at_one_by_one(model: Any, split: EncodedSplit, z: torch.Tensor, positions: torch.Tensor) -> list[torch.Tensor]:
    """Ln P_dec of each token, every sentence alone."""
    model.eval()
    with torch.no_grad():
        batches = [collate(split, position[None]) for position in positions]
        return [
            model.log_prob_token(b["tokens"], b["lengths"], row[None])[0] for b, row in zip(batches, z, strict=True)
        ]


@pytest.mark.parametrize("budget", [1, 40, 10**6])
def test_any_z_in_any_batches(trainer: Trainer, budget: int) -> None:
    """Rows of z go with the positions they were given for, in whatever order; the record is in the split's order."""
    z, order = some_latents(20, 4), torch.randperm(20, generator=torch.Generator().manual_seed(3))
    expected = _at_one_by_one(trainer.model, trainer.valid, z, torch.arange(20))
    trainer.model.train()
    scores = evaluate_at(trainer.model, trainer.valid, z[order], positions=order, tokens_per_batch=budget)
    assert trainer.model.training
    assert scores.index.tolist() == list(range(20))
    assert scores.to_dict().keys() == {
        "log_p_dec", "log_p_dec_token", "tokens", "words", "characters", "index", "label"
    }  # fmt: skip
    kept = scores.need("log_p_dec_token")
    for row, alone, total in zip(kept, expected, scores.need("log_p_dec")[0], strict=True):
        assert (row[: len(alone)] - alone).abs().max() < 1e-9
        assert (row[len(alone) :] == 0).all()
        assert total.item() == pytest.approx(alone.sum().item(), abs=1e-9)


def test_a_sentences_own_z_gives_its_own_nats(trainer: Trainer, oracle: Scores) -> None:
    scores = evaluate_at(trainer.model, trainer.valid, oracle.need("z")[0], positions=torch.arange(20))
    assert (scores.need("log_p_dec")[0] - oracle.need("log_p_dec")[0]).abs().max() < 1e-9
    for name in ("tokens", "words", "characters", "index", "label"):
        assert torch.equal(getattr(scores, name), getattr(oracle, name)), name


def test_any_z_on_every_rank(tmp_path: Path, processes: Processes) -> None:
    values = toy_recipe(tmp_path)
    local = toy_trainer(values, double=True)
    found = processes.run("tests.training.scoring:at", values, 5, world=2, folder=tmp_path / "job")
    expected = _at_one_by_one(local.model, local.valid, some_latents(5, 4), torch.arange(5))
    for of_rank in found:
        assert of_rank["index"] == list(range(5))
        for total, alone in zip(of_rank["log_p_dec"][0], expected, strict=True):
            assert total == pytest.approx(alone.sum().item(), abs=1e-9)


@pytest.mark.parametrize("budget", [1, 10**6])
def test_posteriors_in_any_batches(trainer: Trainer, oracle: Scores, budget: int) -> None:
    found = posteriors(trainer.model, trainer.valid, positions=torch.arange(20), tokens_per_batch=budget)
    assert (found.mean - oracle.need("posterior_mean")).abs().max() < 1e-9
    assert (found.log_variance - oracle.need("posterior_log_variance")).abs().max() < 1e-9


def test_progress_at_a_z_and_a_z_too_few(trainer: Trainer) -> None:
    events: list[dict[str, Any]] = []
    few = torch.arange(5)
    evaluate_at(
        trainer.model, trainer.valid, some_latents(5, 4), positions=few, tokens_per_batch=1, progress=events.append
    )
    assert [event["done"] for event in events] == [1, 2, 3, 4, 5]
    assert {event["total"] for event in events} == {5}
    with pytest.raises(ValueError, match="one row for each of the 5 sentences, got 4"):
        evaluate_at(trainer.model, trainer.valid, some_latents(4, 4), positions=few)


def test_dropout_is_off_and_then_on_again(trainer: Trainer) -> None:
    trainer.model.train()
    one, other = (evaluate(trainer.model, trainer.valid, positions=torch.arange(4)) for _ in range(2))
    assert torch.equal(one.log_p_dec, other.log_p_dec)
    assert trainer.model.training
    trainer.model.eval()
    evaluate(trainer.model, trainer.valid, positions=torch.arange(4))
    assert not trainer.model.training


def test_another_seed_draws_another_z(trainer: Trainer) -> None:
    one, other = (evaluate(trainer.model, trainer.valid, positions=torch.arange(4), seed=seed) for seed in (0, 1))
    assert not torch.equal(one.z, other.z)
    assert torch.equal(one.kl, other.kl)


def test_bf16_is_near_and_its_nats_are_float64(trainer: Trainer, oracle: Scores) -> None:
    """A relative error of 2^-8 in the products; the sums stay in float64."""
    trainer.model.float()
    scores = evaluate(
        trainer.model, trainer.valid, positions=torch.arange(20), samples=SAMPLES, seed=7, precision="bf16"
    )
    trainer.model.double()
    assert scores.log_p_dec.dtype == torch.float64
    difference = (scores.neg_elbo() - oracle.neg_elbo()).abs().max().item()
    assert 0.0 < difference < 2.0**-6 * oracle.neg_elbo().max().item()


def test_progress_counts_sentences_times_draws(trainer: Trainer) -> None:
    events: list[dict[str, Any]] = []
    evaluate(
        trainer.model,
        trainer.valid,
        positions=torch.arange(10),
        samples=SAMPLES,
        tokens_per_batch=32,
        progress=events.append,
    )
    done = [event["done"] for event in events]
    assert {(event["event"], event["what"], event["total"]) for event in events} == {("progress", "scoring", 30)}
    assert done == sorted(set(done))
    assert done[-1] == 30
    assert len(done) > math.ceil(10 / 2)


def test_no_draws_and_no_sentences_are_refused(trainer: Trainer) -> None:
    with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
        evaluate(trainer.model, trainer.valid, samples=0)
    with pytest.raises(ValueError, match="there are no sentences"):
        evaluate(trainer.model, trainer.valid, positions=torch.arange(0))
