"""curve: one recipe trained to several rates, or at several beta: a run for each, and what they are together."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textlatent.diagnostics.curve import QUANTITIES, Curve, Point, read_point
from textlatent.nats.montecarlo import Estimate
from textlatent.recipe.dump import as_values, differing_keys, dump_recipe
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.report.curve import curve_figure
from textlatent.report.plots import save_run_figure
from textlatent.run.baseline import baseline_recipe
from textlatent.run.folder import Run
from textlatent.run.recipes import find_recipe
from textlatent.run.train import train
from textlatent.training.checkpoint import write_text
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]
Axis = Literal["target_rate", "beta"]


@dataclass(frozen=True)
class _Job:
    """A point to train: its recipe, and the value it was asked for (None: the language model without z)."""

    recipe: Recipe
    asked: float | None

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def folder(self) -> Path:
        return Path(self.recipe.out) / self.name

    def is_finished(self) -> bool:
        """Whether the folder holds this very recipe, trained, and the ledger is the one that training ended with."""
        mark, ledger = self.folder / "point.json", self.folder / "ledger.json"
        return mark.exists() and ledger.exists() and json.loads(mark.read_text()) == self._mark()

    def finish(self) -> None:
        write_text(self.folder / "point.json", json.dumps(self._mark()))

    def _mark(self) -> dict[str, str]:
        recipe = dump_recipe(self.recipe.model_copy(update={"out": ""}))  # a folder may be moved
        texts = {"recipe": recipe.encode(), "ledger": (self.folder / "ledger.json").read_bytes()}
        return {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}


def curve(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    rates: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    baseline: bool = True,
    progress: Progress | None = None,
) -> Curve:
    """The rate-distortion curve of a recipe: a run for each rate (or beta) and seed, and one of the language model.

    Every point is a run of its own in OUT/NAME/points/, resumed where it was stopped and not trained again once it is
    finished. After each one OUT/NAME/curve.json and curve.png are written anew.

    Args:
        recipe: a YAML file, the name of one that comes along, the values themselves, or a Recipe.
        rates: the target rates, nats per sentence; this or `betas`. They take the place of the last stage's beta,
            schedule and target.
        betas: the weights of the rate; a schedule of the recipe then leads to each of them.
        seeds: every point is trained with each; the recipe's own if not given.
        overrides: "training.steps=500", ...
        out: the folder that holds runs; the recipe's `out` if not given.
        baseline: also the language model without z, the curve's end at rate 0, with the first seed.
        progress: called with every event of every run ("point" names it), and with {"event": "point", "point",
            "number", "of", "finished", "seconds_left"} before each and {"event": "point_done", ..., "rate_nats", ...}
            after; a note that several runs share is told once.

    Raises:
        ValueError: a fault in what was asked or in the recipe; a point's folder that holds a run of another recipe.
        TrainingStopped: SIGTERM came; the same call goes on from there.
    """
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    base = load_recipe(path, overrides)
    axis, values = _asked(rates, betas)
    folder = Path(out or base.out) / base.name
    jobs = _plan(base, axis=axis, values=values, seeds=[base.seed] if seeds is None else seeds, folder=folder)
    if baseline:
        first = base.seed if seeds is None else seeds[0]
        jobs.insert(0, _Job(_language_model(base, seed=first, out=folder / "points"), None))
    _refuse_others(jobs)
    tell = progress or (lambda event: None)
    finished = [job.is_finished() for job in jobs]  # every process has looked before one of them writes
    clock, told = _Clock(finished), set[str]()
    for i, job in enumerate(jobs):
        place = {"point": job.name, "number": i + 1, "of": len(jobs)}
        tell({"event": "point", "finished": finished[i], "seconds_left": clock.left(i), **place})
        if not finished[i]:
            with clock:
                train(job.recipe, progress=_named(tell, job.name, told))
        if launch().is_main_process:
            job.finish()
        drawn = _gather(base.name, axis, jobs[: i + 1], left=jobs[i + 1 :], folder=folder)
        if launch().is_main_process:
            _write(drawn, folder)
        tell({"event": "point_done", "finished": finished[i], **place, **_numbers(_read(job))})
    return drawn


class _Clock:
    """How long the points that are left will take, by the mean of those trained so far."""

    def __init__(self, finished: Sequence[bool]) -> None:
        self.finished = finished
        self.seconds: list[float] = []
        self.started = 0.0

    def left(self, i: int) -> float | None:
        """Seconds from before point i; None before there is a measure."""
        return sum(self.seconds) / len(self.seconds) * self.finished[i:].count(False) if self.seconds else None

    def __enter__(self) -> None:
        self.started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds.append(time.perf_counter() - self.started)


def _named(tell: Progress, point: str, told: set[str]) -> Progress:
    """The same listener, told which point an event is of, and of what all runs note but once."""

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "note":
            if event["text"] in told:
                return
            told.add(event["text"])
        tell(event | {"point": point})

    return hear


def _numbers(point: Point) -> dict[str, float]:
    return {f"{name}_nats": getattr(point, name).value for name in QUANTITIES}


def _asked(rates: Sequence[float] | None, betas: Sequence[float] | None) -> tuple[Axis, list[float]]:
    """What is swept, and over which values.

    Raises:
        ValueError: not exactly one of the two, no value, one twice, or one that no model can be asked for.
    """
    if (rates is None) == (betas is None):
        raise ValueError("a curve is drawn over rates or over betas: give one of the two, as in rates=[1, 2, 4, 8].")
    axis: Axis = "beta" if rates is None else "target_rate"
    name, values = ("betas", betas) if rates is None else ("rates", rates)
    values = [float(value) for value in values or ()]
    if len(values) < 2 or len({f"{value:g}" for value in values}) < len(values):
        raise ValueError(f"a curve needs two or more {name}, each once, got {values}.")
    if wrong := [value for value in values if not 0 < value < float("inf")]:
        raise ValueError(f"{name} must be above 0, got {wrong[0]:g}; the language model without z is drawn anyway.")
    return axis, values


def _plan(recipe: Recipe, *, axis: Axis, values: Sequence[float], seeds: Sequence[int], folder: Path) -> list[_Job]:
    """The points to train, seed after seed within each value: the recipe with another objective, seed and name.

    Raises:
        ValueError: seeds that are none, given twice or below 0, or a recipe that such an objective does not suit.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be one or more whole numbers, each once, got {list(seeds)}.")
    short = {"target_rate": "rate", "beta": "beta"}[axis]
    jobs = []
    for value in values:
        for seed in seeds:
            changed = _with_objective(as_values(recipe), axis, value)
            name = f"{short}-{value:g}-seed-{seed}".replace("+", "")
            jobs.append(_Job(load_recipe(changed | {"name": name, "seed": seed, "out": str(folder / "points")}), value))
    return jobs


