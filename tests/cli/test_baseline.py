"""baseline, and a mixture of several splits, from the shell: what they say and where they put it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.toy_run import toy_recipe
from textlatent.cli.main import app
from textlatent.run.train import train

SHORT: dict[str, Any] = {
    "training": {"steps": 2, "log_every": 1, "sample_every": 0},
    "evaluation": {"samples": 2, "ladder": [1], "sentences": 6},
}


def _say(*arguments: object) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(toy_recipe(tmp_path_factory.mktemp("baseline"), SHORT)).folder


def test_baseline(folder: Path) -> None:
    said = _say("baseline", folder)
    assert "step 2/2" in said
    assert "it has no z" in said
    assert said.strip().splitlines()[-1] == (
        f"The language model is in {folder}/baseline; `textlatent compare {folder} {folder}/baseline`."
    )
    assert (folder / "baseline" / "final" / "config.json").exists()
    assert "-ELBO" in _say("compare", folder, folder / "baseline")


def test_evaluate_with_a_larger_mixture(folder: Path) -> None:
    said = _say("evaluate", folder, "--mixture", "valid", "--mixture", "train")
    ledger = json.loads((folder / "ledger.json").read_text())
    components = 6 + sum(ledger["mixture"].values())
    assert list(ledger["mixture"]) == ["valid", "train"]
    assert f"cap ln {components} = " in said
