"""Another run's encoder under a prior and decoder of its own (THEORY T6b); plain autoencoders through every verb."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.toy_codes import toy_codes
from tests.toy_run import toy_recipe
from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.report.drawing import Picture
from textlatent.run import compare, diagnose, encode, interpolate, neighbours, probe, reconstruct, report, sample, train
from textlatent.run.folder import Run
from textlatent.run.report import gather

POINTS: dict[str, Any] = {"model": {"type": "deterministic"}}
HELD: dict[str, Any] = {"stages": [{"name": "prior and decoder", "learn": ["prior", "decoder"]}]}


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A plain autoencoder of sentences."""
    return train(toy_recipe(tmp_path_factory.mktemp("points"), POINTS, name="points"))


def _held(points: Run, folder: Path, *changes: dict[str, Any], **encoder: Any) -> dict[str, Any]:
    """A recipe whose encoder is that of the points, held."""
    weights = {"weights": str(points.folder), **encoder}
    values = toy_recipe(folder, HELD, *changes, name="held")
    values["data"] = {"path": str(points.recipe.data.path), "label": "topic", "max_tokens": 16}
    values["model"] = {**values["model"], "encoder": weights}
    values["training"] = {**values["training"], "steps": 6}
    return values


def test_a_plain_autoencoder_says_undefined_never_0(points: Run) -> None:
    rows = {row.name: row for row in ledger_rows(points.ledger)}
    for name in ("rate", "-ELBO", "IW-NLL", "gap", "information"):
        assert rows[name].value is None, name
    assert rows["rate"].remark.startswith("undefined: the encoder gives points, which have no density")
    assert rows["distortion"].value is not None
    card = (points.folder / "final" / "README.md").read_text()
    assert "rate undefined (a point has no density)" in card
    assert "| rate |  |  | nats; undefined" in card
    assert all(e["rate_nats"] is None for e in points.metrics if e["event"] in ("log", "validate"))


def test_its_verbs(points: Run, tmp_path: Path, text_file: Path) -> None:
    with pytest.raises(ValueError, match="points, which have no density, so that there is no rate and no prior"):
        sample(points)
    with pytest.raises(ValueError, match="points, which have no density: there is no rate to judge"):
        diagnose(points)
    assert json.loads((points.folder / "samples.json").read_text())["samples"] == []
    first, second = "the child repairs his old boat .", "will the sailor sell the boat ?"
    assert len(interpolate(points, first, second, steps=3).sentences) == 3
    with pytest.raises(ValueError, match="a walk along one dimension, .* this model's z are points"):
        interpolate(points, first, dimension=0)
    found = neighbours(points, first, count=2)
    assert [each.unit for each in found] == ["between points, in their own unit"] * 2
    assert found[0].distance <= found[1].distance
    with pytest.raises(ValueError, match="distance must be points where z are points, got 'kl'"):
        neighbours(points, first, distance="kl")
    assert reconstruct(points, [first]).originals == [first]
    encode(points, text_file, tmp_path / "z.safetensors")
    assert {name: each.shape for name, each in load_file(tmp_path / "z.safetensors").items()} == {"z": (7, 4)}
    encode(points, text_file, tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), load_file(tmp_path / "z.safetensors")["z"])


def test_a_probe_of_points_leaves_out_what_needs_noise(points: Run) -> None:
    rows = {row.name: row for row in probe(points, label="number", sentences=100).rows}
    assert rows["latents"].judged is not None
    assert rows["latents drawn"].judged is None
    assert rows["latents drawn"].why.startswith("z is a function of the sentence")


def test_its_report_shows_no_rate(points: Run) -> None:
    pictures: list[Picture] = gather(points).course
    assert [picture.title for picture in pictures] == ["What a sentence costs"]
    page = report(points).read_text()
    assert "undefined: the encoder gives points" in page


