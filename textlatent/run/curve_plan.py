"""What a sweep trains: a recipe for every target rate, beta or codebook, and every seed."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textlatent.recipe.dump import as_values, differing_keys, dump_recipe
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.run.folder import Run
from textlatent.training.checkpoint import write_text

Axis = Literal["target_rate", "beta", "codes"]
Value = float | tuple[int, int]
"""A target rate in nats, a beta, or a codebook: K codes at each of P positions."""


@dataclass(frozen=True)
class Job:
    """A point to train: its recipe, and the value it was asked for (None: the language model without z)."""

    recipe: Recipe
    asked: float | None
    label: str = ""

    @property
    def name(self) -> str:
        """Of the point."""
        return self.recipe.name

    @property
    def folder(self) -> Path:
        """Of its run."""
        return Path(self.recipe.out) / self.name

    def is_finished(self) -> bool:
        """Whether the folder holds this very recipe, trained, and the ledger is the one that training ended with."""
        mark, ledger = self.folder / "point.json", self.folder / "ledger.json"
        return mark.exists() and ledger.exists() and json.loads(mark.read_text()) == self._mark()

    def finish(self) -> None:
        """Remember that it is."""
        write_text(self.folder / "point.json", json.dumps(self._mark()))

    def _mark(self) -> dict[str, str]:
        recipe = dump_recipe(self.recipe.model_copy(update={"out": ""}))  # a folder may be moved
        texts = {"recipe": recipe.encode(), "ledger": (self.folder / "ledger.json").read_bytes()}
        return {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()}


def codes_label(recipe: Recipe) -> str:
    """How a codebook is told from others: "4 of 16" for 4 positions of 16 codes each; empty where z is no codes."""
    if recipe.model.type != "vq":
        return ""
    return f"{recipe.model.codebook.positions} of {recipe.model.codebook.codes}"


def what_is_swept(
    recipe: Recipe,
    *,
    rates: Sequence[float] | None,
    betas: Sequence[float] | None,
    codes: Sequence[int] | None,
    positions: Sequence[int] | None,
    least: int = 2,
) -> tuple[Axis, list[Value]]:
    """What is swept, and over which values; codes and positions together, every K with every P.

    Args:
        recipe: says how many codes or positions where only the others are swept.
        rates: target rates, nats.
        betas: weights of the rate.
        codes: K of each codebook.
        positions: P.
        least: values there must be.

    Raises:
        ValueError: not exactly one of the three, too few values, one twice, or one that no model can be asked for.
    """
    given = [name for name, x in (("rates", rates), ("betas", betas), ("codes", codes or positions)) if x is not None]
    if len(given) != 1:
        raise ValueError(
            "a curve is drawn over rates or over betas: give one of the two, as in rates=[1, 2, 4, 8]; or, of a recipe "
            "with codes, over codes and positions, as in codes=[16, 64, 256]."
        )
    if given == ["codes"]:
        return "codes", _codebooks(recipe, codes, positions, least)
    axis: Axis = "beta" if rates is None else "target_rate"
    values = [float(value) for value in (betas if rates is None else rates) or ()]
    if len(values) < least or len({f"{value:g}" for value in values}) < len(values):
        raise ValueError(f"a curve needs {_words(least)} {given[0]}, each once, got {values}.")
    if wrong := [value for value in values if not 0 < value < math.inf]:
        raise ValueError(f"{given[0]} must be above 0, got {wrong[0]:g}; the language model without z is drawn anyway.")
    return axis, list(values)


def _codebooks(recipe: Recipe, codes: Sequence[int] | None, positions: Sequence[int] | None, least: int) -> list[Value]:
    if recipe.model.type != "vq":
        raise ValueError(
            f"codes and positions are swept of a recipe with codes, got model.type: {recipe.model.type}; add "
            "--set model.type=vq, or give rates."
        )
    book = recipe.model.codebook
    if book.levels is not None and codes is not None:
        raise ValueError(
            f"codes follow from model.codebook.levels, {book.levels} in this recipe; sweep positions alone, or take "
            "the levels out."
        )
    many = [list([book.codes] if codes is None else codes), list([book.positions] if positions is None else positions)]
    if any(len(set(each)) < len(each) or min(each, default=0) < 1 for each in many):
        raise ValueError(f"codes and positions must be whole numbers above 0, each once, got {many[0]} and {many[1]}.")
    values: list[Value] = [(k, p) for p in many[1] for k in many[0]]
    if len(values) < least:
        raise ValueError(f"a curve needs {_words(least)} codebooks, got codes {many[0]} and positions {many[1]}.")
    return values


def _words(least: int) -> str:
    return "two or more" if least == 2 else "one or more"


def plan(recipe: Recipe, *, axis: Axis, values: Sequence[Value], seeds: Sequence[int], folder: Path) -> list[Job]:
    """The points to train, seed after seed within each value: the recipe with another aim, seed and name.

    Raises:
        ValueError: seeds that are none, given twice or below 0, or a recipe that such an aim does not suit.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must be one or more whole numbers, each once, got {list(seeds)}.")
    jobs = []
    for value in values:
        for seed in seeds:
            changed, name = _with_aim(as_values(recipe), axis, value)
            named = {"name": f"{name}-seed-{seed}", "seed": seed, "out": str(folder / "points")}
            own = load_recipe(changed | named)
            asked = value[1] * math.log(value[0]) if isinstance(value, tuple) else value
            jobs.append(Job(own, asked, codes_label(own) if axis == "codes" else ""))
    return jobs


def _with_aim(values: dict[str, Any], axis: Axis, value: Value) -> tuple[dict[str, Any], str]:
    """The recipe's values with another aim, and the aim's name."""
    if isinstance(value, tuple):
        codes, positions = value
        book = values["model"]["codebook"]
        book |= {"positions": positions} | ({} if book["levels"] else {"codes": codes})
        return values, f"codes-{codes}-positions-{positions}"
    short = {"target_rate": "rate", "beta": "beta"}[axis]
    return _with_objective(values, axis, value), f"{short}-{value:g}".replace("+", "")


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


def refuse_others(jobs: Sequence[Job]) -> None:
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
