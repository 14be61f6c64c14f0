"""A run with codes under evaluate, diagnose and the conditions: the exact likelihood, the health, what is left out."""

import itertools
import json
import math
from pathlib import Path

import pytest
import torch

from tests.toy_codes import toy_codes
from textlatent import run as verbs
from textlatent.diagnostics.codes import Alphabet
from textlatent.recipe.load import load_recipe
from textlatent.run import codes as run_codes
from textlatent.run.codes import alphabet_of
from textlatent.run.compare import compare
from textlatent.run.conditions import conditions
from textlatent.run.folder import Run
from textlatent.run.players import _listen, _pulls, players
from textlatent.run.probe import probe
from textlatent.run.report import report
from textlatent.run.train import train


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_codes(tmp_path_factory.mktemp("coded")))


@pytest.fixture(scope="module")
def diagnosis(coded: Run) -> dict:
    verbs.diagnose(coded, floor=10)
    return json.loads((coded.folder / "diagnosis.json").read_text())


def test_the_ledger_holds_the_rate_under_both_priors(coded: Run) -> None:
    ledger = coded.ledger
    assert ledger["rate_nats"]["value"] == pytest.approx(2 * math.log(4), rel=1e-12)
    assert ledger["uniform_rate_nats"]["value"] == pytest.approx(2 * math.log(4), rel=1e-12)
    assert ledger["codes_used"]["of"] == 4
    assert 1 <= ledger["code_perplexity"]["value"] <= 4.5
    assert ledger["iw_nll_nats"]["value"] == pytest.approx(ledger["neg_elbo_nats"]["value"], rel=1e-12)


def test_the_marginal_is_the_sum_over_every_code(coded: Run) -> None:
    """-ln sum_k P_pri(k) P_dec(y|k) of the first three sentences by 16 single calls; the gap is what it leaves."""
    ledger, model, split = coded.ledger, coded.model_at("final"), coded.split("test")
    marginal, gap = ledger["marginal_nll_nats"]["value"], ledger["gap_nats"]["value"]
    assert marginal + gap == pytest.approx(ledger["neg_elbo_nats"]["value"], rel=1e-12)
    assert gap > 0
    batch = next(model._batches(split.texts([0, 1, 2]), 3))
    every = []
    for code in itertools.product(range(4), repeat=2):
        z = model.encoder.look_up(torch.tensor([code] * 3))
        dec = model.log_prob_token(batch["tokens"], batch["lengths"], z).sum(1).double()
        every.append(dec - 2 * math.log(4))
    by_hand = -torch.stack(every).logsumexp(0)
    settings = {"accelerator": None, "tokens_per_batch": 64, "precision": "fp32", "progress": None}
    found = run_codes.marginals(
        model, split, positions=torch.arange(3), pad_id=coded.tokenizer.pad_token_id, **settings
    )
    assert found is not None
    torch.testing.assert_close(-found, by_hand, rtol=1e-5, atol=1e-5)
    kept = coded.scores.need("log_marginal")
    torch.testing.assert_close(-kept[:3], by_hand, rtol=1e-5, atol=1e-5)
    assert marginal == pytest.approx(-kept.mean().item(), rel=1e-12)
    assert ledger["perplexity_per_token"]["of"] == "marginal_nll_nats"


def test_too_many_codes_are_not_summed(coded: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_codes, "EXACT", 15)
    settings = {"accelerator": None, "tokens_per_batch": 64, "precision": "fp32", "progress": None, "pad_id": 0}
    positions = torch.arange(1)
    assert run_codes.marginals(coded.model, coded.split("test"), positions=positions, **settings) is None


def test_conditions_of_codes_and_why_the_others_are_left_out(coded: Run) -> None:
    told: list[str] = []
    names = ("own", "other", "prior_draw", "prior_mean", "refined")
    found = conditions(coded, names=names, progress=lambda event: told.append(event.get("text", "")))
    assert set(found) == {"own", "other", "prior_draw"}
    assert any("no condition prior_mean: codes have no mean" in text for text in told)
    assert any("no condition refined: a sentence has one code" in text for text in told)
    assert found["own"].codes is not None


def test_the_diagnosis_holds_the_codebook_s_health(coded: Run, diagnosis: dict) -> None:
    codes, count = diagnosis["codes"], diagnosis["sentences"]
    assert codes["alphabet"] == {"codes": 4, "books": 1}
    assert torch.tensor(codes["counts"]).shape == (2, 4)
    assert sum(map(sum, codes["counts"])) == 2 * count
    assert len(codes["position_entropies_nats"]) == 2
    assert sum(sum(each["positions"]) for each in codes["says"]) == 2 * count
    assert [len(book["counts"]) for book in codes["means"]] == [4]
    assert sum(codes["means"][0]["counts"]) == 2 * count
    assert len(codes["label"]["by_position_nats"]) == 2
    names = [player["player"] for player in codes["players"]]
    assert names == ["encoder", "codebook", "decoder"]  # a uniform prior does not play
    assert all(player["norm"] > 0 and player["noise"] > 0 for player in codes["players"])
    assert {check["name"] for check in diagnosis["checks"]} >= {"nats in the codes", "silent positions", "dead codes"}


