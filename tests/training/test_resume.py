"""A run stopped anywhere and started again by the same command is the run that was left alone, bit for bit."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Job, Processes
from tests.toy_run import merged, toy_recipe, toy_trainer
from tests.training.resume import fingerprint

AHEAD = {"aggressive": True, "encoder_updates": 3, "encoder_window": 1}
HARD: dict[str, Any] = {
    "model": {"prior": "learned", "encoder": {"log_variance_bias": -1.0}},
    "objective": {"target_rate": 2.0, "free_nats": 0.05, "free_nats_on": "batch_dimension"},
    "training": {"tokens_per_step": 900, "log_every": 3, "validate_every": 4, "save_every": 1, "keep_checkpoints": 99},
    "stages": [
        {"name": "decoder first", "steps": 5, "learn": ["decoder"], "objective": {"target_rate": 3.0}},
        {"name": "all, a new encoder", "steps": 6, "reset": ["encoder"], **AHEAD},
    ],
}
"""Dropout, epochs of three steps, two stages of which one resets and lets the encoder run ahead, running averages of
the floor and the target."""


@pytest.mark.parametrize("world", [1, 2])
def test_from_every_step_on(tmp_path: Path, processes: Processes, world: int) -> None:
    values = toy_recipe(tmp_path, HARD)
    whole, *stopped = processes.run(
        "tests.training.resume:from_every_step", values, 11, world=world, folder=tmp_path / "job"
    )[0]
    assert whole["step"] == "step-11"
    assert [event["step"] for event in whole["events"] if event["event"] == "log"] == [3, 5, 6, 9, 11]
    assert [event["step"] for event in whole["events"] if event["event"] == "validate"] == [4, 5, 8, 11]
    assert whole["state"]["epoch"] > 2
    assert sum(event.get("encoder_updates", 0) for event in whole["events"]) > 6, "the encoder ran ahead"
    for steps, again in enumerate(stopped):
        assert again == whole, f"stopped after {steps} steps"


class _Crash(Exception):
    pass


def _crash_at(step: int, event: str) -> Any:
    def progress(told: dict[str, Any]) -> None:
        if told.get("step") == step and told["event"] == event:
            raise _Crash

    return progress


@pytest.mark.parametrize(("step", "event"), [(2, "log"), (5, "log"), (6, "validate"), (8, "log")])
def test_a_crash_between_two_checkpoints(tmp_path: Path, step: int, event: str) -> None:
    """The steps since the last checkpoint are done again, the averages of a log line included."""
    changes = {"training": {"steps": 9, "save_every": 4, "log_every": 1, "validate_every": 3, "sample_every": 0}}
    whole = toy_trainer(toy_recipe(tmp_path, changes, name="whole"))
    whole.fit()
    values = toy_recipe(tmp_path, changes, name="crashed")
    with pytest.raises(_Crash):
        toy_trainer(values, progress=_crash_at(step, event)).fit()
    again = toy_trainer(values)
    again.fit()
    assert fingerprint(again.folder) == fingerprint(whole.folder)


def test_best_is_never_newer_than_the_newest_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its step is saved first; a kill between the two is mended when the run goes on."""
    changes = {"training": {"steps": 6, "save_every": 6, "validate_every": 2, "log_every": 1, "sample_every": 0}}
    whole = toy_trainer(toy_recipe(tmp_path, changes, name="whole"))
    whole.fit()
    assert whole.position.best_step is not None
    values = toy_recipe(tmp_path, changes, name="killed")
    killed = toy_trainer(values)

    def kill() -> None:
        assert killed.checkpoints.steps()[0] == killed.position.best_step == killed.position.step
        raise _Crash

    monkeypatch.setattr(killed, "_save_best", kill)
    with pytest.raises(_Crash):
        killed.fit()
    assert not (killed.folder / "best").exists()
    again = toy_trainer(merged(values, {"training": {"steps": killed.position.step}}))
    again.fit()
    saved = json.loads((again.folder / "best" / "manifest.json").read_text())["model.safetensors"]
    toy_trainer(values).fit()
    assert fingerprint(again.folder) == fingerprint(whole.folder)
    assert saved, "what was best was written when the run went on"


@pytest.mark.parametrize("log_every", [2, 5])
def test_more_steps_go_on(tmp_path: Path, log_every: int) -> None:
    """With a constant step size, and a validation where the shorter run ended, it is the longer run."""
    training = {"scheduler": "constant", "validate_every": 3, "sample_every": 0, "log_every": log_every}
    longer = {"training": {**training, "steps": 12}}
    whole = toy_trainer(toy_recipe(tmp_path, longer, name="whole"))
    whole.fit()
    toy_trainer(toy_recipe(tmp_path, longer, {"training": {"steps": 6}}, name="extended")).fit()
    extended = toy_trainer(toy_recipe(tmp_path, longer, name="extended"))
    extended.fit()
    one, other = fingerprint(extended.folder), fingerprint(whole.folder)
    for name in ("step", "weights", "moments", "best", "state"):
        assert one[name] == other[name], name
    assert extended.position.step == 12


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, {"training": {"steps": 4}})
    toy_trainer(values).fit()
    events: list[dict[str, Any]] = []
    again = toy_trainer(values, progress=events.append)
    before = fingerprint(again.folder)
    again.fit()
    assert fingerprint(again.folder) == before
    assert [event["text"] for event in events] == ["resumed from checkpoint step-4."]


