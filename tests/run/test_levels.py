"""A run whose codes are a fixed grid, and a prior learned after them, through every verb that knows of codes."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.toy_codes import toy_codes
from textlatent import run as verbs
from textlatent.diagnostics.codes import Alphabet
from textlatent.encoder.finite_scalar import FiniteScalar
from textlatent.recipe.load import load_recipe
from textlatent.run.codes import alphabet_of
from textlatent.run.curve_plan import codes_label, plan, what_is_swept
from textlatent.run.encode import encode
from textlatent.run.evaluate import evaluate
from textlatent.run.folder import Run
from textlatent.run.interpolate import interpolate
from textlatent.run.limit import limit
from textlatent.run.report import report
from textlatent.run.sample import sample
from textlatent.run.train import train

TWO: dict[str, Any] = {
    "model": {"code_prior": {"type": "autoregressive", "size": 8, "heads": 2, "layers": 1}},
    "training": {"save_every": 20, "learning_rate": 0.02},
    "stages": [
        {"name": "codes", "steps": 20, "learn": ["encoder", "decoder"]},
        {"name": "prior", "steps": 40, "learn": ["prior"]},
    ],
}


def toy_levels(folder: Path, *levels: int, **changes: Any) -> dict[str, Any]:
    """K = 4 codes at two positions, as tests/toy_codes.py has, from a grid."""
    values = toy_codes(folder, TWO, changes)
    values["model"]["codebook"] = {"positions": 2, "levels": list(levels or (2, 2))}
    return values


@pytest.fixture(scope="module")
def levelled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_levels(tmp_path_factory.mktemp("levels")))


def test_it_trains_and_the_ledger_adds_up(levelled: Run) -> None:
    """The uniform rate is P ln K; the prior's stage lowers the rate; the marginal over all 16 codes is below -ELBO."""
    ledger = levelled.ledger
    assert ledger["uniform_rate_nats"]["value"] == pytest.approx(2 * math.log(4), rel=1e-12)
    assert ledger["rate_nats"]["value"] < 2 * math.log(4) - 0.05
    assert ledger["codes_used"]["of"] == 4
    marginal, gap = ledger["marginal_nll_nats"]["value"], ledger["gap_nats"]["value"]
    assert gap > 0
    assert marginal + gap == pytest.approx(ledger["neg_elbo_nats"]["value"], rel=1e-12)
    validations = [event for event in levelled.metrics if event["event"] == "validate"]
    first, last = validations[0], validations[-1]
    assert last["distortion_nats"] < first["distortion_nats"] + 1e-6
    assert first["codes"] == 4


def test_the_model_is_the_grid_and_knows_its_usage(levelled: Run) -> None:
    for checkpoint in ("final", "step-40"):
        (book,) = levelled.model_at(checkpoint).encoder.books
        assert isinstance(book, FiniteScalar)
        assert torch.equal(book.vectors, FiniteScalar([2, 2]).vectors)
        assert book.usage.sum().item() == pytest.approx(1.0, abs=1e-5)
        assert (book.usage != 0.25).all()
    assert not any("books" in name for name, _ in levelled.model_at("final").named_parameters())


def test_its_verbs(levelled: Run, tmp_path: Path, text_file: Path) -> None:
    again = evaluate(levelled, sentences=20)
    assert again["marginal_nll_nats"]["value"] < again["neg_elbo_nats"]["value"]
    assert len(sample(levelled, 3)) == 3
    first, second = "the child repairs his old boat .", "will the sailor sell the boat ?"
    assert interpolate(levelled, first, second, steps=3).sentences
    codes = levelled.model_at("final").encode([first, second]).codes
    assert codes.shape == (2, 2)
    assert 0 <= codes.min() <= codes.max() < 4
    encode(levelled, text_file, tmp_path / "z.safetensors")
    assert load_file(tmp_path / "z.safetensors")["codes"].shape[1] == 2
    assert limit(levelled, sentences=20).codes == 16


def test_weights_of_another_grid_are_no_start(levelled: Run, tmp_path: Path) -> None:
    values = toy_levels(tmp_path, 4)
    values["tokenizer"] = {"path": str(levelled.folder / "tokenizer")}
    with pytest.raises(ValueError, match="cannot start from"):
        train(values, start=levelled.folder)


def test_the_diagnosis_has_no_player_that_does_not_learn(levelled: Run, tmp_path: Path) -> None:
    """Means against codes are of the bounded vectors, which is where the grid is."""
    verbs.diagnose(levelled, floor=10)
    codes = json.loads((levelled.folder / "diagnosis.json").read_text())["codes"]
    assert [player["player"] for player in codes["players"]] == ["encoder", "decoder", "prior"]
    assert [len(book["counts"]) for book in codes["means"]] == [4]
    reach = 2 * math.sqrt(2)  # the bounded square's diagonal
    assert all(each is None or each <= reach for each in codes["means"][0]["distance"])
    html = report(levelled, output=tmp_path / "report.html").read_text()
    assert "Encoder, decoder and prior each follow the gradient of their own objective" in html


def test_the_alphabet_and_the_label_of_a_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(toy_levels(tmp_path, 3, 2))
    assert alphabet_of(recipe) == Alphabet(6, 1)
    assert codes_label(recipe) == "2 of 6"


def test_a_sweep_is_over_positions_alone(tmp_path: Path) -> None:
    recipe = load_recipe(toy_levels(tmp_path, 3, 2))
    asked: dict[str, Any] = dict.fromkeys(("rates", "betas", "codes", "positions"))
    axis, values = what_is_swept(recipe, **(asked | {"positions": [1, 3]}))
    assert values == [(6, 1), (6, 3)]
    jobs = plan(recipe, axis=axis, values=values, seeds=[0], folder=tmp_path)
    assert [job.label for job in jobs] == ["1 of 6", "3 of 6"]
    assert jobs[1].asked == pytest.approx(3 * math.log(6))
    with pytest.raises(ValueError, match=r"codes follow from model.codebook.levels, \[3, 2\] in this recipe; sweep"):
        what_is_swept(recipe, **(asked | {"codes": [4, 8]}))


def test_an_encoder_of_another_grid_is_not_taken(levelled: Run, tmp_path: Path) -> None:
    """Of [4] as many codes; of learned codes the same shapes: neither would be noticed by its tensors."""
    values = toy_levels(tmp_path, 4)
    values["data"] = {"path": str(levelled.recipe.data.path), "label": "topic", "max_tokens": 16}
    values["model"]["encoder"] = {"weights": str(levelled.folder)}
    with pytest.raises(ValueError, match=r"has levels \[2, 2\], got \[4\] in model.codebook.levels; set it so"):
        train(values)
    values["model"]["codebook"] = {"positions": 2, "codes": 4, "size": 2}
    with pytest.raises(ValueError, match=r"has levels \[2, 2\], got None in model.codebook.levels; set it so"):
        train(values)
