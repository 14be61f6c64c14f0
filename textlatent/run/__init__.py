"""The verbs, each a function in the file of its name, imported on first use: `textlatent.run.train("quickstart")`."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOME = {
    **{
        verb: f"textlatent.run.{verb}"
        for verb in ("train", "evaluate", "score", "sample", "reconstruct", "interpolate")
    },
    **{verb: f"textlatent.run.{verb}" for verb in ("encode", "standardise", "validate", "environment")},
    **{verb: f"textlatent.run.{verb}" for verb in ("curve", "compare")},
    "conditions": "textlatent.run.conditions",
    "baseline": "textlatent.run.baseline",
    "diagnose": "textlatent.run.diagnose",
    "report": "textlatent.run.report",
    "theory": "textlatent.run.theory",
    "limit": "textlatent.run.limit",
    "contrast": "textlatent.run.contrast",
    **{verb: f"textlatent.run.{verb}" for verb in ("probe", "arithmetic", "neighbours")},
    "list_recipes": "textlatent.run.recipes",
    "find_recipe": "textlatent.run.recipes",
    "copy_recipe": "textlatent.run.recipes",
    "Run": "textlatent.run.folder",
    "write_rows": "textlatent.run.score",
    "ledger_rows": "textlatent.diagnostics.ledger_rows",
    "gap_table": "textlatent.diagnostics.gap",
    "Thresholds": "textlatent.diagnostics.thresholds",
    "inference_rows": "textlatent.diagnostics.inference",
    "remedy_rows": "textlatent.diagnostics.remedies",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """The verb called `name`, its file imported now.

    Raises:
        AttributeError: no verb has this name.
    """
    if name not in _HOME:
        raise AttributeError(f"textlatent.run has no verb {name!r}; its verbs are {', '.join(_HOME)}.")
    return getattr(import_module(_HOME[name]), name)


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
