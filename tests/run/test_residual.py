"""A run of residual codes, two codebooks of four, through training, evaluation, samples and the diagnosis."""

import json
import math
from pathlib import Path

import pytest
import torch

from tests.toy_codes import toy_codes
from textlatent import run as verbs
from textlatent.diagnostics.code_means import means_against_codes
from textlatent.diagnostics.codes import Alphabet
from textlatent.models.autoencoder import token_mask
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.run.codes import alphabet_of
from textlatent.run.folder import Run
from textlatent.run.sample import sample
from textlatent.run.train import train

BOOKS = {"model": {"codebook": {"books": "residual"}}}


@pytest.fixture(scope="module")
def residual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_codes(tmp_path_factory.mktemp("residual"), BOOKS))


def test_the_ledger_adds_up(residual: Run) -> None:
    ledger, model = residual.ledger, residual.model_at("final")
    assert ledger["rate_nats"]["value"] == pytest.approx(2 * math.log(4), rel=1e-12)
    assert ledger["codes_used"]["of"] == 8
    assert ledger["marginal_nll_nats"]["value"] < ledger["neg_elbo_nats"]["value"]
    assert alphabet_of(residual.recipe) == Alphabet(4, 2)
    assert (model.config.latent_size, model.encoder.queries.shape[0]) == (4, 1)
    found = model.encode(residual.split("test").texts(range(5)))
    assert torch.equal(found.mean, model.encoder.look_up(found.codes))
    assert len(sample(residual, 3)) == 3


def test_the_diagnosis_holds_codes_against_the_means_of_what_was_left(residual: Run) -> None:
    """Of the second codebook: what the first leaves."""
    verbs.diagnose(residual, floor=10)
    codes = json.loads((residual.folder / "diagnosis.json").read_text())["codes"]
    assert [sum(book["counts"]) for book in codes["means"]] == [len(residual.split("test"))] * 2
    model, split = residual.model_at("final"), residual.split("test")
    batch = next(model._batches(split.texts(range(len(split))), len(split)))
    with torch.no_grad():
        latents = model.encoder.latents(batch["tokens"], token_mask(batch["tokens"], batch["lengths"]))
    first, second = model.encoder.books
    left = latents[:, 0] - first(latents[:, 0]).vectors
    found = means_against_codes(left.detach(), second(left).codes, second.vectors)
    assert codes["means"][1]["left"] == pytest.approx(found.left, rel=1e-4)
    assert codes["means"][1]["counts"] == found.counts.tolist()
    assert [player["player"] for player in codes["players"]] == ["encoder", "codebook", "decoder"]


def test_rotation_is_of_one_code(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match="model.codebook.rotation: turns the gradient of one code, and those of books"
    ):
        load_recipe(toy_codes(tmp_path, BOOKS, {"model": {"codebook": {"rotation": True}}}))
