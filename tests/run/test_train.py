"""train: one command that begins, goes on, and ends with a model, its ledger and its card; and what it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import textlatent.run
from tests.toy_run import merged, toy_recipe
from tests.training.resume import fingerprint
from textlatent.run.folder import Run
from textlatent.run.train import train

SHORT: dict[str, Any] = {
    "training": {"steps": 6, "save_every": 2, "log_every": 1, "validate_every": 3, "sample_every": 3},
    "evaluation": {"samples": 2, "ladder": [1], "sentences": 6},
}
Events = list[dict[str, Any]]


def _notes(events: Events) -> list[str]:
    return [event["text"] for event in events if event["event"] == "note"]


# --------------------------------------------------------------------------------------------------- what it makes


def test_a_run_has_all_that_was_promised(trained: Run) -> None:
    expected = {"recipe.yaml", "corpus.json", "tokenizer", "metrics.jsonl", "checkpoints", "best", "final"}
    expected |= {"scores.safetensors", "ledger.json", "samples.json", "training.png"}
    assert expected <= {path.name for path in trained.folder.iterdir()}
    assert {path.name for path in (trained.folder / "checkpoints").iterdir()} == {"step-40", "step-20"}
    samples = json.loads((trained.folder / "samples.json").read_text())
    assert len(samples["samples"]) == 10
    assert len(samples["reconstructions"]) == 5
    assert len(samples["interpolation"]["sentences"]) == len(samples["interpolation"]["at"])


def test_from_a_notebook_twice(tmp_path: Path) -> None:
    """A dictionary in, a run out; again, the same model under another name, and nothing where it is done already."""
    events: Events = []
    values = toy_recipe(tmp_path, SHORT)
    one = textlatent.run.train(values, progress=events.append)
    other = textlatent.run.train(merged(values, {"name": "again"}))
    assert values == toy_recipe(tmp_path, SHORT), "the dictionary is left alone"
    for name in ("final/model.safetensors", "best/model.safetensors"):
        assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert one.ledger["neg_elbo_nats"] == other.ledger["neg_elbo_nats"]
    assert {event["event"] for event in events} == {"note", "log", "validate", "sample", "progress", "ledger"}
    looks = [event for event in events if event["event"] == "sample"]
    assert [event["step"] for event in looks] == [3, 6]
    assert [len(looks[0][name]) for name in ("samples", "originals", "reconstructions")] == [3, 3, 3]
    before = fingerprint(one.folder)
    textlatent.run.train(values)
    assert fingerprint(one.folder) == before


def test_overrides_and_out(tmp_path: Path) -> None:
    run = train(toy_recipe(tmp_path, SHORT), overrides=["training.steps=2", "name=short"], out=tmp_path / "elsewhere")
    assert run.folder == tmp_path / "elsewhere" / "short"
    assert run.recipe.training.steps == 2
    assert run.metrics[-1]["step"] == 2


def test_a_yaml_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(toy_recipe(tmp_path, SHORT)))
    assert train(tmp_path / "mine.yaml", overrides=["training.steps=1"]).folder == tmp_path / "runs" / "toy"
    with pytest.raises(ValueError, match="there is no recipe .*yours.yaml"):
        train(tmp_path / "yours.yaml")


def test_final_is_the_last_step_where_nothing_was_eligible(tmp_path: Path) -> None:
    events: Events = []
    changes = {"objective": {"target_rate": 9.0}, "training": {"keep_checkpoints": 9}}
    run = train(toy_recipe(tmp_path, SHORT, changes), progress=events.append)
    assert any("no validation came within 10 % of the rate asked for" in note for note in _notes(events))
    assert not (run.folder / "best").exists()
    last = run.model_at("step-6").state_dict()
    assert all(torch.equal(tensor, last[name]) for name, tensor in run.model_at("final").state_dict().items())


def test_an_early_stop_is_told(tmp_path: Path) -> None:
    events: Events = []
    changes = {"training": {"steps": 60, "patience": 1, "validate_every": 1, "learning_rate": 0.3, "warmup_steps": 0}}
    run = train(toy_recipe(tmp_path, SHORT, changes), progress=events.append)
    (note,) = [note for note in _notes(events) if note.startswith("stopped early")]
    assert note == f"stopped early at step {run.metrics[-1]['step']}: 1 validations without a better one."
    assert run.metrics[-1]["step"] < 60


# --------------------------------------------------------------------------------------------------------- it goes on


class _Crash(Exception):
    pass


@pytest.mark.parametrize(("event", "step"), [("log", 1), ("validate", 3), ("sample", 6), ("ledger", None)])
def test_the_same_call_goes_on_after_a_crash(tmp_path: Path, event: str, step: int | None) -> None:
    """In training, between saving the best model and the checkpoint, after the last step, after the evaluation."""

    def progress(told: dict[str, Any]) -> None:
        if told["event"] == event and told.get("step") == step:
            raise _Crash

    whole, values = train(toy_recipe(tmp_path, SHORT, name="whole")), toy_recipe(tmp_path, SHORT, name="crashed")
    with pytest.raises(_Crash):
        train(values, progress=progress)
    run = train(values)
    assert fingerprint(run.folder) == fingerprint(whole.folder)
    assert (run.folder / "final" / "model.safetensors").read_bytes() == (
        whole.folder / "final" / "model.safetensors"
    ).read_bytes()
    assert run.ledger["iw_nll_nats"] == whole.ledger["iw_nll_nats"]


def test_a_line_cut_short_is_made_again(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, SHORT)
    run = train(values)
    before = [event["step"] for event in run.metrics]
    shutil.rmtree(run.folder / "checkpoints" / "step-6")
    text = (run.folder / "metrics.jsonl").read_text()
    (run.folder / "metrics.jsonl").write_text(text[:-40])
    train(values)
    after = [event["step"] for event in run.metrics]
    assert after == before == sorted(before)


def test_more_steps_continue(tmp_path: Path) -> None:
    events: Events = []
    train(toy_recipe(tmp_path, SHORT))
    run = train(toy_recipe(tmp_path, SHORT), overrides=["training.steps=9"], progress=events.append)
    assert "resumed from checkpoint step-6." in _notes(events)
    assert [event["step"] for event in run.metrics if event["event"] == "log"] == list(range(1, 10))
    assert run.recipe.training.steps == 9


def test_another_recipe_is_refused_with_its_keys(tmp_path: Path) -> None:
    train(toy_recipe(tmp_path, SHORT))
    changed = toy_recipe(tmp_path, SHORT, {"seed": 6, "training": {"learning_rate": 0.02, "log_every": 2}})
    with pytest.raises(
        ValueError, match=r"toy holds a run of another recipe: seed, training.learning_rate differ. Giv"
    ):
        train(changed)


def test_a_changed_corpus_is_refused(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, SHORT)
    train(values)
    with Path(values["data"]["path"]).open("a") as file:
        file.write(Path(values["data"]["path"]).read_text().splitlines()[7] + "\n")
    expected = r"sentences.tsv has changed since the run .*toy began: sha256 [0-9a-f]{12} then \(.*'train': 244"
    with pytest.raises(ValueError, match=expected):
        train(values)


def test_a_recipe_is_mended_in_place_until_there_is_a_checkpoint(tmp_path: Path) -> None:
    """The advice of a fault that is found late can be followed: another max_tokens, tokenizer, corpus or setting."""
    values = toy_recipe(tmp_path, SHORT)
    with pytest.raises(ValueError, match=r"tokens with EOS, over data.max_tokens 6 .*raise data.max_tokens"):
        train(merged(values, {"data": {"max_tokens": 6}}))
    with pytest.raises(ValueError, match="model.encoder.config.hidden_sizes: bert has no such setting"):
        train(merged(values, {"model": {"encoder": {"config": {"hidden_sizes": 3}}}}))
    with pytest.raises(ValueError, match="nothing to learn"):
        train(merged(values, {"tokenizer": {"vocabulary": 30}, "stages": [{"learn": ["prior"]}]}))
    run = train(values)
    fresh = train(merged(values, {"name": "fresh"}))
    assert fingerprint(run.folder) == fingerprint(fresh.folder), "no tokenizer of an earlier try stays"


# ------------------------------------------------------------------------------------------------------ from elsewhere


def test_start_from_another_run(trained: Run, tmp_path: Path) -> None:
    """What does not learn is the other run's to the bit; a run that has begun goes on from its own checkpoint."""
    events: Events = []
    model = trained.recipe.model.model_dump()
    changes = {"model": model, "stages": [{"learn": ["decoder"]}]}
    values = merged(toy_recipe(tmp_path, SHORT, changes), {"data": {"path": trained.recipe.data.path}})
    run = train(values, start=trained.folder, progress=events.append)
    assert f"started from the weights of {trained.folder}." in _notes(events)
    theirs, own = trained.model_at("final").state_dict(), run.model_at("final").state_dict()
    kept = [name for name in own if name.startswith(("encoder.", "prior."))]
    assert all(torch.equal(own[name], theirs[name]) for name in kept)
    assert not torch.equal(own["decoder.to_every.weight"], theirs["decoder.to_every.weight"])
    again: Events = []
    train(values, start=trained.folder, progress=again.append)
    assert not any("started from" in note for note in _notes(again))
    other = train(merged(values, {"name": "from-final"}), start=trained.folder / "final")
    assert fingerprint(other.folder) == fingerprint(run.folder), "a saved model is as good as its run"


