"""Reference sentences: the same throughout, and what they tell a model with normalised means."""

from pathlib import Path
from typing import Any

import torch

from tests.toy_run import NO_DROPOUT, toy_recipe, toy_trainer
from textlatent.training.reference import SENTENCES, Reference

NORMALISED = {"model": {"encoder": {"batch_norm": 0.5}}}


def _reference(trainer: Any, *, seed: int = 5, tokens_per_batch: int = 256) -> Reference:
    device = torch.device("cpu")
    return Reference(trainer.train, seed=seed, tokens_per_batch=tokens_per_batch, pad_id=0, device=device)


def test_so_many_sentences_of_the_split_by_the_seed(tmp_path: Path) -> None:
    trainer = toy_trainer(toy_recipe(tmp_path))
    one, other, third = _reference(trainer), _reference(trainer, tokens_per_batch=64), _reference(trainer, seed=6)
    lengths = [torch.cat([batch[1] for batch in each.batches]).sort().values for each in (one, other, third)]
    assert len(lengths[0]) == SENTENCES
    assert torch.equal(lengths[0], lengths[1])
    assert not torch.equal(lengths[0], lengths[2])
    assert max(tokens.numel() for tokens, _ in one.batches) <= 256


def test_it_makes_the_model_s_rate_on_them_sure_however_they_are_cut(tmp_path: Path) -> None:
    """gamma^2 / 2 in each of 4 dimensions; dropout is left out, and the mode of the model is what it was."""
    trainer = toy_trainer(toy_recipe(tmp_path, NORMALISED), double=True)
    model, found = trainer.model.train(), []
    for budget in (64, 4000):
        reference = _reference(trainer, tokens_per_batch=budget)
        reference.calibrate(model, precision="fp32")
        assert model.training
        model.eval()
        with torch.no_grad():
            means = torch.cat([model.posterior(*batch).mean for batch in reference.batches])
        model.train()
        torch.testing.assert_close(0.5 * means.square().mean(0), torch.full((4,), 0.125).double(), rtol=1e-3, atol=0)
        found.append(model.encoder.norm.variance.clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=0)


def test_an_encoder_that_does_not_learn_keeps_its_statistics(tmp_path: Path) -> None:
    """Also through a stage of the decoder alone, on other sentences than it was calibrated with."""
    stages = {"stages": [{"name": "decoder", "steps": 2, "learn": ["decoder", "prior"]}]}
    trainer = toy_trainer(toy_recipe(tmp_path, NO_DROPOUT, NORMALISED, stages))
    with torch.no_grad():
        trainer.model.encoder.norm.mean.fill_(0.3)
    trainer.fit()
    assert torch.equal(trainer.model.encoder.norm.mean, torch.full((4,), 0.3))


def test_a_model_that_asks_for_none_is_not_calibrated(tmp_path: Path) -> None:
    trainer = toy_trainer(toy_recipe(tmp_path, {"training": {"steps": 1}}))
    assert not trainer.model.calibrates
    trainer.fit()
    assert trainer.updater.reference is None
