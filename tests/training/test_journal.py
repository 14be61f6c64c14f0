"""Events, line by line; what a kill cut short; trackers that fail."""

import errno
import json
import math
from pathlib import Path
from typing import Any

import pytest
from accelerate import Accelerator

from textlatent.training.checkpoint import CheckpointError
from textlatent.training.journal import Journal
from textlatent.training.launch import launch


class _Accelerator:
    """An Accelerator whose tracker remembers, or fails."""

    def __init__(self, *, main: bool = True, fails: bool = False) -> None:
        self.is_main_process = main
        self.fails = fails
        self.logged: list[tuple[int, dict[str, float]]] = []

    def log(self, numbers: dict[str, float], step: int) -> None:
        if self.fails:
            raise ConnectionError("no network")
        self.logged.append((step, numbers))


def _journal(folder: Path, accelerator: Any) -> tuple[Journal, list[dict[str, Any]]]:
    told: list[dict[str, Any]] = []
    return Journal(folder / "metrics.jsonl", accelerator=accelerator, progress=told.append), told


def _log(step: int, **numbers: Any) -> dict[str, Any]:
    return {"event": "log", "step": step, **numbers}


def test_an_event_is_written_told_and_tracked(tmp_path: Path) -> None:
    accelerator = _Accelerator()
    journal, told = _journal(tmp_path, accelerator)
    events = [_log(1, rate_nats=0.1 + 0.2, stage="a"), {"event": "sample", "step": 2, "samples": ["\u2028 \x00 é"]}]
    for event in events:
        journal.write(event)
    lines = (tmp_path / "metrics.jsonl").read_text().split("\n")
    assert [json.loads(line) for line in lines[:-1]] == events == told
    assert lines[-1] == ""
    assert accelerator.logged == [(1, {"log/rate_nats": 0.1 + 0.2})], "numbers alone, of logs and validations alone"


def test_the_other_processes_write_nothing(tmp_path: Path) -> None:
    journal, told = _journal(tmp_path, _Accelerator(main=False))
    journal.write(_log(1))
    journal.notes(["a"])
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_finite_is_null_in_the_file(tmp_path: Path) -> None:
    """The standard error of a validation split of one sentence; strict JSON readers know no NaN."""
    journal, told = _journal(tmp_path, _Accelerator())
    journal.write(_log(1, rate_nats_se=math.nan, rate_nats=1.0))
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == _log(1, rate_nats_se=None, rate_nats=1.0)
    assert math.isnan(told[0]["rate_nats_se"])


def test_a_tracker_that_fails_is_told_once_and_left_out(tmp_path: Path) -> None:
    accelerator = _Accelerator(fails=True)
    journal, told = _journal(tmp_path, accelerator)
    for step in (1, 2, 3):
        journal.write(_log(step, rate_nats=1.0))
    notes = [event["text"] for event in told if event["event"] == "note"]
    assert notes == ["a tracker failed (no network); the run goes on without trackers."]
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 3


def test_tensorboard_gets_its_numbers(tmp_path: Path) -> None:
    accelerator: Accelerator = launch(trackers=["tensorboard"], folder=tmp_path)
    accelerator.init_trackers("textlatent", config={"recipe": "name: x"})
    journal, told = _journal(tmp_path, accelerator)
    journal.write(_log(7, rate_nats=1.5))
    for tracker in accelerator.trackers:
        tracker.finish()
    assert [event["event"] for event in told] == ["log"], "no failure was told"
    files = list(tmp_path.rglob("events.out.tfevents.*"))
    assert any(b"log/rate_nats" in path.read_bytes() for path in files)


@pytest.mark.parametrize("cut", ['{"event": "log", "st', "", "\x00\x00\x00", '{"event": "log", "step": 3'])
def test_events_after_the_checkpoint_and_half_lines_are_forgotten(tmp_path: Path, cut: str) -> None:
    journal, _ = _journal(tmp_path, _Accelerator())
    for step in (1, 2, 3, 3, 4):
        journal.write(_log(step))
    with journal.path.open("a") as file:
        file.write(cut)
    journal.forget_after(3)
    journal.write(_log(4))
    steps = [json.loads(line)["step"] for line in journal.path.read_text().splitlines()]
    assert steps == [1, 2, 3, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_whole_line_without_its_end_is_kept(tmp_path: Path) -> None:
    journal, _ = _journal(tmp_path, _Accelerator())
    journal.path.write_text(json.dumps(_log(1)) + "\n" + json.dumps(_log(2)))
    journal.forget_after(2)
    journal.write(_log(3))
    assert [json.loads(line)["step"] for line in journal.path.read_text().splitlines()] == [1, 2, 3]


def test_nothing_to_forget(tmp_path: Path) -> None:
    journal, _ = _journal(tmp_path, _Accelerator())
    journal.forget_after(5)
    assert not journal.path.exists()


def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = _journal(tmp_path, _Accelerator())

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(CheckpointError, match=r"could not write .*metrics.jsonl: the disk is full.* make room"):
        journal.write(_log(1))
