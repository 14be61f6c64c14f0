"""A run's folder: what can be had from it, and what it says when something is not there, damaged or changed."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from textlatent.models import SentenceVAE
from textlatent.run.folder import Run


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy to damage."""
    shutil.copytree(trained.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_what_a_run_is(trained: Run) -> None:
    assert trained.recipe.name == "toy"
    assert trained.corpus.sha256 == trained.corpus_card["sha256"]
    assert len(trained.split("train")) > len(trained.split("test"))
    assert trained.tokenizer.decode_sentences(trained.tokenizer.encode_sentences(["the boat ."])) == ["the boat ."]
    assert trained.ledger["sentences"] == len(trained.scores)
    assert [event["step"] for event in trained.metrics if event["event"] == "validate"] == [20, 40]


def test_its_files_hold_no_pickle(trained: Run) -> None:
    found = {path.suffix for path in trained.folder.rglob("*") if path.is_file()}
    assert found == {".yaml", ".json", ".jsonl", ".safetensors", ".model", ".md", ".png"}


def test_models_by_name(trained: Run) -> None:
    final, best = trained.model_at("final"), trained.model_at("best")
    assert isinstance(final, SentenceVAE)
    assert not final.training
    state = best.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in final.state_dict().items()), "final/ is the best"
    best_step = max(
        (event for event in trained.metrics if event["event"] == "validate" and event["best"]), key=lambda e: e["step"]
    )["step"]
    state = trained.model_at(f"step-{best_step}").state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in final.state_dict().items())
    assert trained.model is trained.model


def test_an_unfinished_run_has_its_best_model(run: Run) -> None:
    shutil.rmtree(run.folder / "final")
    assert torch.equal(run.model.encoder.head.weight, run.model_at("best").encoder.head.weight)
    with pytest.raises(ValueError, match="has no checkpoint 'final'; it has best, step-40, step-20"):
        run.model_at("final")


@pytest.mark.parametrize(("name", "other"), [("final", "step-20"), ("best", "step-20"), ("step-20", "step-40")])
def test_a_damaged_model_is_not_loaded(run: Run, name: str, other: str) -> None:
    folder = run.folder / ("checkpoints" if name.startswith("step") else "") / name
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    expected = f"{name} is damaged: model.safetensors does not match its sha256; use --checkpoint {other}, or run"
    with pytest.raises(ValueError, match=expected):
        run.model_at(name)


def test_the_only_model_damaged(run: Run) -> None:
    for name in ("best", "checkpoints"):
        shutil.rmtree(run.folder / name)
    (run.folder / "final" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="final is damaged: config.json does not match its sha256; run `train` again"):
        run.model_at("final")


def test_no_run_no_ledger_no_model(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a run's folder: it has no recipe.yaml. Runs are made by `train`"):
        Run(tmp_path)
    (run.folder / "ledger.json").unlink()
    with pytest.raises(ValueError, match="has no ledger yet; run `textlatent evaluate"):
        _ = run.ledger
    for name in ("best", "final", "checkpoints"):
        shutil.rmtree(run.folder / name)
    with pytest.raises(ValueError, match="it has none yet: train it first"):
        run.model_at("best")


def test_a_changed_corpus_is_refused(run: Run, tmp_path: Path) -> None:
    """One label is enough: the sha256 is of sentences, labels and splits."""
    corpus = Path(run.recipe.data.path)
    lines = corpus.read_text().splitlines(keepends=True)
    (tmp_path / "changed.tsv").write_text("".join([lines[0], lines[2].replace("\t", " too\t", 1), *lines[2:]]))
    recipe = (run.folder / "recipe.yaml").read_text()
    (run.folder / "recipe.yaml").write_text(recipe.replace(str(corpus), str(tmp_path / "changed.tsv")))
    with pytest.raises(ValueError, match=r"changed.tsv has changed since the run .* began: sha256 .* Restore it, or"):
        Run(run.folder).split("test")


def test_a_text_of_plain_lines_or_of_a_column(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("the boat .\nthe sail .\n")
    (tmp_path / "table.csv").write_text("n,text\n1,the boat .\n2,the sail .\n")
    for name in ("plain", "table.csv"):
        split = trained.text(tmp_path / name)
        assert split.texts([0, 1]) == ["the boat .", "the sail ."]
    (tmp_path / "wrong.csv").write_text("n,sentence\n1,the boat .\n")
    with pytest.raises(ValueError, match="wrong.csv.*text"):
        trained.text(tmp_path / "wrong.csv")


def test_json_without_constants(trained: Run) -> None:
    """What other people's readers take: no NaN, no Infinity."""
    for path in trained.folder.rglob("*.json*"):
        for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            json.loads(line, parse_constant=pytest.fail)


UNPICKLED: list[str] = []
sys.addaudithook(lambda event, _: UNPICKLED.append(event) if event == "pickle.find_class" else None)


def test_nothing_is_unpickled(trained: Run) -> None:
    """tests/training/test_checkpoint.py shows that such a hook hears a pickle."""
    UNPICKLED.clear()
    again = Run(trained.folder)
    for name in ("final", "best", "step-40"):
        again.model_at(name)
    _ = again.tokenizer, again.scores, again.ledger, again.metrics, again.recipe
    assert UNPICKLED == []
