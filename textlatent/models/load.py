"""A saved model of sentences, of whichever type it is."""

from pathlib import Path
from typing import Any, cast

from transformers import AutoConfig, AutoModel

from textlatent.models.autoencoder import Autoencoder


def load_model(path: str | Path) -> Autoencoder:
    """The model in a folder, or of a hub name, its tokenizer with it.

    Raises:
        ValueError: there is a model, but none of sentences.
    """
    config: Any = AutoConfig.from_pretrained(path)
    if not str(config.model_type).startswith("textlatent_"):
        raise ValueError(f"{path} holds a model of type {config.model_type}, not one of textlatent's.")
    return cast(Autoencoder, AutoModel.from_pretrained(path))
