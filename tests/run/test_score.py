"""score: nats per sentence, as rows, CSV and JSONL."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from textlatent.nats.montecarlo import log_mean_exp
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