def test_a_damaged_checkpoint_is_said_and_the_one_before_it_resumed(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path, {"training": {"steps": 6, "save_every": 2, "keep_checkpoints": 3, "log_every": 1}})
    trainer = toy_trainer(values)
    trainer.fit()
    before = fingerprint(trainer.folder)
    weights = trainer.folder / "checkpoints" / "step-6" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    events: list[dict[str, Any]] = []
    toy_trainer(values, progress=events.append).fit()
    assert [event["text"] for event in events[:2]] == [
        "checkpoint step-6 is damaged: model.safetensors does not match its sha256; set aside as damaged-step-6.",
        "resumed from checkpoint step-4.",
    ]
    assert fingerprint(trainer.folder) == before


# ---------------------------------------------------------------------------------------------------- by signals

LONG: dict[str, Any] = {
    "training": {"steps": 30, "log_every": 1, "validate_every": 15, "sample_every": 0, "save_every": 10},
    "evaluation": {"samples": 2, "sentences": 5},
}


def _write(folder: Path, values: dict[str, Any]) -> str:
    path = folder / f"{values['name']}.yaml"
    path.write_text(json.dumps(values))
    return str(path)


def _wait_for(run: Path, step: int, job: Job) -> None:
    """Until the run has logged a step."""
    metrics, deadline = run / "metrics.jsonl", time.monotonic() + 600
    while f'"step": {step},' not in (metrics.read_text() if metrics.exists() else ""):
        assert time.monotonic() < deadline, job.errors()
        time.sleep(0.005)


def _steps_logged(run: Path) -> int:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return max(json.loads(line)["step"] for line in lines)


@pytest.mark.parametrize(("world", "rank"), [(1, 0), (2, 0), (2, 1)])
def test_sigterm_saves_within_a_step(tmp_path: Path, processes: Processes, world: int, rank: int) -> None:
    """Sent to one rank alone, all of them stop together; the same command goes on to the same end."""
    command = ("tests.processes:train",)
    whole = processes.start(
        *command, _write(tmp_path, toy_recipe(tmp_path, LONG, name="whole")), world=world, folder=tmp_path / "job-0"
    )
    assert whole.wait() == [0] * world
    values = toy_recipe(tmp_path, LONG, name="stopped")
    recipe, run = _write(tmp_path, values), tmp_path / "runs" / "stopped"
    job = processes.start(*command, recipe, world=world, folder=tmp_path / "job-1")
    _wait_for(run, 7, job)
    job.kill(signal.SIGTERM, ranks=[rank])
    at = _steps_logged(run)
    assert job.wait() == [143] * world, job.errors()
    saved = max(int(path.name[5:]) for path in (run / "checkpoints").glob("step-*"))
    assert at <= saved <= at + 2, "the step under way when the signal came, or the one after it"
    assert saved == _steps_logged(run)
    assert f"SIGTERM: saved checkpoint step-{saved}; the same command goes on from it." in job.output()
    assert job.errors() == ""

    job = processes.start(*command, recipe, world=world, folder=tmp_path / "job-2")
    assert job.wait() == [0] * world, job.errors()
    assert f"resumed from checkpoint step-{saved}." in job.output()
    assert fingerprint(run) == fingerprint(tmp_path / "runs" / "whole")
    final = (run / "final" / "model.safetensors").read_bytes()
    assert final == (tmp_path / "runs" / "whole" / "final" / "model.safetensors").read_bytes()


def test_another_number_of_processes_goes_on_with_the_same_sentences(tmp_path: Path, processes: Processes) -> None:
    """Not to the bit (dropout is another), but from the same place: order and counts are the run's own."""
    values = toy_recipe(tmp_path, LONG, {"training": {"steps": 12, "save_every": 6, "scheduler": "constant"}})
    half = merged(values, {"training": {"steps": 6}})
    for world, recipe in ((1, half), (2, values)):
        job = processes.start("tests.processes:train", _write(tmp_path, recipe), world=world, folder=tmp_path / "job")
        assert job.wait() == [0] * world, job.errors()
    whole = toy_trainer(merged(values, {"name": "whole"}))
    whole.fit()
    state = json.loads((tmp_path / "runs" / "toy" / "checkpoints" / "step-12" / "state.json").read_text())
    assert (state["tokens"], state["epoch"], state["epoch_step"]) == (
        whole.position.tokens,
        whole.position.epoch,
        whole.position.epoch_step,
    )
