"""Conditions: the same sentences under other latents, each as the model gives it one by one; kept until stale."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import toy_recipe
from textlatent.corpus.batches import collate
from textlatent.run.conditions import NAMES, _Job, conditions, others, prior_latents
from textlatent.run.encode import encode
from textlatent.run.evaluate import choose, evaluate
from textlatent.run.folder import Run
from textlatent.run.interpolate import interpolate
from textlatent.run.reconstruct import reconstruct
from textlatent.run.report import report
from textlatent.run.train import train
from textlatent.scores import Scores

SMALL: dict[str, Any] = {"training": {"steps": 2, "warmup_steps": 0, "sample_every": 0}}
AT_Z = {"log_p_dec", "log_p_dec_token", "tokens", "words", "characters", "index", "label"}


@pytest.fixture
def run(trained: Run, tmp_path: Path) -> Run:
    """A copy to write in."""
    shutil.copytree(trained.folder, tmp_path / "run")
    return Run(tmp_path / "run")


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_recipe(tmp_path_factory.mktemp("lm"), SMALL, {"model": {"latent_size": 0}}, name="lm"))


@pytest.mark.parametrize("count", [2, 3, 17, 1000])
def test_every_sentence_gets_another_and_each_is_given_once(count: int) -> None:
    for seed in range(5):
        other = others(count, seed)
        assert sorted(other.tolist()) == list(range(count))
        assert (other != torch.arange(count)).all()
        assert torch.equal(other, others(count, seed))
    assert count == 2 or len({tuple(others(count, seed).tolist()) for seed in range(20)}) > 1


def test_each_condition_is_the_decoder_at_its_z_one_by_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle: the decoder called sentence by sentence; all in float64."""
    load = Run.model_at
    monkeypatch.setattr(Run, "model_at", lambda self, name: load(self, name).double())
    found = conditions(run, sentences=9)
    assert list(found) == ["own", "other", "prior_draw", "prior_mean"]
    own = found["own"]
    model, split = run.model_at("final"), run.split("test")
    positions = choose(len(split), 9, run.recipe.data.split_seed)
    drawn = own.need("z")[0]
    prior = model.prior_distribution()
    latents = {
        "own": drawn,
        "other": drawn[others(9, run.recipe.seed)],
        "prior_draw": prior_latents(model, split.index[positions], seed=run.recipe.seed),
        "prior_mean": prior.mean.expand(9, -1),
    }
    for name, scores in found.items():
        assert torch.equal(scores.need("index"), own.need("index"))
        if name != "own":
            assert scores.to_dict().keys() == AT_Z
        for row, position in enumerate(positions):
            batch = collate(split, position[None])
            with torch.no_grad():
                alone = model.log_prob_token(batch["tokens"], batch["lengths"], latents[name][row][None])[0]
            kept = scores.need("log_p_dec_token")[row]
            assert (kept[: len(alone)] - alone).abs().max() < 1e-9, name
            assert scores.need("log_p_dec")[0, row].item() == pytest.approx(alone.sum().item(), abs=1e-9)


def test_own_is_what_evaluate_draws_first(run: Run) -> None:
    evaluate(run, samples=3)
    own = conditions(run, names=())["own"]
    assert own.log_p_dec.shape == (1, len(run.scores))
    torch.testing.assert_close(own.log_p_dec[0], run.scores.log_p_dec[0])
    torch.testing.assert_close(own.z, run.scores.z)
    assert {"kl", "posterior_mean", "posterior_log_variance", "log_p_enc", "log_p_pri"} <= own.to_dict().keys()


