"""compare: runs that share their sentences, seeds of one recipe in one row, and what to run where they do not."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import toy_recipe
from textlatent.recipe.dump import dump_recipe
from textlatent.run.compare import compare
from textlatent.run.evaluate import evaluate
from textlatent.run.folder import Run
from textlatent.run.train import train
from textlatent.scores import Scores

SHORT: dict[str, Any] = {
    "training": {"steps": 2, "save_every": 2, "log_every": 1, "validate_every": 2, "sample_every": 0},
    "evaluation": {"samples": 2, "ladder": [1]},
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_recipe(tmp_path_factory.mktemp("compared"), SHORT, name="plain-seed-5"))


def _like(run: Run, folder: Path, *, more: float = 0.0, training: dict[str, Any] | None = None, **changes: Any) -> Path:
    """A copy of a run under another recipe, its distortion raised by `more` nats."""
    target = folder / changes.get("name", "copy")
    shutil.copytree(run.folder, target)
    recipe = run.recipe.model_copy(update=changes)
    if training:
        recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update=training)})
    (target / "recipe.yaml").write_text(dump_recipe(recipe))
    scores, about = Scores.load(target / "scores.safetensors")
    tensors = scores.to_dict() | {"log_p_dec": scores.need("log_p_dec") - more}
    Scores.from_dict(tensors).save(target / "scores.safetensors", about=about)
    return target


def test_seeds_share_a_row_and_other_recipes_do_not(origin: Run, tmp_path: Path) -> None:
    """What a run logs and where it lies is no other recipe; how it learns is."""
    second = _like(origin, tmp_path, name="plain-seed-6", seed=6, more=1.0, training={"log_every": 7, "threads": 2})
    other = _like(origin, tmp_path, name="faster", more=4.0, training={"learning_rate": 0.02})
    found = compare([origin, str(second), other])
    assert [(each.name, len(each.members)) for each in found.contenders] == [("plain", 2), ("faster", 1)]
    plain, faster = found.contenders
    assert plain.measure("distortion").sd_over_seeds == pytest.approx(0.5**0.5)
    assert faster.difference(plain, "distortion").value == pytest.approx(3.5)
    assert faster.difference(plain, "rate").value == pytest.approx(0.0)
    assert found.reference is plain
    assert found.split == "test"
    assert compare([origin, second, other], reference=2).reference.name == "faster"


def test_what_the_ledger_the_log_and_the_diagnosis_say(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, name="other", training={"learning_rate": 0.02})
    (other / "diagnosis.json").write_text(json.dumps({"overall": "collapsed"}))
    first, second = compare([origin, other]).contenders
    assert (first.verdict, second.verdict) == ("", "collapsed")
    assert first.active == (origin.ledger["active_units"]["value"], 4)
    assert first.minutes == [event for event in origin.metrics if event["event"] == "log"][-1]["seconds"] / 60
    for name, of in (("rate", "rate"), ("distortion", "distortion"), ("neg_elbo", "neg_elbo"), ("nll", "iw_nll")):
        cell, measure = origin.ledger[f"{of}_nats"], first.measure(name)
        assert (measure.value, measure.se) == pytest.approx((cell["value"], cell["se"])), name
    assert first.perplexity is not None
    assert first.perplexity.value == pytest.approx(origin.ledger["perplexity_per_word"]["value"])


def test_runs_of_the_same_name_go_by_their_folders(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, training={"learning_rate": 0.02})
    assert [each.name for each in compare([origin, other]).contenders] == [str(origin.folder), str(other)]


def test_other_sentences_are_refused_with_what_to_run(origin: Run, tmp_path: Path) -> None:
    """And following the advice mends it."""
    other = _like(origin, tmp_path, name="other", training={"learning_rate": 0.02})
    evaluate(other, sentences=6, samples=3)
    with pytest.raises(ValueError, match=r"cannot be compared: one holds \d+ sentences, the other 6\. Run") as raised:
        compare([origin, other])
    commands = re.findall(r"`textlatent evaluate (\S+) --split test --samples 2 --sentences (\d+)`", str(raised.value))
    assert [Path(folder) for folder, _ in commands] == [origin.folder, other]
    evaluate(other, samples=2, sentences=int(commands[1][1]))
    assert len(compare([origin, other]).contenders) == 2


def test_another_number_of_samples_is_refused(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, name="other", training={"learning_rate": 0.02})
    evaluate(other, samples=3)
    with pytest.raises(ValueError, match=r"IW-NLL was taken with K = 2 in one, K = 3 in the other\. Run .*--samples 2"):
        compare([origin, other])


def test_another_corpus_is_refused(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, name="other")
    ledger = origin.ledger | {"corpus": {"path": "elsewhere", "sha256": "f" * 64}}
    (other / "ledger.json").write_text(json.dumps(ledger))
    with pytest.raises(
        ValueError, match=r"their corpora differ \(sha256 [0-9a-f]{12} and ffffffffffff\)\. Evaluate both"
    ):
        compare([origin, other])


def test_a_run_that_was_not_evaluated_there(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, name="other", training={"learning_rate": 0.02})
    with pytest.raises(ValueError, match="has no evaluation on valid; run `textlatent evaluate .* --split valid`"):
        compare([origin, other], split="valid")
    with pytest.raises(ValueError, match="has no evaluation on held; run `textlatent evaluate .* --text FILE"):
        compare([origin, other], split="held")


def test_on_a_text_file(origin: Run, tmp_path: Path, text_file: Path) -> None:
    two = [_like(origin, tmp_path, name=name, training={"learning_rate": r}) for name, r in (("a", 0.02), ("b", 0.03))]
    for folder in two:
        evaluate(folder, text=text_file)
    found = compare(two, split="text")
    assert found.to_dict()["sentences"] == 7
    assert found.contenders[1].difference(found.reference, "nll").value == 0.0


def test_tokenizers_that_differ_are_noted(origin: Run, tmp_path: Path) -> None:
    other = _like(origin, tmp_path, name="other", training={"learning_rate": 0.02})
    assert compare([origin, other]).notes == ()
    mended = train(toy_recipe(tmp_path, SHORT, {"tokenizer": {"vocabulary": 30}}, name="small"))
    scores = mended.scores
    assert torch.equal(scores.need("index"), origin.scores.need("index"))
    (note,) = compare([origin, mended]).notes
    assert note.startswith("The runs' tokenizers differ")
    assert note in compare([origin, mended]).to_markdown()


def test_what_cannot_be_compared(origin: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a comparison needs two or more runs, got 1"):
        compare([origin])
    with pytest.raises(ValueError, match="plain-seed-5 is given twice"):
        compare([origin, origin.folder])
    other = _like(origin, tmp_path, name="other")
    with pytest.raises(ValueError, match="reference must be one of the 2 runs, 0 the first, got 2"):
        compare([origin, other], reference=2)