def test_start_again_when_every_checkpoint_is_damaged(trained: Run, tmp_path: Path) -> None:
    changes = {"model": trained.recipe.model.model_dump(), "stages": [{"learn": ["decoder"]}]}
    values = merged(toy_recipe(tmp_path, SHORT, changes), {"data": {"path": trained.recipe.data.path}})
    run = train(values, start=trained.folder)
    before = fingerprint(run.folder)
    for state in (run.folder / "checkpoints").glob("*/state.json"):
        state.write_text("{}")
    events: Events = []
    train(values, start=trained.folder, progress=events.append)
    assert sum("is damaged: state.json does not match" in note for note in _notes(events)) == 2
    assert fingerprint(run.folder) == before


def test_a_start_with_another_tokenizer_is_refused(trained: Run, tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, SHORT, {"model": trained.recipe.model.model_dump(), "tokenizer": {"vocabulary": 30}})
    with pytest.raises(
        ValueError, match=r"cannot start from .*: its tokenizer is another, so the same number is another"
    ):
        train(values, start=trained.folder)


def test_a_start_of_another_shape_is_refused(trained: Run, tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, SHORT, {"model": {"latent_size": 5, "prior": "learned"}})
    with pytest.raises(
        ValueError, match=r"cannot start from .*: \d+ of \d+ tensors are missing or of another shape, fir"
    ):
        train(values, start=trained.folder)


