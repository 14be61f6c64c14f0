"""A recipe back into YAML, and what differs between two of them."""

from fnmatch import fnmatchcase
from typing import Any

from textlatent.recipe.document import write_document
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import AnyRecipe

# What a resumed run may change: how long it trains, what it writes down and when, and how it is judged.
MAY_CHANGE = (
    "out",
    "training.steps",
    "stages.*.steps",
    "training.log_every",
    "training.sample_every",
    "training.save_every",
    "training.keep_checkpoints",
    "training.trackers",
    "training.threads",
    "em.log_every",
    "em.save_every",
    "em.keep_checkpoints",
    "em.threads",
    "evaluation.*",
)


def as_values(recipe: AnyRecipe) -> dict[str, Any]:
    """The recipe as plain values, defaults written out; of a stage's objective only what it says itself."""
    values = recipe.model_dump()
    if not isinstance(recipe, Recipe):
        return values
    for stage, dumped in zip(recipe.stages, values["stages"], strict=True):
        dumped["objective"] = stage.objective.model_dump(exclude_unset=True)
    return values


def dump_recipe(recipe: AnyRecipe) -> str:
    """The recipe as YAML text that `load_recipe` reads back equal."""
    return write_document(as_values(recipe))


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Every plain value below `value` by its dotted path; a list of plain values is one."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(i): item for i, item in enumerate(value)}
    if not isinstance(value, dict):
        return {path: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _leaves(inner, f"{path}.{key}" if path else str(key))
    return found


def differing_keys(old: AnyRecipe, new: AnyRecipe) -> list[str]:
    """The dotted keys in which two recipes differ, without those a resumed run may change (MAY_CHANGE)."""
    before, after = _leaves(as_values(old)), _leaves(as_values(new))
    missing = object()
    differing = [k for k in before | after if before.get(k, missing) != after.get(k, missing)]
    return [key for key in differing if not any(fnmatchcase(key, pattern) for pattern in MAY_CHANGE)]
