"""score: nats per sentence, as rows, CSV and JSONL."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from textlatent.nats.montecarlo import log_mean_exp
from textlatent.run.evaluate import evaluate
from textlatent.run.folder import Run
from textlatent.run.score import COLUMNS, score


def test_rows_are_the_models_own_nats(trained: Run, text_file: Path) -> None:
    """The model, asked directly with the run's seed, says the same of each sentence."""
    rows = score(trained, text_file, samples=5)
    sentences = text_file.read_text().splitlines()
    scores = trained.model_at("final").score(sentences, samples=5, seed=trained.recipe.seed)
    assert [row["sentence"] for row in rows] == sentences
    assert [row["tokens"] for row in rows] == scores.tokens.tolist()
    for name, tensor in (
        ("rate_nats", scores.rate()),
        ("distortion_nats", scores.distortion()),
        ("neg_elbo_nats", scores.neg_elbo()),
        ("iw_nll_nats", -log_mean_exp(scores.log_weights(), 0)),
    ):
        torch.testing.assert_close(torch.tensor([row[name] for row in rows]), tensor.float(), atol=1e-3, rtol=1e-5)
    assert all(1.0 <= row["ess"] <= 5.0 for row in rows)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_files(trained: Run, text_file: Path, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"scores.{ending}"
    rows = score(str(trained.folder), text_file, path, samples=2)
    with path.open(newline="", encoding="utf-8") as file:
        if ending == "csv":
            found = list(csv.DictReader(file))
            assert tuple(found[0]) == COLUMNS
            assert [{**row, "sentence": ""} for row in found] == [
                {name: str(value) for name, value in row.items()} | {"sentence": ""} for row in rows
            ]
        else:
            found = [json.loads(line) for line in file]
            assert found == rows
    assert [row["sentence"] for row in found] == text_file.read_text().splitlines()


def test_sentences_that_csv_and_json_must_quote(trained: Run, tmp_path: Path) -> None:
    text = ['a "quoted", comma', "tab\tinside", "é \U0001f600"]
    (tmp_path / "odd.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    for ending in ("csv", "jsonl"):
        path = tmp_path / f"scores.{ending}"
        score(trained, tmp_path / "odd.txt", path, samples=1)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file)) if ending == "csv" else [json.loads(line) for line in file]
        assert [row["sentence"] for row in rows] == text


def test_a_column_of_a_file(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "table.jsonl").write_text('{"text": "the boat .", "n": 1}\n{"text": "the sail .", "n": 2}\n')
    assert [row["sentence"] for row in score(trained, tmp_path / "table.jsonl", samples=1)] == [
        "the boat .",
        "the sail .",
    ]


@pytest.mark.parametrize("world", [1, 2])
def test_processes_share_the_work_and_one_speaks(
    trained: Run, text_file: Path, tmp_path: Path, processes: Processes, world: int
) -> None:
    """`accelerate launch -m textlatent score` and `evaluate`: what one process says, said and written once."""
    shutil.copytree(trained.folder, tmp_path / "run")
    for verb in (["score", "run", "text.txt", "--samples", "3"], ["evaluate", "run", "--samples", "3"]):
        arguments = [str(tmp_path / each) if each in ("run", "text.txt") else each for each in verb]
        job = processes.start("tests.processes:command_line", *arguments, world=world, folder=tmp_path / "job")
        assert job.wait() == [0] * world, job.errors()
        if verb[0] == "score":
            rows = [json.loads(line) for line in job.output().splitlines()]
            for row, expected in zip(rows, score(trained, text_file, samples=3), strict=True):
                assert row.pop("sentence") == expected.pop("sentence")
                assert row == pytest.approx(expected, rel=1e-5)
        assert all(job.output(rank) == "" for rank in range(1, world))
    ledger = evaluate(Run(tmp_path / "run"), samples=3)
    found = json.loads((tmp_path / "run" / "ledger.json").read_text())
    assert found["iw_nll_nats"]["value"] == pytest.approx(ledger["iw_nll_nats"]["value"], rel=1e-6)
    assert found["sentences"] == ledger["sentences"]


def test_what_was_left_out_is_told(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "holes.txt").write_text("the boat .\n\n\nthe sail .\n")
    events: list[dict[str, Any]] = []
    assert len(score(trained, tmp_path / "holes.txt", samples=1, progress=events.append)) == 2
    assert any("2 empty" in event["text"] for event in events if event["event"] == "note")


def test_faults(trained: Run, text_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the output must end in .csv or .jsonl, got .*rows.xlsx"):
        score(trained, text_file, tmp_path / "rows.xlsx")
    with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
        score(trained, text_file, samples=0)
    with pytest.raises(ValueError, match="could not write .*rows.csv: .*No such file or directory"):
        score(trained, text_file, tmp_path / "nowhere" / "rows.csv", samples=1)
    with pytest.raises(ValueError, match="is not a run's folder: it has no recipe.yaml"):
        score(tmp_path, text_file)