# ------------------------------------------------------------------------------------------------------------ trackers


def test_tensorboard_writes_events(tmp_path: Path) -> None:
    run = train(toy_recipe(tmp_path, SHORT, {"training": {"trackers": ["tensorboard"]}}))
    written = b"".join(path.read_bytes() for path in run.folder.rglob("events.out.tfevents.*"))
    for name in (b"log/rate_nats", b"validate/neg_elbo_nats"):
        assert name in written


@pytest.mark.parametrize("method", ["store_init_configuration", "log", "finish"])
def test_a_failing_tracker_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    from accelerate.tracking import TensorBoardTracker

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("the network is gone")

    monkeypatch.setattr(TensorBoardTracker, method, fail)
    events: Events = []
    run = train(toy_recipe(tmp_path, SHORT, {"training": {"trackers": ["tensorboard"]}}), progress=events.append)
    failed = "a tracker failed (the network is gone); the run goes on without trackers."
    assert _notes(events).count(failed) == 1
    assert run.metrics[-1]["step"] == 6


# --------------------------------------------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 KiB, enough for one checkpoint of this model and not for three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_room_is_all_it_takes(tmp_path: Path, small_disk: Path) -> None:
    whole = train(toy_recipe(tmp_path, SHORT))
    values = toy_recipe(tmp_path, SHORT, {"out": str(small_disk)})
    with pytest.raises(
        ValueError, match=r"could not write .*: the disk is full.* make room, then run the same command"
    ):
        train(values)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    run = train(values)
    assert fingerprint(run.folder) == fingerprint(whole.folder)
    one, other = (load_file(each.folder / "final" / "model.safetensors") for each in (run, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("key", ["target_rate", "minimum_rate", "capacity"])
def test_the_figure_has_the_line_of_the_rate_asked_for(key: str, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["textlatent.run.train"]
    objective = trained.recipe.objective.model_copy(update={"beta": None, key: 3.0})
    run = SimpleNamespace(
        recipe=trained.recipe.model_copy(update={"objective": objective}),
        folder=trained.folder,
        metrics=trained.metrics,
    )
    drawn: list[Any] = []
    monkeypatch.setattr(module, "write_card", lambda *_: None)
    monkeypatch.setattr(module, "_write_samples", lambda *_: None)
    monkeypatch.setattr(module, "save_run_figure", lambda path, figure: drawn.append(figure))
    module._keep(run, trained.ledger)  # type: ignore[attr-defined]
    lines = [line.get_ydata() for line in drawn[0].axes[1].get_lines()]
    assert any(list(line) == [3.0, 3.0] for line in lines)