def _with_objective(values: dict[str, Any], axis: Axis, value: float) -> dict[str, Any]:
    """The recipe's values with another aim: of the whole training, or of its last stage where there are several.

    A schedule says how beta comes to a value that is given; a target rate finds it, from `beta_start`.
    """
    target = (values["stages"][-1]["objective"].get("target_rate") or values["objective"]["target_rate"]) is not None
    if axis == "target_rate":
        aim: dict[str, Any] = {"beta": None, "schedule": "constant", "schedule_steps": None, "target_rate": value}
    else:
        aim = {"beta": value, "target_rate": None}
    if target is not (axis == "target_rate"):  # beta_start was a schedule's and would be a target's, or the reverse
        aim["beta_start"] = None
    last = values["stages"][-1]
    last["objective"] = {key: kept for key, kept in last["objective"].items() if key not in aim}
    if len(values["stages"]) > 1:
        last["objective"] |= aim
    else:
        values["objective"] |= aim
    return values


def _language_model(recipe: Recipe, *, seed: int, out: Path) -> Recipe:
    """The recipe of the same decoder trained without z, as a point of the curve."""
    return baseline_recipe(recipe, out=out).model_copy(update={"name": "lm", "seed": seed})


def _refuse_others(jobs: Sequence[_Job]) -> None:
    """Say before anything is trained that a point's folder holds a run of another recipe.

    Raises:
        ValueError: one does.
    """
    for job in jobs:
        begun = (job.folder / "recipe.yaml").exists() and any((job.folder / "checkpoints").glob("*step-*"))
        if begun and (different := differing_keys(Run(job.folder).recipe, job.recipe)):
            raise ValueError(
                f"{job.folder} holds a run of another recipe: {', '.join(different)} differ. Give this recipe another "
                "name, or delete the folder to begin anew."
            )


def _gather(name: str, axis: Axis, done: list[_Job], *, left: list[_Job], folder: Path) -> Curve:
    """The curve of the finished points."""
    ledger = Run(done[0].folder).ledger
    exact = ledger["exact_entropy_nats"]
    here = exact.get("these_sentences")
    return Curve(
        name=name,
        axis=axis,
        points=tuple(_read(job) for job in done if job.asked is not None),
        baseline=next((_read(job) for job in done if job.asked is None), None),
        exact_entropy=exact["value"],
        exact_here=Estimate(here["value"], here["se"] or float("nan"), ledger["sentences"]) if here else None,
        split=ledger["split"],
        left=tuple(job.name for job in left),
        folder=str(folder),
    )


def _read(job: _Job) -> Point:
    """The point of a finished job; its beta is that of the last log line at or before the step of its model."""
    run = Run(job.folder)
    logs = [event for event in run.metrics if event["event"] == "log"]
    best = [event["step"] for event in run.metrics if event["event"] == "validate" and event["best"]]
    last_stage = [event for event in logs if event["stage"] == logs[-1]["stage"]]
    step = best[-1] if best and best[-1] >= last_stage[0]["step"] else logs[-1]["step"]
    at = [event for event in last_stage if event["step"] <= step] or last_stage[:1]
    return read_point(
        run.ledger,
        name=job.name,
        asked=job.asked,
        seed=job.recipe.seed,
        beta=at[-1]["beta"],
        seconds=logs[-1]["seconds"],
        folder=str(job.folder),
    )


def _write(drawn: Curve, folder: Path) -> None:
    """curve.json and curve.png of the sweep so far."""
    write_text(folder / "curve.json", json.dumps(drawn.to_dict(), indent=1))
    if drawn.points:
        save_run_figure(folder / "curve.png", curve_figure(drawn))