def test_refined_is_a_better_posterior_of_the_same_sentences(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = conditions(run, names=["refined"], sentences=8, refine_steps=4)
    own, refined = found["own"], found["refined"]
    assert own.to_dict().keys() == refined.to_dict().keys()
    assert torch.equal(own.need("index"), refined.need("index"))
    assert refined.neg_elbo().mean() < own.neg_elbo().mean()
    computed = _spy(monkeypatch)
    conditions(run, names=["refined"], sentences=8, refine_steps=4)
    assert computed == []
    conditions(run, names=["refined"], sentences=8, refine_steps=5)
    assert computed == ["refined"]


def test_a_prior_draw_is_the_sentences_own_whichever_others_are_asked_for(run: Run) -> None:
    model = run.model_at("final")
    many = prior_latents(model, torch.arange(4000), seed=1)
    few = prior_latents(model, torch.tensor([7, 2]), seed=1)
    assert torch.equal(few, many[[7, 2]])
    prior = model.prior_distribution()
    assert ((many.mean(0) - prior.mean).abs() < 4 * prior.std / 4000**0.5).all()
    assert ((many.std(0) / prior.std - 1).abs() < 4 / 8000**0.5).all()


def _spy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the conditions that are computed from now on."""
    computed: list[str] = []
    score = _Job.score

    def spying(self: Any, name: str, *rest: Any) -> Scores:
        computed.append(name)
        return score(self, name, *rest)

    monkeypatch.setattr(_Job, "score", spying)
    return computed


def test_what_is_fresh_is_read_and_what_is_stale_is_computed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = _spy(monkeypatch)
    first = conditions(run, names=["other"], sentences=6)
    assert computed == ["own", "other"]
    again = conditions(run, names=["other", "prior_mean"], sentences=6)
    assert computed == ["own", "other", "prior_mean"], "own and other were read"
    for name, scores in first.items():
        for field, tensor in scores.to_dict().items():
            assert torch.equal(tensor, again[name].to_dict()[field]), (name, field)
    computed.clear()
    for changed in ({"sentences": 5}, {"checkpoint": "step-20"}, {"split": "valid"}):
        conditions(run, names=[], **{"sentences": 6} | changed)
        assert computed.pop() == "own", changed
    conditions(run, names=["other"], sentences=6)
    assert computed == ["own"], "other was still good"


def test_new_weights_and_a_damaged_file_are_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    conditions(run, names=[], sentences=4)
    computed = _spy(monkeypatch)
    file = run.folder / "conditions" / "own.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    conditions(run, names=[], sentences=4)
    assert computed == ["own"]
    shutil.rmtree(run.folder / "final")
    shutil.copytree(run.folder / "best", run.folder / "final")
    manifest = run.folder / "final" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"model.safetensors": "', '"model.safetensors": "0'))
    with pytest.raises(ValueError, match="does not match its sha256"):
        conditions(run, names=[], sentences=4)


def test_a_language_model_has_one_condition_and_says_why(language_model: Run) -> None:
    events: list[dict[str, Any]] = []
    found = conditions(language_model, names=NAMES, sentences=4, progress=events.append)
    assert list(found) == ["own"]
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert notes == [
        f"no condition {name}: the model is a language model: it has no z."
        for name in ("other", "prior_draw", "prior_mean", "refined")
    ]


def test_the_baseline_is_the_language_model_of_the_same_tokens(run: Run, language_model: Run, tmp_path: Path) -> None:
    shutil.copytree(language_model.folder, run.folder / "baseline")
    by_place = conditions(run, names=["baseline"], sentences=6)["baseline"]
    by_name = conditions(run, names=["baseline"], sentences=6, baseline=language_model.folder)["baseline"]
    own = conditions(language_model, names=[], sentences=6)["own"]
    for scores in (by_place, by_name):
        torch.testing.assert_close(scores.log_p_dec, own.log_p_dec)
        assert torch.equal(scores.need("index"), own.need("index"))
    with pytest.raises(ValueError, match=r"is no baseline: its model.latent_size is 4, not 0"):
        conditions(run, sentences=6, baseline=run.folder)


def test_one_sentence_has_no_other(run: Run) -> None:
    events: list[dict[str, Any]] = []
    assert "other" not in conditions(run, sentences=1, progress=events.append)
    assert {"event": "note", "text": "no condition other: there is no other sentence."} in events


def test_faults(run: Run) -> None:
    with pytest.raises(ValueError, match="no condition mine; there are own, other"):
        conditions(run, names=["mine"])
    with pytest.raises(ValueError, match="no checkpoint 'step-7'"):
        conditions(run, checkpoint="step-7")


def test_without_z_no_verb_sends_a_sentence_through_it(language_model: Run, tmp_path: Path) -> None:
    """Nor do the samples and the page of the run pretend that one came back."""
    (tmp_path / "text.txt").write_text("the poor sailor sells his sail now .\n")
    for verb, words in (
        (reconstruct, (["a b ."],)),
        (interpolate, ("a .", "b .")),
        (encode, (tmp_path / "text.txt", tmp_path / "z.npy")),
    ):
        with pytest.raises(ValueError, match="is a language model: it has no z"):
            verb(language_model, *words)
    samples = json.loads((language_model.folder / "samples.json").read_text())
    assert (len(samples["samples"]), samples["reconstructions"], samples["interpolation"]) == (10, [], None)
    html = report(language_model, output=tmp_path / "page.html").read_text()
    assert samples["samples"][0].split()[0] in html
    assert "came back" not in html
