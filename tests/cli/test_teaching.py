"""textlatent theory: its lines and its exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from textlatent.cli.main import app


def test_claims_that_hold(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["theory", "T6b", "T3", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("T3   holds  Importance sampling closes the gap (6 comparisons")
    assert lines[1].startswith("T6b  holds")
    assert lines[2].startswith("2 of 2 claims hold")
    assert {path.name for path in tmp_path.iterdir()} == {"theory.json", "theory.html"}


def test_a_claim_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textlatent.theory import importance

    right = importance.log_importance_weights
    monkeypatch.setattr(importance, "log_importance_weights", lambda *args: -right(*args))
    done = CliRunner().invoke(app, ["theory", "T3", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "T3   FAILS" in done.output
    assert "the bound at K = 1" in done.output
    assert "0 of 1 claims hold" in done.output
    assert 'class="fails"' in (tmp_path / "theory.html").read_text()


def test_a_claim_that_is_none(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["theory", "T18", "--out", str(tmp_path)])
    assert isinstance(done.exception, ValueError)
    assert "no claim is called T18" in str(done.exception)
