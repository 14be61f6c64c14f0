"""What happened, told to metrics.jsonl, to accelerate's trackers and to whoever watches."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from textlatent.training.checkpoint import writing


class Journal:
    """Events of a run; the main process alone writes.

    Args:
        path: metrics.jsonl.
        accelerator: knows the trackers.
        progress: called with every event.
    """

    def __init__(self, path: Path, *, accelerator: Accelerator, progress: Callable[[dict[str, Any]], None]) -> None:
        self.path = path
        self.accelerator = accelerator
        self.progress = progress
        self.tracking = True

    def write(self, event: dict[str, Any]) -> None:
        """Record an event; its numbers go to the trackers too. A tracker that fails is reported and left out.

        A number that is not finite (the standard error of one sentence) is null: JSON has no NaN.
        """
        if not self.accelerator.is_main_process:
            return
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in event.items()}
        with writing(self.path), self.path.open("a") as file:
            file.write(json.dumps(finite, allow_nan=False) + "\n")
        self.progress(event)
        if event["event"] in ("log", "validate") and self.tracking:
            numbers = {f"{event['event']}/{k}": v for k, v in event.items() if isinstance(v, float)}
            try:
                self.accelerator.log(numbers, step=event["step"])
            except Exception as error:
                self.tracking = False
                self.notes([f"a tracker failed ({error}); the run goes on without trackers."])

    def notes(self, texts: list[str]) -> None:
        """Sentences for the person who watches; not recorded."""
        if self.accelerator.is_main_process:
            for text in texts:
                self.progress({"event": "note", "text": text})

    def forget_after(self, step: int) -> None:
        """Drop the events after a step (a resumed run makes them again), and a line cut short by a kill."""
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:
                continue
        temporary = self.path.with_suffix(".writing")
        temporary.write_text("".join(kept))
        os.replace(temporary, self.path)
