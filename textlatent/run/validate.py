"""What can be known of a recipe before it runs: its faults, all at once; its corpus; its cost. No torch here."""

import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textlatent.recipe.data import Data
from textlatent.recipe.fault import Fault, Keys, RecipeError
from textlatent.recipe.load import Checked, check_recipe
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import AnyRecipe
from textlatent.run.corpus import build_corpus
from textlatent.run.environment import cores
from textlatent.run.estimate import Estimate, estimate, shape_of
from textlatent.run.recipes import find_recipe, locate

SPECIAL_TOKENS = 4  # padding, BOS, EOS, unknown


@dataclass(frozen=True)
class Validation:
    """A recipe without fault, and what it will be.

    Attributes:
        recipe: the recipe.
        sentences: of each split; empty for a hub corpus, which is read when the run begins.
        notes: what reading the corpus has to say.
        vocabulary: the tokenizer's size; None where it is known only once it is loaded.
        longest: words of the longest sentence.
        cost: parameters, memory and minutes by arithmetic; None where a size is not known without torch.
        cores: that the minutes are reckoned with.
        measured: of a dry run: seconds_per_step, minutes, memory (bytes); empty without one.
    """

    recipe: AnyRecipe
    sentences: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    vocabulary: int | None = None
    longest: int | None = None
    cost: Estimate | None = None
    cores: int = 1
    measured: dict[str, float] = field(default_factory=dict)

    def rows(self, duration: Callable[[float], str]) -> list[tuple[str, str, str]]:
        """What to print: name, value, remark; `duration` writes seconds."""
        rows = [(f"{name} sentences", f"{count:,}", "") for name, count in self.sentences.items()]
        if not isinstance(self.recipe, Recipe):
            return [("kind", self.recipe.kind, ""), *rows]
        if self.longest is not None:
            rows.append(
                ("longest sentence", f"{self.longest:,} words", f"data.max_tokens {self.recipe.data.max_tokens}")
            )
        if self.vocabulary is not None:
            rows.append(("vocabulary", f"{self.vocabulary:,} tokens", self.recipe.tokenizer.type))
        steps = sum(self.recipe.stage_steps(stage) for stage in self.recipe.stages)
        rows.append(("steps", f"{steps:,}", f"{len(self.recipe.stages)} stage(s)"))
        rows += self._cost_rows(duration)
        if self.measured:
            about = f"{self.measured['seconds_per_step']:.3f} s for the faster of two steps"
            rows.append(("training, measured", duration(60 * self.measured["minutes"]), about))
            rows.append(("peak memory, measured", f"{self.measured['memory'] / 2**30:.1f} GiB", "of the dry run"))
        return rows

    def _cost_rows(self, duration: Callable[[float], str]) -> list[tuple[str, str, str]]:
        if self.cost is None:
            return [("parameters, memory, time", "not known", "--dry-run measures memory and time")]
        parts = f"encoder {self.cost.encoder:,}, prior {self.cost.prior:,}, decoder {self.cost.decoder:,}"
        return [
            ("parameters", f"{self.cost.parameters:,}", parts),
            ("memory", f"about {self.cost.memory / 2**30:.1f} GiB", "on one device"),
            (
                "training",
                f"about {duration(60 * self.cost.minutes)}",
                f"on {self.cores} core{'s' * (self.cores > 1)} without a GPU",
            ),
        ]


