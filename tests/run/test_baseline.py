"""The baseline is the run's recipe without z, trained into the run's folder, resumable, on the same sentences."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import merged, toy_recipe
from textlatent.recipe.load import load_recipe
from textlatent.run.baseline import baseline, baseline_recipe, decoder_steps
from textlatent.run.conditions import conditions
from textlatent.run.folder import Run

RICH: dict[str, Any] = {
    "model": {"prior": "learned", "encoder": {"log_variance_bias": -2.0}, "decoder": {"word_dropout": 0.2}},
    "objective": {"target_rate": 2.0},
    "training": {"steps": 30, "learning_rate": 0.003},
    "evaluation": {"sentences": 9, "samples": 8},
    "stages": [
        {"name": "warm", "steps": 7, "objective": {"target_rate": 5.0}},
        {"name": "encoder", "steps": 11, "learn": ["encoder"], "reset": ["decoder"]},
        {"name": "all"},
    ],
}


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy to write in."""
    shutil.copytree(trained.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_what_concerns_z_is_gone_and_all_else_is_the_runs(tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe(tmp_path, RICH))
    found = baseline_recipe(recipe, out=tmp_path / "run")
    assert load_recipe(found) == found, "it is a valid recipe"
    assert (found.name, found.out) == ("baseline", str(tmp_path / "run"))
    for section in ("data", "tokenizer", "seed"):
        assert getattr(found, section) == getattr(recipe, section)
    assert found.model.latent_size == 0
    assert found.model.decoder == recipe.model.decoder
    assert found.objective.target_rate is None
    assert [(stage.name, found.stage_steps(stage)) for stage in found.stages] == [("train", 30)]
    assert found.training == recipe.training
    assert found.evaluation == recipe.evaluation


@pytest.mark.parametrize(
    ("stages", "steps"),
    [
        ([{"name": "one"}], 30),
        ([{"name": "one", "steps": 5}, {"name": "two"}], 35),
        (RICH["stages"], 30),
        ([{"name": "one", "steps": 4, "learn": ["encoder"]}, {"name": "two", "steps": 6, "learn": ["decoder"]}], 6),
        ([{"name": "one", "steps": 4, "learn": ["encoder"]}], 4),
    ],
)
def test_the_steps_are_the_decoders_own(tmp_path: Path, stages: list[dict[str, Any]], steps: int) -> None:
    recipe = load_recipe(merged(toy_recipe(tmp_path), {"training": {"steps": 30}, "stages": stages}))
    assert decoder_steps(recipe) == steps


def test_it_is_trained_judged_and_a_condition(run: Run) -> None:
    found = baseline(run)
    assert found.folder == run.folder / "baseline"
    assert found.model.config.latent_size == 0
    assert [event["step"] for event in found.metrics if event["event"] == "validate"] == [20, 40]
    assert found.ledger["rate_nats"]["value"] == 0.0
    assert found.ledger["information_nats"]["why"] == "the model is a language model: it has no z."
    nll = found.ledger["iw_nll_nats"]
    assert nll["samples"] == run.recipe.evaluation.samples == 8
    assert nll["value"] == pytest.approx(found.ledger["neg_elbo_nats"]["value"], abs=1e-9), "every draw says the same"
    assert found.scores.log_p_dec.shape == (8, found.ledger["sentences"])
    scored = conditions(run)
    assert list(scored) == ["own", "other", "prior_draw", "prior_mean", "baseline"]
    assert torch.equal(scored["baseline"].need("index"), scored["own"].need("index"))
    alone = scored["baseline"].log_p_dec
    assert alone is not None
    assert -alone.mean().item() == pytest.approx(found.ledger["neg_elbo_nats"]["value"], rel=1e-6)
    files = {path: path.stat().st_mtime_ns for path in found.folder.rglob("model.safetensors")}
    again = baseline(run)
    assert {path: path.stat().st_mtime_ns for path in again.folder.glob("checkpoints/*/model.safetensors")} == {
        path: time for path, time in files.items() if "checkpoints" in path.parts
    }, "what is finished is not trained again"


def test_a_language_model_and_another_corpus_are_refused(run: Run) -> None:
    card = json.loads((run.folder / "corpus.json").read_text())
    (run.folder / "corpus.json").write_text(json.dumps(card | {"sha256": "0" * 64}))
    with pytest.raises(ValueError, match="has changed since the run"):
        baseline(Run(run.folder))
    recipe = (run.folder / "recipe.yaml").read_text()
    (run.folder / "recipe.yaml").write_text(recipe.replace("latent_size: 4", "latent_size: 0"))
    with pytest.raises(ValueError, match="is a language model itself"):
        baseline(Run(run.folder))
