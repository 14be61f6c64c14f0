"""evaluate: the ledger is what its Scores say, on a split and on a text, and is written beside them."""

import hashlib
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import TOY, toy_recipe
from textlatent.diagnostics.ledger import build_ledger
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import log_mean_exp
from textlatent.run.evaluate import choose, evaluate
from textlatent.run.folder import Run
from textlatent.run.train import train
from textlatent.scores import Scores


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy to write in."""
    shutil.copytree(trained.folder, tmp_path / "run")
    return Run(tmp_path / "run")


def test_the_ledger_is_that_of_its_scores(run: Run) -> None:
    ledger = evaluate(run, samples=6)
    scores, about = Scores.load(run.folder / "scores.safetensors")
    assert json.loads((run.folder / "ledger.json").read_text()) == ledger == run.ledger
    assert scores.index.tolist() == list(range(len(run.split("test"))))
    assert scores.log_p_dec.shape == (6, len(scores))
    assert ledger["sentences"] == len(scores)
    assert ledger["rate_nats"]["value"] == pytest.approx(scores.rate().mean().item())
    assert ledger["distortion_nats"]["value"] == pytest.approx(scores.distortion().mean().item())
    assert ledger["neg_elbo_nats"]["value"] == pytest.approx(scores.neg_elbo().mean().item())
    nll = -log_mean_exp(scores.log_weights(), 0)
    assert ledger["iw_nll_nats"]["value"] == pytest.approx(nll.mean().item())
    assert ledger["iw_nll_nats"]["samples"] == 6
    assert ledger["rate_nats"]["se"] == pytest.approx(scores.rate().std().item() / math.sqrt(len(scores)))
    assert (ledger["tokens"], ledger["words"]) == (int(scores.tokens.sum()), int(scores.words.sum()))
    assert about["model"] == ledger["model"]


def test_what_stands_beside_the_numbers(run: Run) -> None:
    ledger = evaluate(run, samples=1)
    card = json.loads((run.folder / "corpus.json").read_text())
    assert ledger["corpus"] == {"path": card["path"], "sha256": card["sha256"]}
    assert ledger["split"] == "test"
    assert ledger["seed"] == 5
    assert ledger["model"] == {"run": str(run.folder), "checkpoint": "final", "type": "textlatent_gaussian_vae"}
    assert {"torch", "textlatent"} <= ledger["versions"].keys()
    assert ledger["notes"] == run.split("test").notes
    json.loads((run.folder / "ledger.json").read_text(), parse_constant=pytest.fail)


def test_the_same_again_to_the_digit(run: Run) -> None:
    one, other = evaluate(run, samples=4), evaluate(str(run.folder), samples=4)
    assert one == other


def test_another_split_has_its_own_files(run: Run) -> None:
    before = (run.folder / "ledger.json").read_bytes()
    ledger = evaluate(run, split="valid", samples=2)
    assert ledger["sentences"] == len(run.split("valid"))
    assert (run.folder / "ledger.json").read_bytes() == before
    assert json.loads((run.folder / "ledger-valid.json").read_text()) == ledger
    assert len(Scores.load(run.folder / "scores-valid.safetensors")[0]) == ledger["sentences"]


def test_some_sentences_are_the_same_some_every_time(run: Run) -> None:
    ledger = evaluate(run, sentences=5, samples=2)
    scores = run.scores
    assert ledger["sentences"] == 5
    assert scores.index.tolist() == choose(len(run.split("test")), 5, run.recipe.data.split_seed).tolist()
    whole = evaluate(run, samples=2)
    assert whole["sentences"] > 5
    torch.testing.assert_close(run.scores.select(scores.index).kl, scores.kl)


def test_choose_is_sorted_seeded_and_without_repeats() -> None:
    chosen = choose(100, 10, 3)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == 10
    assert chosen.tolist() != choose(100, 10, 4).tolist()
    for wanted in (None, 100, 101):
        assert choose(100, wanted, 3).tolist() == list(range(100))
    with pytest.raises(ValueError, match="at least one sentence must be asked for, got 0"):
        choose(100, 0, 3)


def test_a_text_file(run: Run, text_file: Path) -> None:
    ledger = evaluate(run, text=text_file, samples=2)
    scores, _ = Scores.load(run.folder / "scores-text.safetensors")
    assert ledger["split"] == str(text_file)
    sha256 = hashlib.sha256(text_file.read_bytes()).hexdigest()
    assert ledger["corpus"] == {"path": str(text_file), "sha256": sha256}, "of what was scored"
    assert ledger["sentences"] == 7
    assert scores.words.tolist() == [len(line.split()) for line in text_file.read_text().splitlines()]
    assert scores.kl[1].tolist() == pytest.approx(scores.kl[4].tolist()), "the same sentence twice"
    assert json.loads((run.folder / "ledger-text.json").read_text()) == ledger


def test_other_splits_enlarge_the_mixture(run: Run) -> None:
    """Of the split that is evaluated, the sentences that are not; no sentence is its own other."""
    alone = evaluate(run, samples=1, sentences=10)
    more = evaluate(run, samples=1, sentences=10, mixture=["valid", "test", "valid"])
    left = len(run.split("test")) - 10
    assert more["mixture"] == {"valid": len(run.split("valid")), "test": left}
    assert "mixture" not in alone
    components = 10 + len(run.split("valid")) + left
    assert more["information_nats"]["components"] == components
    assert more["information_nats"]["cap"] == pytest.approx(math.log(components))
    expected = run.model.encode(run.split("valid").texts(range(len(run.split("valid")))))
    kept = torch.isin(torch.arange(len(run.split("test"))), run.scores.index)
    rest = run.model.encode(run.split("test").texts((~kept).nonzero().squeeze(1)))
    others = DiagonalGaussian(
        torch.cat([expected.mean, rest.mean]), torch.cat([expected.log_variance, rest.log_variance])
    )
    by_hand = build_ledger(run.scores, others=others)["information_nats"]
    assert more["information_nats"]["lower"] == pytest.approx(by_hand["lower"], abs=1e-4)
    assert more["rate_nats"] == alone["rate_nats"]
    with pytest.raises(ValueError, match="every sentence of test is evaluated already; name another split"):
        evaluate(run, samples=1, mixture=["test"])


def test_a_text_needs_no_corpus(run: Run, text_file: Path, tmp_path: Path) -> None:
    """The run alone has travelled to another machine."""
    recipe = (run.folder / "recipe.yaml").read_text()
    (run.folder / "recipe.yaml").write_text(recipe.replace(run.recipe.data.path, str(tmp_path / "gone.tsv")))
    assert evaluate(Run(run.folder), text=text_file, samples=1)["sentences"] == 7


def test_what_was_left_out_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "holes.txt").write_text("the poor sailor sells his sail now .\n\nthe unheard-of zebra .\n")
    events: list[dict[str, Any]] = []
    evaluate(run, text=tmp_path / "holes.txt", samples=1, progress=events.append)
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert any("empty" in note for note in notes)
    assert any("unknown to the tokenizer" in note for note in notes)
    assert events[-1]["event"] == "ledger"
    assert [event["done"] for event in events if event["event"] == "progress"][-1] == 2


@pytest.mark.parametrize("count", [1, 2])
def test_one_sentence_has_no_error_and_no_information(run: Run, tmp_path: Path, count: int) -> None:
    (tmp_path / "few.txt").write_text("the poor sailor sells his sail now .\n" * count)
    ledger = evaluate(run, text=tmp_path / "few.txt", samples=1)
    assert (ledger["rate_nats"]["se"] is None) == (count == 1)
    assert ledger["information_nats"] == {"value": None, "why": f"it needs at least 3 sentences, got {count}."}
    json.loads((run.folder / "ledger-few.json").read_text(), parse_constant=pytest.fail)


def test_a_checkpoint_by_name(run: Run) -> None:
    final, early = (evaluate(run, samples=1, checkpoint=name) for name in ("final", "step-20"))
    assert early["model"]["checkpoint"] == "step-20"
    assert early["neg_elbo_nats"]["value"] != final["neg_elbo_nats"]["value"]


def test_bf16_is_near(run: Run) -> None:
    exact, rounded = (evaluate(run, samples=1, precision=name)["neg_elbo_nats"]["value"] for name in ("fp32", "bf16"))
    assert exact != rounded
    assert exact == pytest.approx(rounded, rel=2.0**-7)


def test_faults(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
        evaluate(run, samples=0)
    with pytest.raises(ValueError, match="at least one sentence must be asked for, got 0"):
        evaluate(run, sentences=0)
    with pytest.raises(ValueError, match="no checkpoint 'step-7'; it has best, final, step-40, step-20"):
        evaluate(run, checkpoint="step-7")
    with pytest.raises(ValueError, match="nowhere.txt"):
        evaluate(run, text=tmp_path / "nowhere.txt")
    (tmp_path / "long.txt").write_text("the boat .\n" + "the " * 20 + "\n")
    with pytest.raises(ValueError, match=r"long.txt:2\) has 21 tokens with EOS, over data.max_tokens 16"):
        evaluate(run, text=tmp_path / "long.txt")


def test_a_toy_corpus_knows_its_entropy(tmp_path: Path) -> None:
    """The card beside the corpus names the language; every sentence's exact -ln P(y) is set against its IW-NLL."""
    recipe = toy_recipe(
        tmp_path, {"training": {"steps": 2}, "evaluation": {"sentences": 6, "samples": 2, "ladder": [1]}}
    )
    shutil.copy(TOY.parent / "language.json", Path(recipe["data"]["path"]).parent)
    ledger = train(recipe).ledger
    entropy = json.loads((TOY.parent / "language.json").read_text())["entropy_nats"]
    assert ledger["exact_entropy_nats"]["value"] == pytest.approx(entropy)
    exact = ledger["exact_entropy_nats"]["these_sentences"]["value"]
    assert ledger["excess_nats"]["value"] == pytest.approx(ledger["iw_nll_nats"]["value"] - exact)
    assert ledger["excess_nats"]["value"] > 0.0, "after two steps it knows less than the language"
