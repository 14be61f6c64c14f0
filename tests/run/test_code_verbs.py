"""A run with codes and a prior learned after them, through the verbs that use a model."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_codes import toy_codes
from textlatent import run as verbs
from textlatent.models import SentenceVQ
from textlatent.run import codes as run_codes
from textlatent.run.folder import Run
from textlatent.run.interpolate import codes_between, interpolate
from textlatent.run.sample import sample
from textlatent.run.score import score
from textlatent.run.train import train

TWO: dict[str, Any] = {
    "model": {"code_prior": {"type": "autoregressive", "size": 8, "heads": 2, "layers": 1}},
    "training": {"save_every": 20, "learning_rate": 0.02},
    "stages": [
        {"name": "codes", "steps": 20, "learn": ["encoder", "decoder"]},
        {"name": "prior", "steps": 40, "learn": ["prior"]},
    ],
}


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_codes(tmp_path_factory.mktemp("coded"), TWO))


def test_a_run_gives_its_own_class(coded: Run) -> None:
    for checkpoint in ("final", "best", "step-60"):
        model = coded.model_at(checkpoint)
        assert isinstance(model, SentenceVQ)
        assert model.encoder.started
        assert not model.training


def test_an_encoder_that_some_stage_learned_was_not_held(coded: Run) -> None:
    """The last stage learns the prior alone, the first the encoder (THEORY T6b holds for one that nobody learned)."""
    assert "encoder" not in coded.recipe.stages[-1].learn
    assert "encoder" not in coded.ledger


def test_the_prior_s_stage_lowers_the_rate_and_leaves_the_distortion(coded: Run) -> None:
    validations = [event for event in coded.metrics if event["event"] == "validate"]
    codes = [event for event in validations if event["stage"] == "codes"][-1]
    prior = [event for event in validations if event["stage"] == "prior"][-1]
    assert codes["rate_nats"] == pytest.approx(2 * math.log(4), rel=1e-12)
    assert prior["rate_nats"] < codes["rate_nats"] - 0.05
    assert prior["distortion_nats"] == pytest.approx(codes["distortion_nats"], rel=1e-9)


def test_a_sentence_s_score_is_the_model_s_own(coded: Run, text_file: Path) -> None:
    rows = score(coded, text_file, samples=3)
    own = coded.model_at("final").score([row["sentence"] for row in rows])
    for row, rate, distortion in zip(rows, own.rate().tolist(), own.distortion().tolist(), strict=True):
        assert row["rate_nats"] == pytest.approx(rate, rel=1e-5)
        assert row["distortion_nats"] == pytest.approx(distortion, rel=1e-5)
        assert row["iw_nll_nats"] == pytest.approx(row["neg_elbo_nats"], rel=1e-12), "every draw is the same"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_sentence_s_exact_likelihood_has_a_column(
    coded: Run, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """-ln P(y), the model's own sum over 16 codes; without the column where there are too many to sum over."""
    output = tmp_path / f"rows.{ending}"
    rows = score(coded, text_file, output, samples=1)
    model, texts = coded.model_at("final"), [row["sentence"] for row in rows]
    for row, batch in zip(rows, model._batches(texts, 1), strict=True):
        log_p = model.log_marginal(batch["tokens"], batch["lengths"]).item()
        assert row["marginal_nll_nats"] == pytest.approx(-log_p, rel=1e-5)
        assert row["marginal_nll_nats"] < row["neg_elbo_nats"]
    text = output.read_text(encoding="utf-8").splitlines()
    written = list(csv.DictReader(text)) if ending == "csv" else [json.loads(line) for line in text]
    kept = [float(row["marginal_nll_nats"]) for row in written]
    assert kept == [row["marginal_nll_nats"] for row in rows]
    monkeypatch.setattr(run_codes, "EXACT", 15)
    assert "marginal_nll_nats" not in score(coded, text_file, output, samples=1)[0]
    assert "marginal_nll_nats" not in output.read_text(encoding="utf-8")


def test_samples_are_codes_first_then_words(coded: Run) -> None:
    model, seed = coded.model_at("final"), 3
    for temperature in (None, 1e-3):
        found = sample(coded, 4, seed=seed, code_temperature=temperature)
        codes = model.sample_codes(4, seed=seed, temperature=temperature or 1.0)
        torch.manual_seed(seed)
        assert found == model.decode(codes, do_sample=True, top_k=0)
    assert codes.unique(dim=0).shape[0] == 1


def test_a_gaussian_model_has_no_temperature_of_codes(trained: Run) -> None:
    with pytest.raises(ValueError, match="code_temperature is of a prior over codes, and this model has none"):
        sample(trained, 2, code_temperature=0.5)


def test_reconstructions_are_of_the_codes(coded: Run) -> None:
    model, texts = coded.model_at("final"), coded.split("test").texts(range(4))
    assert verbs.reconstruct(coded, texts).reconstructions == model.decode(model.encode(texts).codes)


def test_between_two_codes_positions_change_one_after_another() -> None:
    first, second = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 2, 6, 7])
    path, at = codes_between(first, second, steps=9)
    assert path.tolist() == [[1, 2, 3, 4], [5, 2, 3, 4], [5, 2, 6, 4], [5, 2, 6, 7]]
    assert at == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert codes_between(first, second, steps=2)[0].tolist() == [[1, 2, 3, 4], [5, 2, 6, 7]]
    assert codes_between(first, first, steps=5)[0].tolist() == [[1, 2, 3, 4]] * 2
    with pytest.raises(ValueError, match="steps must be >= 2"):
        codes_between(first, second, steps=1)


def test_interpolation_is_through_codes(coded: Run) -> None:
    model, (a, b) = coded.model_at("final"), coded.split("test").texts([0, 1])
    codes = model.encode([a, b]).codes
    path, at = codes_between(codes[0], codes[1], steps=7)
    found = interpolate(coded, a, b)
    assert (found.sentences, found.at) == (model.decode(path), at)
    with pytest.raises(ValueError, match="between codes there is no slerp"):
        interpolate(coded, a, b, kind="slerp")
    with pytest.raises(ValueError, match="needs Gaussian posteriors, and this model's z are codes"):
        interpolate(coded, a, dimension=0)


def test_what_only_a_gaussian_has_is_refused(coded: Run, tmp_path: Path) -> None:
    text = coded.split("test").texts([0])[0]
    for call in (
        lambda: verbs.arithmetic(coded, [text], plus=text, minus=text),
        lambda: verbs.standardise(coded, tmp_path / "other"),
    ):
        with pytest.raises(ValueError, match="needs Gaussian posteriors, and this model's z are codes"):
            call()


def test_weights_of_another_run_keep_their_codes(coded: Run, tmp_path: Path) -> None:
    """A start from a trained run starts no codes anew."""
    fresh = toy_codes(tmp_path, TWO, {"tokenizer": {"path": str(coded.folder / "tokenizer")}}, name="next")
    fresh["stages"] = [{"name": "prior", "steps": 1, "learn": ["prior"]}]
    after = train(fresh, start=coded.folder).model_at("final")
    assert torch.equal(after.encoder.books[0].vectors, coded.model_at("final").encoder.books[0].vectors)
