"""A recipe out of YAML, a dictionary or another recipe, or every fault at once, with its path, line and near name."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from textlatent.recipe.document import Document, override, read_document
from textlatent.recipe.dump import as_values
from textlatent.recipe.fault import Fault, Keys, RecipeError
from textlatent.recipe.kinds import KINDS, kind_of
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import AnyRecipe
from textlatent.recipe.sentence import sentences_of, unknown_kind

Kind = TypeVar("Kind", bound=AnyRecipe)

Source = str | Path | Mapping[str, Any] | AnyRecipe
"""What a recipe can be had from: a YAML file's path, the values themselves, or a recipe."""


@dataclass(frozen=True)
class Checked:
    """What can be said of a recipe: itself where there is one, and everything that is wrong.

    Attributes:
        recipe: the recipe; where values are wrong, with the defaults in their stead; None where even that is none.
        faults: what is wrong, in the order of the file.
        document: where each value stands.
        source: what the recipe was read from, for a message.
    """

    recipe: AnyRecipe | None
    faults: list[Fault]
    document: Document
    source: str


def load_recipe(recipe: Source, overrides: Iterable[str] = ()) -> Recipe:
    """The typed recipe of an autoencoder, with `overrides` such as "training.steps=500" put over it.

    Args:
        recipe: a YAML file's path, the values themselves, or a recipe.
        overrides: "path=value" each, the value read as YAML; the last one wins.

    Raises:
        RecipeError: anything is wrong; its message lists every fault, with path, place and nearest valid name.
        ValueError: it is a recipe of another kind.
    """
    return of_kind(load_any(recipe, overrides), Recipe)


def load_any(recipe: Source, overrides: Iterable[str] = ()) -> AnyRecipe:
    """The typed recipe of whatever `kind` it names; arguments and faults as in `load_recipe`."""
    checked = check_recipe(recipe, overrides)
    if checked.recipe is None or checked.faults:
        raise RecipeError(checked.faults, source=checked.source)
    return checked.recipe


def of_kind(recipe: AnyRecipe, wanted: type[Kind]) -> Kind:
    """The recipe, where it is of the kind that is wanted.

    Raises:
        ValueError: it is of another.
    """
    if not isinstance(recipe, wanted):
        names = {known: name for name, known in KINDS.items()}
        raise ValueError(f"this asks for a recipe of kind {names[wanted]}, and {recipe.name} is of kind {recipe.kind}.")
    return recipe


def check_recipe(recipe: Source, overrides: Iterable[str] = ()) -> Checked:
    """As `load_recipe`, for those who look for more faults before they raise them.

    Raises:
        RecipeError: there is no file, or it is not YAML.
    """
    if isinstance(recipe, AnyRecipe):
        document, source = Document(values=as_values(recipe)), "the recipe"
    elif isinstance(recipe, Mapping):
        document, source = Document(values=deepcopy(dict(recipe))), "the recipe"
    else:
        document, source = read_document(Path(recipe)), str(recipe)
    for setting in overrides:
        override(document, setting)
    loaded, faults = _check(document)
    return Checked(loaded, faults, document, source)


def _check(document: Document) -> tuple[AnyRecipe | None, list[Fault]]:
    """The recipe, where there is one, and every fault.

    Values that are wrong by themselves are taken out, so that the fields that contradict each other are found too.
    """
    faults = list(document.faults)
    values = deepcopy(document.values)
    kind = kind_of(values)
    if (named := values.get("kind", kind.model_fields["kind"].default)) not in KINDS:
        faults.append(Fault(("kind",), document.place(("kind",)), unknown_kind(named)))
        values.pop("kind")
    try:
        recipe: AnyRecipe | None = kind.model_validate(values)
    except ValidationError as error:
        wrong = sentences_of(error, kind, document.written)
        told = {fault.keys for fault in faults}
        faults += [Fault(keys, document.place(keys), wrong[keys]) for keys in wrong if keys not in told]
        recipe = _without(values, list(wrong), kind)
    if recipe is not None:
        known = {".".join(map(str, fault.keys)) for fault in faults}
        for path, sentence in recipe.conflicts():
            keys: Keys = tuple(int(part) if part.isdecimal() else part for part in path.split("."))
            if path not in known:
                faults.append(Fault(keys, document.place(keys), sentence))
    return recipe, sorted(faults, key=_position)


def _position(fault: Fault) -> tuple[bool, int]:
    """Faults in the order of the file, those of --set after them."""
    _, _, line = fault.place.rpartition(":")
    return (not line.isdecimal(), int(line) if line.isdecimal() else 0)


def _without(values: dict[str, Any], wrong: list[Keys], kind: type[AnyRecipe]) -> AnyRecipe | None:
    """The recipe without its wrong values, None where it cannot do without them."""
    for keys in sorted(wrong, key=len, reverse=True):
        while keys and isinstance(keys[-1], int):  # a wrong entry spoils its list
            keys = keys[:-1]
        inside: Any = values
        for key in keys[:-1]:
            inside = inside.get(key, {}) if isinstance(inside, dict) else inside[int(key)]
        inside.pop(keys[-1], None)
    try:
        return kind.model_validate({"name": "unnamed", **values})
    except ValidationError:
        return None