def validate(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    overrides: tuple[str, ...] | list[str] = (),
    dry_run: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Validation:
    """What the recipe will be; nothing is written.

    Args:
        recipe: a file, the name of a recipe that comes along, the values, or a recipe.
        overrides: "path=value" each.
        dry_run: also train two steps in a temporary folder, which imports torch.
        progress: told of the dry run's events.

    Raises:
        RecipeError: every fault of the recipe, its sizes and its files, at once.
        ValueError: there is no such recipe; or what the dry run stumbled over.
    """
    given = find_recipe(recipe) if isinstance(recipe, str | Path) else recipe
    checked = check_recipe(given, overrides)
    found = _look(checked)
    if dry_run:
        if not isinstance(found.recipe, Recipe):
            raise ValueError(
                f"a dry run is for autoencoders, and this recipe is of kind {found.recipe.kind}; train it."
            )
        found = Validation(**(vars(found) | {"measured": _dry_run(found.recipe, progress)}))
    return found


def _look(checked: Checked) -> Validation:
    """What there is to know without torch; every fault raised together."""
    faults, recipe = list(checked.faults), checked.recipe
    told = {fault.keys for fault in faults}

    def add(keys: Keys, sentence: str) -> None:
        if keys not in told:
            faults.append(Fault(keys, checked.document.place(keys), sentence))

    found: dict[str, Any] = {}
    if isinstance(recipe, Recipe):
        for part in ("encoder", "decoder"):
            _check_sizes(recipe, part, add)
        if recipe.tokenizer.path is not None and _names_no_hub(recipe.tokenizer.path):
            add(("tokenizer", "path"), f"there is no folder {recipe.tokenizer.path}; name a saved tokenizer's.")
        if not any(keys[:1] == ("data",) for keys in told):
            found = _read(recipe, add)
    elif isinstance(section := getattr(recipe, "data", None), Data) and not any(keys[:1] == ("data",) for keys in told):
        found = _read_corpus(section, add)
    if recipe is None or faults:
        raise RecipeError(faults, source=checked.source)
    if not isinstance(recipe, Recipe):
        return Validation(recipe=recipe, **{k: v for k, v in found.items() if k in ("sentences", "notes")})
    vocabulary = found.get("vocabulary")
    used = min(cores(), recipe.training.threads or cores())
    cost = None if vocabulary is None else estimate(recipe, vocabulary=vocabulary, cores=used)
    return Validation(recipe=recipe, **found, cost=cost, cores=used)


def _names_no_hub(path: str) -> bool:
    """Whether a path that is not here cannot be a hub name either: owner/name, both plain."""
    return not Path(path).exists() and (path.startswith((".", "/", "~")) or path.count("/") != 1)


def _check_sizes(recipe: Recipe, part: str, add: Callable[[Keys, str], None]) -> None:
    """Faults of a backbone's sizes that need no torch to be seen."""
    section = getattr(recipe.model, part)
    if section.config is None or (shape := shape_of(section, positions=recipe.data.max_tokens)) is None:
        return
    keys: Keys = ("model", part, "config")
    if min(shape.hidden, shape.layers, shape.heads) < 1:
        add(keys, f"hidden size, layers and heads must be >= 1, got {shape.hidden}, {shape.layers} and {shape.heads}.")
    elif shape.hidden % shape.heads:
        add(keys, f"the hidden size must be a multiple of the heads, got {shape.hidden} and {shape.heads}.")
    slots = recipe.model.decoder.slots if part == "decoder" and recipe.model.decoder.inject != "add" else 0
    needed = recipe.data.max_tokens + slots
    if shape.positions < needed:
        add(keys, f"needs {needed} positions (data.max_tokens and the slots), got {shape.positions}; leave them out.")


def _read_corpus(data: Data, add: Callable[[Keys, str], None]) -> dict[str, Any]:
    """What the corpus is, unless it is the hub's; its fault where it cannot be read."""
    if data.format == "hub" or (data.path is not None and not Path(locate(data.path)).exists() and "/" in data.path):
        if data.format == "hub" or not _names_no_hub(data.path or ""):
            return {"notes": [f"{data.path}: a hub corpus, read when the run begins."]}
    try:
        corpus = build_corpus(data)
    except ValueError as error:
        add(("data",), str(error))
        return {}
    splits = {name: getattr(corpus, name)["text"] for name in ("train", "valid", "test")}
    return {
        "sentences": {name: len(texts) for name, texts in splits.items()},
        "notes": list(corpus.notes),
        "texts": splits,
    }


def _read(recipe: Recipe, add: Callable[[Keys, str], None]) -> dict[str, Any]:
    """What the corpus is, and whether the recipe's numbers suit it."""
    data, found = recipe.data, _read_corpus(recipe.data, add)
    if (splits := found.pop("texts", None)) is None:
        return found
    longest = max((len(text.split()) for texts in splits.values() for text in texts), default=0)
    if recipe.tokenizer.type == "word" and recipe.tokenizer.path is None and data.too_long == "error":
        if longest + 1 > data.max_tokens:
            add(("data", "max_tokens"), _too_short(longest, data.max_tokens))
    return found | {"vocabulary": _vocabulary(recipe, splits["train"]), "longest": longest}


def _too_short(longest: int, limit: int) -> str:
    return (
        f"the longest sentence has {longest + 1} tokens with its end, got {limit}; raise it, or set data.too_long to "
        "skip or truncate."
    )


def _vocabulary(recipe: Recipe, texts: list[str]) -> int | None:
    """The tokenizer's size: counted for words, as asked for pieces, None for a ready tokenizer."""
    section = recipe.tokenizer
    if section.path is not None:
        return None
    if section.type != "word":
        return section.vocabulary
    words = len({word for text in texts for word in text.split()})
    return SPECIAL_TOKENS + (words if section.vocabulary is None else min(words, section.vocabulary))


def _dry_run(recipe: Recipe, progress: Callable[[dict[str, Any]], None] | None) -> dict[str, float]:
    """Two steps of training in a temporary folder: seconds per step, the minutes they foretell, peak bytes."""
    from textlatent.run.train import train

    seconds: list[float] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "log":
            seconds.append(event["seconds"])
        if progress is not None:
            progress(event)

    small = [
        "training.steps=2",
        "training.sample_every=0",
        "training.log_every=1",
        "training.warmup_steps=1",
        "training.trackers=[]",
    ]
    small += ["evaluation.sentences=8", "evaluation.samples=2", "evaluation.ladder=[1, 2]"]
    small += [f"stages.{i}.steps=2" for i in range(len(recipe.stages))]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, overrides=tuple(small), out=folder, progress=watch)
    steps = sum(recipe.stage_steps(stage) for stage in recipe.stages)
    per_step = min(seconds[0], seconds[1] - seconds[0])  # the first warms up, and either may be disturbed
    return {
        "seconds": time.perf_counter() - started,
        "seconds_per_step": per_step,
        "minutes": per_step * steps / 60,
        "memory": 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
