"""textlatent limit: three rows and where the curve is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.toy_run import CODES, toy_recipe
from textlatent.cli.main import app
from textlatent.run import train


@pytest.mark.slow
def test_its_rows(tmp_path: Path) -> None:
    run = train(toy_recipe(tmp_path, CODES))
    done = CliRunner().invoke(app, ["limit", str(run.folder), "--sentences", "20"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.strip()]
    assert "36 codes, 20 sentences, nats per sentence: rate, distortion, sum" in lines
    assert [line.split()[0] for line in lines[-4:]] == ["the", "R(D)", "least", "The"]
    assert "nats of rate less" in done.output
