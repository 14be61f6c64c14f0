"""diagnose on the command line: its table, its exit codes, its faults; and the table of remedies."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.oracles.clinic import FOUR
from textlatent import run as verbs
from textlatent.cli import main
from textlatent.cli.judging import _row
from textlatent.cli.progress import sentences_of
from textlatent.diagnostics.check import Check
from textlatent.diagnostics.thresholds import Thresholds
from textlatent.diagnostics.use import InferenceGap
from textlatent.diagnostics.verdict import Diagnosis, diagnose
from textlatent.nats.montecarlo import Estimate


@pytest.fixture(scope="module")
def healthy() -> Diagnosis:
    scores = FOUR.scores(0)
    return diagnose(scores["own"], other=scores["other"])


def _ask(found: Diagnosis, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, list[str], dict[str, Any]]:
    """Exit code, lines and what the verb was called with, where the verb finds `found`."""
    asked: dict[str, Any] = {}

    def stand_in(run: str, **settings: Any) -> Diagnosis:
        asked.update(settings, run=run)
        return found

    monkeypatch.setitem(vars(verbs), "diagnose", stand_in)
    result = CliRunner().invoke(main.app, ["diagnose", "runs/x", *arguments])
    return result.exit_code, result.stdout.splitlines(), asked


@pytest.mark.parametrize(
    ("overall", "code"),
    [("healthy", 0), ("collapsed", 1), ("ignored", 1), ("partly collapsed", 1), ("underpowered", 3)],
)
def test_the_exit_code_is_the_verdict(
    overall: str, code: int, healthy: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = replace(healthy, overall=overall, notes=("a note",))
    exit_code, lines, _ = _ask(found, monkeypatch)
    assert exit_code == code
    assert lines[-2] == "note: a note"
    assert lines[-1] == f"verdict: {overall}. {found.advice}".rstrip()


def test_the_settings_reach_the_verb(healthy: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["--no-refine", "--sentences", "60", "--threshold", "negligible=0.2", "--threshold", "floor=20"]
    _, _, asked = _ask(healthy, monkeypatch, *given)
    assert (asked["run"], asked["refine"], asked["sentences"]) == ("runs/x", False, 60)
    assert (asked["negligible"], asked["floor"]) == (0.2, 20.0)


def test_every_check_is_a_row(healthy: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lines, _ = _ask(healthy, monkeypatch)
    assert lines[0] == "500 sentences"
    for check, line in zip(healthy.checks, lines[1:7], strict=True):
        assert line.startswith(check.name)
        assert line.endswith(f"{check.illness}{' ' * (len('partly collapsed') - len(check.illness))}  no")
    assert f"[{healthy.checks[1].lower:.3f}, {healthy.checks[1].upper:.3f}]" in lines[2]
    assert "[500, 500]" in lines[1]


def test_what_fired_is_undecided_or_was_not_checked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = replace(FOUR, hears=(False,) * 8, sentences=60).scores(0)
    deaf = diagnose(scores["own"], other=scores["other"], dead_variance=0.6)
    _, lines, _ = _ask(deaf, monkeypatch)
    ends = [line.rsplit("  ", 1)[1] for line in lines[1:7]]
    assert ends == ["no", "no", "YES", "no", "not checked", "undecided"]
    assert [line.split(":")[0] for line in lines[7:10]] == ["ignored", "memorising", "partly collapsed"]


def test_one_sentence_is_shown_without_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    one = diagnose(FOUR.scores(0)["own"].select(torch.tensor([0])))
    exit_code, lines, _ = _ask(one, monkeypatch)
    assert exit_code == 3
    assert lines[0] == "1 sentence"


def test_bad_input_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "recipe.yaml").write_text("name: lm\ndata: {path: corpus}\nmodel: {latent_size: 0}\n")
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "recipe.yaml").write_text("name: vae\ndata: {path: corpus}\n")
    for arguments, words in (
        ([str(tmp_path)], "is not a run's folder"),
        ([str(tmp_path / "lm")], "this is a language model"),
        ([str(tmp_path / "vae"), "--threshold", "negligable=0.2"], "did you mean negligible"),
        ([str(tmp_path / "vae"), "--threshold", "negligible"], "must be NAME=VALUE"),
    ):
        monkeypatch.setattr("sys.argv", ["textlatent", "diagnose", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main.main()
        assert stopped.value.code == 2
        assert words in capsys.readouterr().err


def test_a_validation_shows_the_units_in_use() -> None:
    event = {"event": "validate", "step": 20, "rate_nats": 3.0, "distortion_nats": 21.0, "neg_elbo_nats": 24.0}
    used = {"active_units": 3.0, "dimensions": 32, "best": True}
    assert sentences_of(event | used) == [
        "step 20: validation  rate 3.00  distortion 21.00  -ELBO 24.00  3 of 32 units  (the best so far)"
    ]


def test_remedies_are_listed() -> None:
    result = CliRunner().invoke(main.app, ["ls", "remedies"])
    assert result.exit_code == 0
    assert "objective.target_rate=5.0" in result.stdout
    assert "arXiv:1901.05534" in result.stdout


def test_what_is_counted_is_written_without_decimals() -> None:
    for unit, said in (("dimensions", "2"), ("positions", "2"), ("nats", "2.000")):
        check = Check(
            name="x", illness="y", value=2.0, se=None, lower=2.0, upper=2.0, unit=unit, threshold=0.0, fired=True,
            source="a paper", message="so.", advice="",
        )  # fmt: skip
        assert _row(check)[1] == said


def test_the_inference_gap_stands_in_the_table_with_its_parts(
    healthy: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gap 0.5 +- 0.01, of it 0.3 amortisation, 0.2 left; each named below the table."""
    parts = (Estimate(0.5, 0.01, 60), Estimate(0.3, 0.02, 60), Estimate(0.2, 0.03, 60))
    _, lines, _ = _ask(replace(healthy, inference=InferenceGap(*parts, 100)), monkeypatch)
    at = 1 + len(healthy.checks)
    assert [line.split("  ")[0] for line in lines[at : at + 3]] == [
        "inference gap",
        "of it amortisation",
        "of it left",
    ]
    assert [line.split()[-7:-3] for line in lines[at : at + 3]] == [
        ["0.010", "[0.480,", "0.520]", "-"],
        ["0.020", "[0.261,", "0.339]", "-"],
        ["0.030", "[0.141,", "0.259]", "-"],
    ]
    assert "IW-NLL of 100 draws" in lines[at + 3]
    assert lines[at + 4].startswith("of it amortisation: what refining each sentence's posterior recovers")
    _, without, _ = _ask(replace(healthy, inference=InferenceGap(None, None, None, 1)), monkeypatch)
    assert not any("inference gap" in line for line in without)


def test_help_names_every_threshold_and_what_it_is() -> None:
    shown = CliRunner().invoke(main.app, ["diagnose", "--help"], env={"COLUMNS": "400", "TERMINAL_WIDTH": "400"}).stdout
    for each in fields(Thresholds):
        assert f"{each.name}={each.default:g}" in shown, each.name
