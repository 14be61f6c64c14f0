"""diagnose on a run: the file, what is in it, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.toy_run import toy_recipe
from textlatent import run as verbs
from textlatent.diagnostics.use import gain_per_position, nats_lost
from textlatent.diagnostics.verdict import VERDICTS, Diagnosis
from textlatent.recipe.load import load_recipe
from textlatent.run.diagnose import _many_draws, asked_rate, collapse_step
from textlatent.run.folder import Run
from textlatent.scores import Scores


@pytest.fixture(scope="module")
def diagnosed(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Diagnosis]:
    """A copy to write in, and its diagnosis; there are few test sentences, so the floor is lowered."""
    folder = tmp_path_factory.mktemp("diagnosed") / "run"
    shutil.copytree(trained.folder, folder)
    return Run(folder), verbs.diagnose(folder, refine=False, floor=10)


def _condition(run: Run, name: str) -> Scores:
    return Scores.load(run.folder / "conditions" / f"{name}.safetensors")[0]


def test_the_file_holds_the_diagnosis_and_what_it_rests_on(diagnosed: tuple[Run, Diagnosis]) -> None:
    run, found = diagnosed
    written = json.loads((run.folder / "diagnosis.json").read_text())
    assert written | found.to_dict() == written
    assert written["overall"] in VERDICTS
    assert written["thresholds"]["floor"] == 10
    own, other = _condition(run, "own"), _condition(run, "other")
    assert written["nats_lost"]["other"]["value"] == nats_lost(own, other).value
    assert set(written["nats_lost"]) == {"other", "prior_draw", "prior_mean"}
    gains = gain_per_position(own, other)
    assert [(g["value"], g["sentences"]) for g in written["gain_per_position"]] == [(g.value, g.count) for g in gains]
    assert written["split"] == "test"
    assert written["target_rate_nats"] is None
    assert written["collapse_step"] is None
    assert "torch" in written["versions"]


def test_the_inference_gap_is_the_ledger_s_where_the_sentences_are_the_same(diagnosed: tuple[Run, Diagnosis]) -> None:
    run, found = diagnosed
    assert found.inference is not None
    assert found.inference.gap is not None
    inference = json.loads((run.folder / "diagnosis.json").read_text())["inference"]
    assert inference["samples"] == 8
    assert inference["gap_nats"]["value"] == pytest.approx(run.ledger["gap_nats"]["value"], abs=1e-6)
    assert inference["gap_nats"] == {"value": found.inference.gap.value, "se": found.inference.gap.se}
    assert (inference["amortisation_nats"], inference["left_nats"]) == (None, None)
    own = _condition(run, "own")
    assert _many_draws(run, own.select(torch.arange(5))) is None
    moved = own.from_dict(own.to_dict() | {"posterior_mean": own.need("posterior_mean") + 0.1})
    assert _many_draws(run, moved) is None


def test_without_conditions_the_ears_are_not_tested(trained: Run, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "run")
    (tmp_path / "run" / "scores.safetensors").unlink()
    found = verbs.diagnose(tmp_path / "run", conditions=False, refine=False)
    assert [c.illness for c in found.checks if c.value is None] == ["ignored", "memorising"]
    written = json.loads((tmp_path / "run" / "diagnosis.json").read_text())
    assert (written["nats_lost"], written["gain_per_position"]) == ({}, [])
    assert written["inference"]["gap_nats"] is None


@pytest.mark.parametrize("key", ["target_rate", "minimum_rate", "capacity"])
def test_the_rate_that_the_last_stage_asks_for(key: str, tmp_path: Path) -> None:
    stages = [{"name": "first", "objective": {key: 2.0}}, {"name": "last", "objective": {key: 3.0}}]
    assert asked_rate(load_recipe(toy_recipe(tmp_path, {"stages": stages}))) == 3.0
    assert asked_rate(load_recipe(toy_recipe(tmp_path))) is None


def test_the_step_at_which_the_last_collapse_began(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("")
    run = Run(tmp_path)
    assert collapse_step(run) is None
    for verdicts, expected in (
        (["healthy", "collapsed", "collapsed"], 20),
        (["collapsed", "healthy", "collapsed"], 30),
        (["collapsed", "healthy"], None),
        ([], None),
    ):
        events = [{"event": "validate", "step": 10 * (i + 1), "verdict": v} for i, v in enumerate(verdicts)]
        events.append({"event": "log", "step": 50})
        (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        assert collapse_step(run) == expected


def test_a_language_model_has_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: lm\ndata: {path: corpus}\nmodel: {latent_size: 0}\n")
    with pytest.raises(ValueError, match="this is a language model"):
        verbs.diagnose(tmp_path)
