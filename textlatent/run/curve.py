"""curve: one recipe trained to several rates, betas or codebooks: a run for each, and what they are together."""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from textlatent.diagnostics.curve import Curve
from textlatent.diagnostics.point import QUANTITIES, Point
from textlatent.nats.montecarlo import Estimate
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.report.curve import curve_figure
from textlatent.report.plots import save_run_figure
from textlatent.run.baseline import baseline_recipe
from textlatent.run.corpus import build_corpus
from textlatent.run.curve_beside import check_beside, folders_beside, point_of, read_beside
from textlatent.run.curve_plan import Axis, Job, plan, refuse_others, what_is_swept
from textlatent.run.folder import Run
from textlatent.run.recipes import find_recipe
from textlatent.run.train import train
from textlatent.training.checkpoint import write_text
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]


def curve(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    rates: Sequence[float] | None = None,
    betas: Sequence[float] | None = None,
    codes: Sequence[int] | None = None,
    positions: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    baseline: bool = True,
    beside: Sequence[str | Path | Run] = (),
    progress: Progress | None = None,
) -> Curve:
    """The rate-distortion curve of a recipe: a run for each rate, beta or codebook, and one of the language model.

    Every point is a run of its own in OUT/NAME/points/, resumed where it was stopped and not trained again once it is
    finished. After each one OUT/NAME/curve.json and curve.png are written anew.

    Args:
        recipe: a YAML file, the name of one that comes along, the values themselves, or a Recipe.
        rates: the target rates, nats per sentence; this, `betas`, or `codes` and `positions`. They take the place of
            the last stage's beta, schedule and target.
        betas: the weights of the rate; a schedule of the recipe then leads to each of them.
        codes: K of the codebook, for a recipe with codes; every K with every P, and the recipe's own where only the
            other is given.
        positions: P, codes of a sentence.
        seeds: every point is trained with each; the recipe's own if not given.
        overrides: "training.steps=500", ...
        out: the folder that holds runs; the recipe's `out` if not given.
        baseline: also the language model without z, the curve's end at rate 0, with the first seed.
        beside: finished runs, or folders of other sweeps, to lay beside it: other families of models on the same
            sentences of the same corpus. They are read, not trained.
        progress: called with every event of every run ("point" names it), and with {"event": "point", "point",
            "number", "of", "finished", "seconds_left"} before each and {"event": "point_done", ..., "rate_nats", ...}
            after; a note that several runs share is told once.

    Raises:
        ValueError: a fault in what was asked or in the recipe; a point's folder that holds a run of another recipe.
        TrainingStopped: SIGTERM came; the same call goes on from there.
    """
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    base = load_recipe(path, overrides)
    found = folders_beside(beside)
    least = 1 if found else 2
    axis, values = what_is_swept(base, rates=rates, betas=betas, codes=codes, positions=positions, least=least)
    if found:
        check_beside(found, corpus=build_corpus(base.data).sha256, split=base.evaluation.split)
    folder = Path(out or base.out) / base.name
    jobs = plan(base, axis=axis, values=values, seeds=[base.seed] if seeds is None else seeds, folder=folder)
    if baseline:
        first = base.seed if seeds is None else seeds[0]
        jobs.insert(0, Job(_language_model(base, seed=first, out=folder / "points"), None))
    refuse_others(jobs)
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
        drawn = _gather(base.name, axis, jobs[: i + 1], left=jobs[i + 1 :], folder=folder, beside=found)
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


def _language_model(recipe: Recipe, *, seed: int, out: Path) -> Recipe:
    """The recipe of the same decoder trained without z, as a point of the curve."""
    return baseline_recipe(recipe, out=out).model_copy(update={"name": "lm", "seed": seed})


def _gather(name: str, axis: Axis, done: list[Job], *, left: list[Job], folder: Path, beside: list[Path]) -> Curve:
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
        beside=read_beside(beside, sentences=ledger["sentences"]),
    )


def _read(job: Job) -> Point:
    """The point of a finished job."""
    return point_of(Run(job.folder), name=job.name, asked=job.asked, label=job.label)


def _write(drawn: Curve, folder: Path) -> None:
    """curve.json and curve.png of the sweep so far."""
    write_text(folder / "curve.json", json.dumps(drawn.to_dict(), indent=1))
    if drawn.points:
        save_run_figure(folder / "curve.png", curve_figure(drawn))
