"""One trained run for every verb that only reads it, and a text file to use it on."""

from pathlib import Path
from typing import Any

import pytest

from tests.processes import Processes, the_processes
from tests.toy_run import toy_recipe
from textlatent.run.folder import Run
from textlatent.run.train import train

LEARNED: dict[str, Any] = {
    "model": {"prior": "learned", "encoder": {"log_variance_bias": -2.0}},
    "objective": {"beta": 0.05},
    "training": {"steps": 40, "validate_every": 20, "sample_every": 20, "save_every": 20, "keep_checkpoints": 2},
}
"""A rate of some nats, and a prior that has moved away from N(0, I)."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Tests leave its folder as it is; what a verb writes beside its own files is a test's own business."""
    return train(toy_recipe(tmp_path_factory.mktemp("trained"), LEARNED))


@pytest.fixture(scope="session")
def processes() -> Processes:
    """The server that forks."""
    return the_processes()


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Seven sentences of the language in no order of length, one of them twice."""
    lines = [
        "the merry singers near the inn will forget their melody .",
        "the poor sailor sells his sail now .",
        "the child repairs his old boat .",
        "did the wise singers write their song ?",
        "the poor sailor sells his sail now .",
        "the clever painter painted his portrait .",
        "will the sailor sell the boat ?",
    ]
    path = tmp_path / "text.txt"
    path.write_text("\n".join(lines) + "\n")
    return path
