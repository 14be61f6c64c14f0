"""What a rank does in the tests of resuming, and what must be equal afterwards, bit for bit."""

import json
import shutil
from pathlib import Path
from typing import Any

from accelerate import PartialState

from tests.toy_run import merged, toy_trainer

CLOCK = ("seconds", "tokens_per_second", "sentences_per_second")
"""What differs between two equal runs."""


def without_clock(values: Any) -> Any:
    """The same values without those that a clock measured."""
    if isinstance(values, dict):
        return {key: without_clock(value) for key, value in values.items() if key not in CLOCK}
    return [without_clock(value) for value in values] if isinstance(values, list) else values


def fingerprint(run: Path) -> dict[str, Any]:
    """All that a training leaves: hashes of weights and moments, the state, the best model, every event."""
    newest = max((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    hashes = json.loads((newest / "manifest.json").read_text())
    best = json.loads((run / "best" / "manifest.json").read_text()) if (run / "best").exists() else {}
    return {
        "step": newest.name,
        "weights": hashes["model.safetensors"],
        "moments": hashes["optimizer.safetensors"],
        "state": without_clock(json.loads((newest / "state.json").read_text())),
        "best": best.get("model.safetensors"),
        "events": [without_clock(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()],
    }


def from_every_step(values: dict[str, Any], steps: int) -> list[dict[str, Any]]:
    """Fingerprints: of a run left alone, then of one killed after 0, 1, .. steps and started again."""
    whole = _train(merged(values, {"name": "whole"}))
    found = [fingerprint(whole)]
    for stop in range(steps + 1):
        again = merged(values, {"name": f"stopped-{stop}"})
        if PartialState().is_main_process:
            _leave_after(stop, whole, whole.parent / again["name"])
        PartialState().wait_for_everyone()
        found.append(fingerprint(_train(again)))
    return found


def _train(values: dict[str, Any]) -> Path:
    trainer = toy_trainer(values)
    trainer.fit()
    return trainer.folder


def _leave_after(stop: int, whole: Path, run: Path) -> None:
    """A copy of a run as a kill after `stop` steps would have left it, with events that were not saved."""
    shutil.copytree(whole, run)
    for path in (run / "checkpoints").glob("step-*"):
        if int(path.name[5:]) > stop:
            shutil.rmtree(path)
