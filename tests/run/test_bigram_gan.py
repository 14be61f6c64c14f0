"""A run of kind bigram_gan from recipe to ledger, verdict, samples; resumed; refused where it must be."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import write_toy
from tests.training.test_adversarial import values
from textlatent import run as verbs
from textlatent.run.bigram_gan_folder import gan_at, text_of
from textlatent.run.folder import Run
from textlatent.run.recipes import ShippedRecipe, list_recipes


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("gan")
    return verbs.train(values(folder, {"training": {"steps": 30, "samples": 64, "validate_every": 15}}))


def test_what_a_run_leaves(trained: Run) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    assert names >= {"recipe.yaml", "metrics.jsonl", "checkpoints", "best", "final", "ledger.json", "samples.json"}
    assert names >= {"scores.safetensors", "corpus.json", "tokenizer"}
    events = [json.loads(line)["event"] for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert events.count("log") == 30
    assert events.count("validate") == 2


def test_the_ledger_says_what_there_is_and_why_the_rest_is_blank(trained: Run) -> None:
    ledger = trained.ledger
    for key in ("rate_nats", "neg_elbo_nats", "information_nats", "mismatch_nats", "active_units"):
        assert ledger[key]["value"] is None
        assert "a bigram GAN has no z" in ledger[key]["why"]
    for key in ("iw_nll_nats", "gap_nats"):
        assert "exact here" in ledger[key]["why"]
    nll, floor = ledger["distortion_nats"]["value"], ledger["floor_nats"]["value"]
    assert ledger["over_floor_nats"]["value"] == pytest.approx(nll - floor, abs=1e-12)
    assert nll > floor > 0
    assert ledger["reverse_nll_nats"]["value"] > 0
    assert 0 <= ledger["unended_share"]["value"] <= 1
    rows = {row.name: row for row in verbs.ledger_rows(ledger)}
    assert rows["NLL above it"].value == pytest.approx(nll - floor)
    assert rows["rate"].value is None
    assert json.loads(json.dumps(ledger)) == ledger


def test_the_distortion_is_the_tables_own_sum(trained: Run) -> None:
    model, split = gan_at(trained), text_of(trained).split("test")
    log_p, log_q = model.generator.log_start(), model.generator.log_transition()
    total = 0.0
    for i in range(len(split)):
        row = split.tokens[split.offsets[i] : split.offsets[i + 1]].long()
        total -= float((log_p[row[0]] + log_q[row[:-1], row[1:]].sum()).detach())
    assert trained.ledger["distortion_nats"]["value"] == pytest.approx(total / len(split), rel=1e-12)


@pytest.mark.slow
def test_the_language_is_summed_where_it_is_known(tmp_path: Path) -> None:
    """The whole toy corpus: its language.json lies beside it."""
    given = values(tmp_path, {"training": {"steps": 1, "samples": 8, "sentences_per_step": 8}})
    given["data"] = {"path": "data/toy/sentences.tsv", "max_tokens": 13}
    ledger = verbs.train(given).ledger
    entropy, cells = ledger["exact_entropy_nats"]["value"], ledger
    assert cells["forward_kl_nats"]["value"] == pytest.approx(50.2 - entropy, abs=1.5)
    assert 0.69 < cells["jsd_nats"]["value"] <= 0.6931472
    assert cells["reverse_kl_nats"]["value"] is None
    assert "infinite: 100.00% of what it writes is not of the language" in cells["reverse_kl_nats"]["why"]
    assert ledger["excess_nats"]["value"] > 30


def test_samples_belong_to_their_number(trained: Run) -> None:
    many = verbs.sample(trained, 5, seed=3)
    assert many[:2] == verbs.sample(trained.folder, 2, seed=3)
    assert all(text.split() for text in many if text)
    with pytest.raises(ValueError, match="without temperature; leave it out"):
        verbs.sample(trained, 2, temperature=0.5)
    with pytest.raises(ValueError, match="count must be >= 1"):
        verbs.sample(trained, 0)


def test_the_verdict(trained: Run) -> None:
    found = verbs.diagnose(trained, floor=10)
    assert found.overall in ("behind", "dropping", "rambling")
    content = json.loads((trained.folder / "diagnosis.json").read_text())
    assert content["overall"] == found.overall
    assert verbs.diagnose(trained, sentences=5).overall == "underpowered"
    with pytest.raises(ValueError, match="there is no threshold flor; there are floor, "):
        verbs.diagnose(trained, flor=1)
    with pytest.raises(ValueError, match="leave baseline out"):
        verbs.diagnose(trained, baseline="x")


def test_inverse_cdf_stays_where_it_began_and_the_verdict_says_so(tmp_path: Path) -> None:
    given = values(tmp_path, {"model": {"generator": {"estimator": "inverse_cdf"}}, "training": {"steps": 5}})
    stayed = verbs.train(given)
    vocabulary = len(stayed.tokenizer)
    assert stayed.ledger["perplexity_per_token"]["value"] == pytest.approx(vocabulary, rel=1e-12)
    assert verbs.diagnose(stayed, floor=10).overall == "without gradient"


def test_text_checkpoints_and_what_is_refused(trained: Run, text_file: Path) -> None:
    ledger = verbs.evaluate(trained, text=text_file)
    assert ledger["sentences"] == 7
    assert (trained.folder / "ledger-text.json").exists()
    assert verbs.evaluate(trained, checkpoint="step-28", sentences=3, split="valid")["sentences"] == 3
    with pytest.raises(ValueError, match="of no use here: a bigram GAN has no z"):
        verbs.evaluate(trained, samples=5)
    with pytest.raises(ValueError, match="split must be one of train, valid, test, got 'dev'"):
        verbs.evaluate(trained, split="dev")
    for verb in (verbs.reconstruct, verbs.interpolate):
        with pytest.raises(ValueError, match="a run of kind bigram_gan has no such verb; it has train, evaluate, "):
            verb(trained, "x")


def test_the_same_command_resumes_and_another_recipe_is_refused(trained: Run, tmp_path: Path) -> None:
    notes: list[str] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "note":
            notes.append(event["text"])

    folder = trained.folder.parent.parent
    given = values(folder, {"training": {"steps": 30, "samples": 64, "validate_every": 15}})
    before = gan_at(trained).state_dict()
    verbs.train(given, progress=watch)
    assert "resumed from checkpoint step-30." in notes
    assert all(torch.equal(a, b) for a, b in zip(before.values(), gan_at(trained).state_dict().values(), strict=True))
    with pytest.raises(ValueError, match="holds a run of another recipe: training.samples differ"):
        verbs.train(given, overrides=["training.samples=32"])


def test_a_run_can_start_from_another(trained: Run, tmp_path: Path) -> None:
    given = values(tmp_path, {"model": {"generator": {"estimator": "inverse_cdf"}}, "training": {"steps": 1}})
    given["data"] = {"path": str(trained.folder.parent.parent / "corpus" / "sentences.tsv"), "max_tokens": 14}
    again = verbs.train(given, start=trained.folder)
    for a, b in zip(gan_at(trained).generator.parameters(), gan_at(again).generator.parameters(), strict=True):
        assert torch.equal(a, b)
    given["data"]["max_tokens"] = 16
    with pytest.raises(ValueError, match="tensors are missing or of another shape, first baseline"):
        verbs.train(given | {"name": "other"}, start=trained.folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shipped", [each for each in list_recipes() if each.name.startswith("gan/")], ids=lambda each: each.name
)
def test_every_recipe_of_this_kind_trains_two_rounds(shipped: ShippedRecipe, tmp_path: Path) -> None:
    path = write_toy(tmp_path)
    settings = [f"data.path={path}", "data.max_tokens=14", "training.steps=2", "training.samples=16"]
    settings += ["training.sentences_per_step=16", "tokenizer.vocabulary=60", "evaluation.sentences=8"]
    ledger = verbs.train(shipped.path, overrides=settings, out=tmp_path).ledger
    assert ledger["sentences"] == 8
    assert ledger["distortion_nats"]["value"] > 0
