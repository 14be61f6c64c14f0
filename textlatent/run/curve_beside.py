"""Finished runs, and sweeps of other recipes, as points to lay beside a sweep: on the same sentences, or refused."""

import json
from collections.abc import Sequence
from pathlib import Path

from textlatent.diagnostics.point import GAUSSIAN, Point, read_point
from textlatent.run.curve_plan import codes_label
from textlatent.run.folder import Run


def folders_beside(given: Sequence[str | Path | Run]) -> list[Path]:
    """The runs that are meant: a run's folder is itself, a sweep's is all its finished points.

    Raises:
        ValueError: a folder that is neither, a sweep without a finished point, or a run named twice.
    """
    found: list[Path] = []
    for each in given:
        folder = each.folder if isinstance(each, Run) else Path(each)
        if not (folder / "curve.json").is_file():
            found.append(Run(folder).folder)
            continue
        rows = json.loads((folder / "curve.json").read_text(encoding="utf-8"))["points"]
        if not rows:
            raise ValueError(f"{folder} is a sweep without a finished point; run its `textlatent curve` first.")
        found += [folder / "points" / row["name"] for row in rows]
    whole = [folder.resolve() for folder in found]
    if twice := [str(folder) for i, folder in enumerate(whole) if folder in whole[:i]]:
        raise ValueError(f"{twice[0]} is given twice; lay each run beside the curve once.")
    return found


def check_beside(folders: Sequence[Path], *, corpus: str, split: str) -> None:
    """Refuse runs whose ledgers are of other sentences, before anything is trained.

    Args:
        folders: of the runs.
        corpus: sha256 of the sweep's.
        split: that the sweep is evaluated on.

    Raises:
        ValueError: one that has not been evaluated, or on another corpus or split.
    """
    for folder in folders:
        ledger = Run(folder).ledger
        if ledger["corpus"]["sha256"] != corpus:
            raise ValueError(f"{folder} cannot lie beside this curve: its ledger is of another corpus.")
        if ledger["split"] != split:
            raise ValueError(
                f"{folder} cannot lie beside this curve: its ledger is of {ledger['split']}, the curve's of {split}; "
                f"run `textlatent evaluate {folder} --split {split}`."
            )


def read_beside(folders: Sequence[Path], *, sentences: int) -> tuple[Point, ...]:
    """Their points, each named by its run.

    Raises:
        ValueError: a ledger of another number of sentences, or without a rate.
    """
    points = []
    for folder in folders:
        run = Run(folder)
        if (own := run.ledger["sentences"]) != sentences:
            raise ValueError(
                f"{folder} cannot lie beside this curve: its ledger is of {own:,} sentences, the curve's of "
                f"{sentences:,}; run `textlatent evaluate {folder} --sentences {sentences}`."
            )
        name = run.recipe.name
        coded = run.recipe.model.type != GAUSSIAN
        label = codes_label(run.recipe) if coded else name.removesuffix(f"-seed-{run.recipe.seed}")
        points.append(point_of(run, name=name, label=label or name))
    return tuple(points)


def point_of(run: Run, *, name: str, asked: float | None = None, label: str = "") -> Point:
    """The point of a finished run; its beta is that of the last log line at or before the step of its model."""
    logs = [event for event in run.metrics if event["event"] == "log"]
    best = [event["step"] for event in run.metrics if event["event"] == "validate" and event["best"]]
    last_stage = [event for event in logs if event["stage"] == logs[-1]["stage"]]
    step = best[-1] if best and best[-1] >= last_stage[0]["step"] else logs[-1]["step"]
    at = [event for event in last_stage if event["step"] <= step] or last_stage[:1]
    return read_point(
        run.ledger,
        name=name,
        asked=asked,
        seed=run.recipe.seed,
        beta=at[-1]["beta"],
        seconds=logs[-1]["seconds"],
        folder=str(run.folder),
        family=run.recipe.model.type,
        label=label,
    )
