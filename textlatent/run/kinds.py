"""Which file answers a verb: a run of another kind than autoencoder has its own, run/KIND.py, a function per verb."""

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from textlatent.recipe.document import read_document
from textlatent.recipe.kinds import KINDS
from textlatent.recipe.section import AnyRecipe
from textlatent.run.recipes import list_recipes

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

USUAL = next(iter(KINDS))
"""The kind that the verbs' own files are for."""


def kind_of_run(subject: Any) -> str:
    """The kind of a run (a Run, or its folder) or of a recipe (a file, values, or a recipe); USUAL where in doubt.

    What is wrong with a subject is for the verb to say.
    """
    if isinstance(subject, AnyRecipe):
        return subject.kind
    if isinstance(subject, Mapping):
        return str(subject.get("kind", USUAL))
    path = Path(getattr(subject, "folder", subject))
    path = path / "recipe.yaml" if path.is_dir() else path
    if not path.is_file():
        path = next((each.path for each in list_recipes() if each.name == str(subject).removesuffix(".yaml")), path)
    if not path.is_file():
        return USUAL
    return str(read_document(path).values.get("kind", USUAL))


def by_kind(verb: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The verb for every kind: itself for autoencoders, run/KIND.py's function of its name for another.

    Raises (when called):
        ValueError: runs of that kind have no such verb; the message names those they have.
    """
    name = getattr(verb, "__name__", "")

    @wraps(verb)
    def chosen(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        kind = kind_of_run(args[0] if args else next(iter(kwargs.values())))
        if kind == USUAL or kind not in KINDS:
            return verb(*args, **kwargs)
        home = import_module(f"textlatent.run.{kind}")
        if name not in home.VERBS:
            raise ValueError(f"{name}: a run of kind {kind} has no such verb; it has {', '.join(home.VERBS)}.")
        return getattr(home, name)(*args, **kwargs)

    return chosen
