"""The verbs, each a function in the file of its name, imported on first use: `textlatent.run.train("quickstart")`."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOME = {
    "train": "train",
    "evaluate": "evaluate",
    "score": "score",
    "sample": "sample",
    "reconstruct": "reconstruct",
    "interpolate": "interpolate",
    "encode": "encode",
    "standardise": "standardise",
    "validate": "validate",
    "environment": "environment",
    "list_recipes": "recipes",
    "find_recipe": "recipes",
    "copy_recipe": "recipes",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """The verb called `name`, its file imported now.

    Raises:
        AttributeError: no verb has this name.
    """
    if name not in _HOME:
        raise AttributeError(f"textlatent.run has no verb {name!r}; its verbs are {', '.join(_HOME)}.")
    return getattr(import_module(f"textlatent.run.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    """The verbs."""
    return sorted(__all__)


class _Verbs(ModuleType):
    """This package; importing the file run/train.py binds the verb `train` here, not the file."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _HOME:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Verbs
