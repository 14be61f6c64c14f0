"""What every test needs: no look-up on the network, and a checker that knows transformers' configurations."""

import os
import sys

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session", autouse=True)
def _configurations_take_what_transformers_gives_them() -> None:
    """A configuration takes keys that are no fields (`model_type`), which the checker of dataclasses would refuse."""
    if {"textlatent.decoder", "textlatent.models", "textlatent.run", "textlatent.cli"} & set(sys.modules):
        from textlatent import models
        from textlatent.decoder.sentence import SentenceDecoderConfig

        every = [value for name, value in vars(models).items() if name.endswith("Config") and name != "AutoConfig"]
        for config in (SentenceDecoderConfig, *every):
            config.__init__.__no_type_check__ = True