@pytest.mark.parametrize("books", ["shared", "position"])
def test_the_codebook_s_pull_is_the_gradient_it_would_have(tmp_path: Path, books: str) -> None:
    """With the codes a parameter under `published`, autograd's gradient is what a rolling average's is taken to be.

    In training mode: words hidden from the encoder and dropout are those that the codes were found with.
    """
    learned = {"model": {"codebook": {"decay": None, "books": books}, "encoder": {"denoising": 0.5}}}
    run = train(toy_codes(tmp_path, learned, {"training": {"steps": 3}}))
    model, train_split = run.model_at("final").train(), run.split("train")
    passed = _listen(model)
    inputs = dict(next(iter(_batches(run, train_split))))
    scores = model(**inputs)
    (scores.distortion().sum() + scores.penalty.sum()).backward()
    every = list(model.encoder.books)
    assert len(every) == (1 if books == "shared" else 2)
    for book, pull in zip(every, _pulls(every, passed), strict=True):
        torch.testing.assert_close(book.vectors.grad, pull, rtol=1e-4, atol=1e-5)


def test_players_leave_the_model_as_it_was(coded: Run) -> None:
    """No mode, gradient or statistics of the sentences that they were measured on."""
    model = coded.model_at("final")
    players(model, coded.split("train"), recipe=coded.recipe, pad_id=coded.tokenizer.pad_token_id)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.encoder.settle(reduce=lambda tensor: tensor)
    usage = "encoder.books.0.usage"
    assert torch.equal(model.state_dict()[usage], before[usage]), "a step that saw nothing"


def test_a_sentence_s_one_code_is_as_effective_as_all_draws(coded: Run) -> None:
    """Equal weights: (sum w)^2 / sum w^2 = K, in the ledger as in a sentence's own row."""
    cell = verbs.evaluate(coded, samples=6)["iw_nll_nats"]
    assert (cell["samples"], cell["ess"], cell["ess_worst_decile"]) == (6, 6.0, 6.0)


def _batches(run: Run, split):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    from textlatent.run.players import in_batches

    for batch in in_batches(split, torch.arange(8), pad_id=run.tokenizer.pad_token_id, size=8):
        yield {name: batch[name] for name in ("tokens", "lengths", "index")}


def test_validations_log_the_usage(coded: Run) -> None:
    events = [event for event in coded.metrics if event["event"] == "validate"]
    assert len(events) == 2
    for event in events:
        assert sum(event["code_counts"]) == 2 * len(coded.split("valid"))
        assert event["codes"] == 4
        assert 1 <= event["codes_used"] <= 4
        assert event["code_perplexity"] >= 1


def test_a_mixture_of_codes_is_refused(coded: Run) -> None:
    with pytest.raises(ValueError, match="no posteriors' densities to mix"):
        verbs.evaluate(coded, mixture=["train"])


def test_the_alphabet_of_a_recipe(tmp_path: Path) -> None:
    assert alphabet_of(load_recipe(toy_codes(tmp_path))) == Alphabet(4, 1)
    books = {"model": {"codebook": {"books": "position"}}}
    assert alphabet_of(load_recipe(toy_codes(tmp_path, books))) == Alphabet(4, 2)
    plain = {"name": "plain", "data": {"path": "corpus"}}
    assert alphabet_of(load_recipe(plain)) is None


def test_a_row_of_codes_lies_beside_a_gaussian_s(coded: Run, tmp_path: Path) -> None:
    """Another K is no hindrance: the sentence's one code is all draws."""
    from tests.toy_run import toy_recipe

    corpus = {"data": {"path": str(coded.recipe.data.path)}}
    plain = train(toy_recipe(tmp_path, corpus, {"training": {"steps": 2}, "evaluation": {"samples": 3, "ladder": [1]}}))
    found = compare([coded, plain])
    table = found.values()
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.texts()]
    assert rows[0]["active units"].endswith("of 4 codes")
    marginal = coded.ledger["marginal_nll_nats"]
    assert rows[0]["NLL"].strip("*") == f"{marginal['value']:.2f} ± {marginal['se']:.2f}"
    assert rows[0]["perplexity per word"].startswith(f"{coded.ledger['perplexity_per_word']['value']:.2f}")
    assert found.to_dict()["samples"] == 3
    assert f"summed over every z, of {coded.recipe.name}, IW-NLL with K = 3 of the others" in table.caption
    assert "evaluate them again" not in table.caption


def test_a_probe_of_codes(coded: Run) -> None:
    found = {row.name: row for row in probe(coded, sentences=100).rows}
    assert found["latents"].judged is not None
    assert found["latents drawn"].judged is None
    assert "function of the sentence" in found["latents drawn"].why


def test_the_report_has_the_codebook(coded: Run, diagnosis: dict, tmp_path: Path) -> None:
    html = report(coded, output=tmp_path / "report.html").read_text()
    assert 'id="codebook"' in html
    assert "What each code says" in html
    assert "code vectors" in html  # the map of z
    assert html.count("<svg") > 8
    assert "The encoder has no density" not in html
