"""report on a run that was trained: what is in the folder is on the page, what is not names its command."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from textlatent.cli.main import app
from textlatent.run.folder import Run
from textlatent.run.report import gather, report
from textlatent.scores import Scores


@pytest.fixture
def copied(trained: Run, tmp_path: Path) -> Path:
    """The trained run's folder without its checkpoints, to change."""
    folder = tmp_path / "copied"
    shutil.copytree(trained.folder, folder, ignore=shutil.ignore_patterns("checkpoints", "best", "final"))
    return folder


def _with_conditions(folder: Path) -> None:
    """own and other, token by token: the second token gains a nat."""
    own = Scores.load(folder / "scores.safetensors")[0]
    tokens = own.need("tokens")
    scored = torch.arange(int(tokens.max())) < tokens[:, None]
    (folder / "conditions").mkdir()
    for name, second in (("own", -1.0), ("other", -2.0)):
        nats = torch.full(scored.shape, -1.0)
        nats[:, 1] = second
        record = Scores(log_p_dec_token=nats * scored, tokens=tokens, index=own.index)
        record.save(folder / "conditions" / f"{name}.safetensors")


def test_the_page_of_a_trained_run(copied: Path) -> None:
    _with_conditions(copied)
    notes: list[str] = []
    written = report(copied, progress=lambda event: notes.append(event["text"]))
    assert written == copied / "report.html"
    html = written.read_text()
    assert notes == [f"There is no verdict yet; `textlatent diagnose {copied}` makes it."]
    ledger = json.loads((copied / "ledger.json").read_text())
    assert f"{ledger['neg_elbo_nats']['value']:.3f}" in html
    assert ledger["corpus"]["sha256"] in html
    content = gather(Run(copied))
    assert [picture.title for picture in content.carries][-1] == "Gain of each token"
    assert "most (1.00) at token 2" in content.carries[-1].caption
    assert "by label" in content.latent[1].caption
    labels = json.loads((copied / "corpus.json").read_text())["labels"]
    assert any(label in content.latent[1].svg for label in labels)


def test_the_page_is_the_same_twice_and_needs_no_model(copied: Path) -> None:
    first = report(copied, output=copied / "one.html").read_text()
    assert first == report(Run(copied), output=copied / "two.html").read_text()
    assert not (copied / "report.html").exists()


def test_a_run_that_has_only_begun(copied: Path) -> None:
    for name in ("ledger.json", "scores.safetensors", "samples.json", "metrics.jsonl"):
        (copied / name).unlink()
    content = gather(Run(copied))
    assert set(content.missing) == {"ledger", "diagnosis", "samples", "course", "dimensions", "use", "latent"}
    assert all("`textlatent " in sentence for sentence in content.missing.values())
    assert "Not diagnosed" in report(copied).read_text()


def test_the_diagnosis_colours_the_page_and_dates_the_collapse(copied: Path) -> None:
    diagnosis: dict[str, Any] = {"overall": "collapsed", "advice": "Try a target.", "sentences": 9, "checks": []}
    (copied / "diagnosis.json").write_text(json.dumps(diagnosis | {"notes": [], "collapse_step": 20}))
    html = report(copied).read_text()
    assert '<section class="verdict ill"' in html
    assert "Try a target." in html
    assert "Collapse began at step 20." in html


def test_sentences_without_labels_are_coloured_by_length(copied: Path) -> None:
    scores = Scores.load(copied / "scores.safetensors")[0].to_dict()
    Scores.from_dict(scores | {"label": torch.full((len(scores["tokens"]),), -1)}).save(copied / "scores.safetensors")
    caption = gather(Run(copied)).latent[1].caption
    assert "by length in tokens" in caption


def test_a_prior_that_does_not_factorise_is_not_drawn(copied: Path) -> None:
    scores = Scores.load(copied / "scores.safetensors")[0].to_dict()
    kept = {name: tensor for name, tensor in scores.items() if name not in ("prior_mean", "prior_log_variance", "kl")}
    Scores.from_dict(kept).save(copied / "scores.safetensors")
    densities, plane = gather(Run(copied)).latent
    assert "no product of Gaussians" in densities.caption
    assert "Dashed" not in plane.caption


@pytest.mark.parametrize("size", [0, 1])
def test_a_latent_of_no_or_one_dimension(copied: Path, size: int) -> None:
    scores = Scores.load(copied / "scores.safetensors")[0].to_dict()
    for name in ("kl", "z", "posterior_mean", "posterior_log_variance", "prior_mean", "prior_log_variance"):
        scores[name] = scores[name][..., :size].contiguous()
    Scores.from_dict(scores).save(copied / "scores.safetensors")
    content = gather(Run(copied))
    assert len(content.latent) == 2 * size
    assert ("latent" in content.missing) == (size == 0)


@pytest.mark.parametrize("name", ["ledger.json", "diagnosis.json", "scores.safetensors"])
def test_a_damaged_file_is_named(copied: Path, name: str) -> None:
    (copied / name).write_bytes(b"{half")
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        report(copied)


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a run's folder"):
        report(tmp_path)


def test_the_verb(copied: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(copied), "--output", str(copied / "page.html")])
    assert done.exit_code == 0, done.output
    assert f"wrote {copied / 'page.html'}" in done.output
    assert "textlatent diagnose" in done.output
    assert (copied / "page.html").read_text().startswith("<!DOCTYPE html>")


def test_conditions_of_other_sentences_are_not_put_side_by_side(copied: Path) -> None:
    """A diagnosis of one sentence scores its own z alone and leaves the other z of an earlier diagnosis behind."""
    _with_conditions(copied)
    own = Scores.load(copied / "conditions" / "own.safetensors")[0]
    own.select(torch.arange(1)).save(
        copied / "conditions" / "own.safetensors", about={"condition": "own", "sentences": 1}
    )
    content = gather(Run(copied))
    assert "textlatent diagnose" in content.missing["use"]
    assert "Gain of each token" not in [picture.title for picture in content.carries]
