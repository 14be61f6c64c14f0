"""Text VAEs in nats: loss = rate + lam * distortion.

The public names stand in the order of the equation and are resolved on first use (PEP 562): importing the package
imports nothing.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    # text -> tokens
    "read_corpus": "textlatent.corpus.source",
    "train_tokenizer": "textlatent.corpus.tokenizer",
    # P_enc, P_pri, P_dec and the three together
    "DiagonalGaussian": "textlatent.nats.gaussian",
    "SentenceVAE": "textlatent.models.gaussian_vae",
    "SentenceVAEConfig": "textlatent.models.gaussian_vae",
    "SentenceVQ": "textlatent.models.vq",
    "SentenceVQConfig": "textlatent.models.vq",
    "load_model": "textlatent.models.load",
    # the record, and the loss made of it
    "Scores": "textlatent.scores",
    "Objective": "textlatent.objective.objective",
    # a recipe, and what is done with it
    "Recipe": "textlatent.recipe.schema",
    "load_recipe": "textlatent.recipe.load",
    "train": "textlatent.run",
    "evaluate": "textlatent.run",
    "Run": "textlatent.run",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """The public object called `name`, imported now from the room it lives in.

    Raises:
        AttributeError: no public object has this name.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'textlatent' has no attribute {name!r}; its public names are {', '.join(_HOME)}.")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