def test_points_with_a_stated_noise_are_a_channel(points: Run, tmp_path: Path) -> None:
    """The encoder is the points' to the bit before and after; a prior is fitted to it and can be drawn from."""
    told: list[str] = []
    values = _held(points, tmp_path, {"model": {"prior": "mixture", "components": 3}}, fixed_variance=0.01)
    run = train(values, progress=lambda event: told.append(event["text"]) if event["event"] == "note" else None)
    theirs, own = points.model.encoder.state_dict(), run.model.encoder.state_dict()
    assert all(torch.equal(theirs[name], own[name]) for name in theirs)
    assert own["log_variance"].exp().tolist() == pytest.approx([0.01] * 4)
    assert any(text.startswith(f"the encoder is that of {points.folder}: ") for text in told)
    ledger = run.ledger
    assert ledger["encoder"] == "held"
    prior, given = ledger["cross_entropy_prior_nats"]["value"], ledger["posterior_entropy_nats"]["value"]
    whole = prior + ledger["distortion_nats"]["value"] - given
    assert whole == pytest.approx(ledger["neg_elbo_nats"]["value"], abs=1e-9)
    assert {"H_pri(z)", "H_enc(z|y)"} <= {row.name for row in ledger_rows(ledger)}
    assert len(sample(run, 2)) == 2
    both = compare([run, points])
    row = dict(zip(both.values().columns, both.values().texts()[1], strict=True))
    assert (row["rate"], row["-ELBO"]) == ("undefined", "undefined")
    again = Run(run.folder).model_at("step-6")  # made anew from the recipe, which names the other run
    assert torch.equal(again.encoder.state_dict()["head.weight"], theirs["head.weight"])


def test_a_gaussian_runs_encoder_is_taken_with_its_settings(trained: Run, tmp_path: Path) -> None:
    values = _held(trained, tmp_path)
    run = train(values)
    assert run.model.config.log_variance_bias == -2.0
    theirs, own = trained.model.encoder.state_dict(), run.model.encoder.state_dict()
    assert theirs.keys() == own.keys()
    assert all(torch.equal(theirs[name], own[name]) for name in theirs)


def test_the_codes_of_a_run_are_taken_and_stay(tmp_path: Path) -> None:
    """THEORY T6b where z are codes: codebook and statistics to the bit, H_enc(k|y) = 0, a prior below P ln K."""
    one = train(toy_codes(tmp_path, {"training": {"steps": 10}}, name="one"))
    changes: dict[str, Any] = {"model": {"code_prior": {"type": "independent"}}, "training": {"learning_rate": 0.05}}
    values = toy_codes(tmp_path, changes, {"tokenizer": {"path": str(one.folder / "tokenizer")}}, name="two")
    values["model"]["encoder"] = {"weights": str(one.folder)}
    values["stages"] = [{"name": "prior and decoder", "steps": 8, "learn": ["prior", "decoder"]}]
    two = train(values)
    own, theirs = (run.model_at("final").encoder.state_dict() for run in (two, one))
    assert own.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in own.items())
    ledger = two.ledger
    assert ledger["encoder"] == "held"
    assert ledger["posterior_entropy_nats"]["value"] == 0.0
    assert ledger["cross_entropy_prior_nats"]["value"] == pytest.approx(ledger["rate_nats"]["value"], rel=1e-12)
    assert ledger["rate_nats"]["value"] < ledger["uniform_rate_nats"]["value"]
    values["model"]["codebook"] = values["model"]["codebook"] | {"codes": 8}
    with pytest.raises(ValueError, match="of another shape, first books.0"):
        train(values | {"name": "three"})


def test_faults(points: Run, trained: Run, tmp_path: Path) -> None:
    def refused(values: dict[str, Any], message: str, **changes: Any) -> None:
        with pytest.raises(ValueError, match=message):
            train(values | {"name": "bad"} | changes)

    refused(_held(points, tmp_path), r"gives points, .* state the noise s of N\(f\(y\), s\^2 I\) .*fixed_variance: s")
    refused(_held(trained, tmp_path, fixed_variance=0.5), "has posteriors of its own variance")
    refused(_held(points, tmp_path, {"model": {"latent_size": 7}}, fixed_variance=0.1), "has latent_size 4, got 7")
    taken = _held(points, tmp_path, fixed_variance=0.1)
    refused(taken, "reads other tokens", tokenizer={"type": "word", "vocabulary": 100})
    refused(
        taken, "was made for sentences of 16 tokens, got data.max_tokens 32", data=taken["data"] | {"max_tokens": 32}
    )
    refused(_held(trained, tmp_path, POINTS), "has an encoder for model.type gaussian, got deterministic", stages=[{}])
    nowhere = _held(points, tmp_path, fixed_variance=0.1)
    nowhere["model"]["encoder"]["weights"] = str(tmp_path / "nowhere")
    refused(nowhere, "holds no run and no saved model")
