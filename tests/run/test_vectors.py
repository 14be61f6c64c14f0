"""Runs of kind `vectors`: closed forms through the train verb, every verb on them, and each fault's sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file

from tests.toy_run import merged
from textlatent.corpus.gaussian_rows import gaussian_rows
from textlatent.diagnostics.linear import linear_code
from textlatent.nats.water_filling import reverse_water_filling
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_any
from textlatent.run import diagnose, encode, evaluate, sample, train
from textlatent.run.folder import Run
from textlatent.run.recipes import shipped_folder
from textlatent.run.vectors_folder import model_at

VARIANCES = (3.0, 1.0, 0.4, 0.05)


def _rows(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate((("train", 256), ("valid", 64), ("test", 64))):
        np.save(folder / f"{split}.npy", 5.0 + gaussian_rows(count, VARIANCES, seed=seed))
    return folder


def _recipe(folder: Path, *changes: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {
        "kind": "vectors",
        "name": "v",
        "out": str(folder / "runs"),
        "data": {"path": str(_rows(folder / "rows"))},
        "model": {"latent_size": 4, "encoder": {"variance": "shared"}},
        "objective": {"lam": 2.0},
        "training": {"steps": 600, "rows_per_step": 256, "learning_rate": 0.02, "betas": [0.9, 0.999], "threads": 1}
        | {"warmup_steps": 10, "validate_every": 300, "save_every": 300, "log_every": 100},
        "evaluation": {"samples": 64, "ladder": [1, 8]},
    }
    return merged(values, *changes)


SHORT = {"training": {"steps": 4, "validate_every": 2, "save_every": 2, "log_every": 2}}
POINT = {"model": {"latent_size": 2, "encoder": {"type": "point", "variance": "row"}}}


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The linear-Gaussian channel at water level 1/4, trained by the verb."""
    return train(_recipe(tmp_path_factory.mktemp("channel")))


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The linear point autoencoder of two dimensions."""
    return train(_recipe(tmp_path_factory.mktemp("points"), POINT))


def _expected_error(run: Run) -> float:
    """E ||y - yhat(z)||^2 of the test rows over z too: that of the mean's yhat, and sum_d sigma_d^2 |w_d|^2."""
    model = model_at(run)
    rows = torch.from_numpy(np.load(Path(run.folder).parents[1] / "rows" / "test.npy"))
    with torch.no_grad():
        posterior, decoder = model.posterior(rows), model.decoder
        weight = decoder.scale[:, None] * decoder.network[0].weight
        spread = posterior.variance @ weight.square().sum(0)
        return (decoder.dist(rows, posterior.mean) + spread).mean().item()


def test_a_trained_linear_channel_lies_on_reverse_water_filling(channel: Run) -> None:
    """THEORY T6c: rate and error within 1 % or 0.01 of R(D) at lam = 1 / (2 water level)."""
    truth = reverse_water_filling(torch.tensor(VARIANCES, dtype=torch.float64), lam=2.0)
    rate, error = truth.rate.sum().item(), truth.distortion.sum().item()
    ledger = channel.ledger
    assert ledger["rate_nats"]["value"] == pytest.approx(rate, abs=max(0.01, 0.01 * rate))
    assert _expected_error(channel) == pytest.approx(error, abs=max(0.01, 0.01 * error))
    assert ledger["dist"]["value"] == pytest.approx(error, abs=4 * 0.6 / 64)  # of 64 x 64 draws with deviation 0.6
    assert ledger["linear"]["rate_nats"]["value"] == pytest.approx(rate, rel=1e-5)
    assert ledger["linear"]["value"] == pytest.approx(error, rel=1e-5)
    assert ledger["neg_elbo_nats"]["value"] == pytest.approx(ledger["linear"]["neg_elbo_nats"]["value"], abs=0.02)


def test_its_nats_are_lam_times_the_error_and_a_constant(channel: Run) -> None:
    ledger = channel.ledger
    dist = ledger["dist"]
    assert dist["lam"] == 2.0
    assert dist["unit"] == "||y - yhat||^2"
    assert dist["constant_nats"] == pytest.approx(2.0 * np.log(np.pi / 2.0))
    nats = dist["lam"] * dist["value"] + dist["constant_nats"]
    assert ledger["distortion_nats"]["value"] == pytest.approx(nats, abs=1e-9)
    assert ledger["perplexity_per_word"]["value"] is None


def test_trained_points_meet_principal_component_analysis(points: Run) -> None:
    """THEORY T6d: error and subspace of the first two components; the rate is undefined, not 0."""
    ledger = points.ledger
    assert ledger["dist"]["value"] == pytest.approx(0.4 + 0.05, rel=1e-3)
    assert ledger["linear"]["value"] == pytest.approx(0.4 + 0.05, rel=1e-5)
    for key in ("rate_nats", "neg_elbo_nats", "iw_nll_nats", "information_nats"):
        assert ledger[key]["value"] is None, key
    assert ledger["rate_nats"]["why"].startswith("undefined: the encoder gives points")
    decoder = model_at(points).decoder
    spanned = torch.linalg.qr((decoder.scale[:, None] * decoder.network[0].weight).detach().double())[0]
    rows = torch.from_numpy(np.load(Path(points.folder).parents[1] / "rows" / "train.npy")).double()
    first = torch.linalg.eigh(torch.cov(rows.T))[1].flip(1)[:, :2]
    cosines = torch.linalg.svdvals(spanned.T @ first)
    assert cosines.min().item() > 1 - 1e-4


def test_a_log_of_points_has_no_rate(points: Run) -> None:
    for event in points.metrics:
        if event["event"] in ("log", "validate"):
            assert event["rate_nats"] is None
            assert event["neg_elbo_nats"] is None
            assert event["distortion_nats"] > 0


def test_evaluate_and_encode_take_other_rows(channel: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", 5.0 + gaussian_rows(40, VARIANCES, seed=9))
    ledger = evaluate(channel.folder, text=tmp_path / "other.npy", samples=2, sentences=30)
    assert ledger["sentences"] == 30
    assert (channel.folder / "ledger-other.json").exists()
    assert encode(channel.folder, tmp_path / "other.npy", tmp_path / "z.safetensors")["latent_size"] == 4
    found = load_file(tmp_path / "z.safetensors")
    assert {name: each.shape for name, each in found.items()} == {"mean": (40, 4), "log_variance": (40, 4)}
    encode(channel.folder, tmp_path / "other.npy", tmp_path / "z.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), found["mean"])


def test_what_encode_writes_can_be_trained_on(channel: Run, points: Run, tmp_path: Path) -> None:
    """The channel of a channel: a .safetensors file of means is a matrix like any other."""
    rows = Path(channel.folder).parents[1] / "rows" / "train.npy"
    encode(channel.folder, rows, tmp_path / "means.safetensors")
    values = _recipe(tmp_path, SHORT) | {"data": {"path": str(tmp_path / "means.safetensors")}}
    assert train(values).ledger["sentences"] > 1
    encode(points.folder, rows, tmp_path / "z.safetensors")
    assert load_file(tmp_path / "z.safetensors")["z"].shape == (256, 2)


def test_the_tensor_that_was_trained_on_is_the_one_that_is_read(tmp_path: Path) -> None:
    """Of a file that holds several: by evaluate as by encode."""
    one, two = gaussian_rows(60, VARIANCES, seed=3), gaussian_rows(60, VARIANCES, seed=4)
    save_file({"one": one, "two": two}, tmp_path / "both.safetensors")
    np.save(tmp_path / "two.npy", two)
    values = _recipe(tmp_path, SHORT) | {"data": {"path": str(tmp_path / "both.safetensors"), "tensor": "two"}}
    run = train(values)
    found, expected = (evaluate(run, text=tmp_path / name, samples=1) for name in ("both.safetensors", "two.npy"))
    assert found["dist"]["value"] == expected["dist"]["value"]


def test_diagnose(channel: Run, points: Run) -> None:
    found = diagnose(channel.folder, floor=10)
    assert {"collapsed", "ignored", "memorising"} <= {check.illness for check in found.checks}
    assert next(check for check in found.checks if check.illness == "memorising").value is None
    told = json.loads((channel.folder / "diagnosis.json").read_text())
    assert told["overall"] == found.overall
    with pytest.raises(ValueError, match="points, which have no density: .* nothing to diagnose"):
        diagnose(points.folder)
    with pytest.raises(ValueError, match="a baseline is a language model; rows of numbers have none"):
        diagnose(channel.folder, baseline="x")


def test_a_verb_of_sentences_says_so(channel: Run) -> None:
    with pytest.raises(ValueError, match="sample: a run of kind vectors has no such verb; it has train, evaluate"):
        sample(channel.folder)


def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    """2 + 2 steps are 4, to the bit; a changed recipe or changed rows are refused."""
    one = train(_recipe(tmp_path, SHORT, {"name": "one"}))
    train(_recipe(tmp_path, SHORT, {"name": "two", "training": {"steps": 2, "scheduler": "constant"}}))
    with pytest.raises(ValueError, match="holds a run of another recipe: training.learning_rate differ"):
        train(_recipe(tmp_path, SHORT, {"name": "two", "training": {"scheduler": "constant", "learning_rate": 1.0}}))
    two = train(_recipe(tmp_path, SHORT, {"name": "two", "training": {"scheduler": "constant"}}))
    whole = train(_recipe(tmp_path, SHORT, {"name": "whole", "training": {"scheduler": "constant"}}))
    for a, b in zip(*(model_at(run, "step-4").state_dict().values() for run in (two, whole)), strict=True):
        assert torch.equal(a, b)
    np.save(tmp_path / "rows" / "train.npy", np.ones((9, 4), np.float32))
    with pytest.raises(ValueError, match="have changed since the run .* began"):
        evaluate(one.folder)


def test_a_start_from_another_run(channel: Run, tmp_path: Path) -> None:
    run = train(_recipe(tmp_path, SHORT, {"training": {"learning_rate": 1e-9}}), start=channel.folder)
    assert run.ledger["dist"]["value"] == pytest.approx(channel.ledger["dist"]["value"], rel=1e-3)
    with pytest.raises(ValueError, match="cannot start from .* of another shape"):
        train(_recipe(tmp_path, SHORT, {"name": "small", "model": {"latent_size": 2}}), start=channel.folder)


def test_an_l1_mlp_with_a_mixture_prior_trains(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "model": {"prior": "mixture", "components": 2, "decoder": {"hidden": [5], "distortion": "l1"}}
        | {"encoder": {"hidden": [6], "variance": "row"}}
    }
    ledger = train(_recipe(tmp_path, SHORT, changes)).ledger
    assert ledger["dist"]["unit"] == "||y - yhat||_1"
    assert ledger["linear"]["value"] is None
    assert "l2" in ledger["linear"]["why"]


def test_the_card_has_the_ledger_and_loads(channel: Run) -> None:
    card = (channel.folder / "final" / "README.md").read_text()
    assert "| rate |" in card
    assert "kind: vectors" in card
    _, head, _ = card.split("---\n", 2)
    assert yaml.safe_load(head)["library_name"] == "transformers"


def test_the_best_linear_code_is_water_filling_on_its_own_rows() -> None:
    rows = torch.from_numpy(gaussian_rows(300, VARIANCES, seed=1)).double() + 2.0
    for lam in (0.1, 0.5, 2.0, 30.0):
        rate, error = linear_code(rows, rows, latent_size=4, lam=lam)
        truth = reverse_water_filling(torch.tensor(VARIANCES, dtype=torch.float64), lam=lam)
        assert rate is not None
        assert rate.mean().item() == pytest.approx(truth.rate.sum().item(), abs=1e-5)
        assert error.mean().item() == pytest.approx(truth.distortion.sum().item(), abs=1e-5)
    rate, error = linear_code(rows, rows, latent_size=1, lam=None)
    assert rate is None
    assert error.mean().item() == pytest.approx(1.45, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"path": None}}, "data.path: must name a folder or a file of vectors"),
        ({"data": {"valid": "x"}}, "data.path: cannot stand beside data.valid"),
        ({"tokenizer": {}}, "tokenizer: is no key of a recipe"),
        ({"training": {"tokens_per_step": 5}}, "training.tokens_per_step: is no key of training"),
        ({"objective": {"lam": 0}}, "objective.lam: must be > 0, got"),
        ({"model": {"components": 3}}, "model.components: needs model.prior: mixture"),
        ({"model": {"encoder": {"type": "point"}}}, "model.encoder.variance: is a gaussian encoder's"),
        ({"model": {"encoder": {"type": "point"}, "prior": "learned"}}, "model.prior: is charged against a density"),
        (
            {"model": {"encoder": {"type": "point"}}, "objective": {"beta": 0.5}},
            "objective.beta: asks something of the",
        ),
        ({"model": {"prior": "mixture"}, "objective": {"free_nats": 1}}, "objective.free_nats: needs a rate in closed"),
        ({"model": {"decoder": {"hidden": [0]}}}, "model.decoder.hidden: must be widths of 1 or more"),
        ({"model": {"encoder": {"hidden": [0]}}}, "model.encoder.hidden: must be widths of 1 or more"),
        ({"training": {"betas": [1, 0.5]}}, "training.betas: must be two numbers in"),
        ({"evaluation": {"ladder": [2, 1]}}, "evaluation.ladder: must rise"),
        ({"data": {"valid_fraction": 0.6, "test_fraction": 0.6}}, "data.valid_fraction: plus data.test_fraction"),
    ],
)
def test_faults_of_the_recipe(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("(", r"\(")):
        load_any(_recipe(tmp_path, changes))


def test_faults_of_the_verbs(channel: Run, points: Run, tmp_path: Path) -> None:
    save_file({"mean": np.ones((3, 7), np.float32)}, tmp_path / "wide.safetensors")
    for verb in (
        lambda: evaluate(channel.folder, text=tmp_path / "wide.safetensors"),
        lambda: encode(channel.folder, tmp_path / "wide.safetensors", tmp_path / "z.npy"),
    ):
        with pytest.raises(ValueError, match="has 7 columns, the model was made for 4"):
            verb()
    with pytest.raises(ValueError, match="must end in .safetensors or .npy"):
        encode(channel.folder, tmp_path / "wide.safetensors", tmp_path / "z.csv")
    with pytest.raises(ValueError, match="split must be one of train, valid, test, got 'dev'"):
        evaluate(channel.folder, split="dev")
    with pytest.raises(ValueError, match="scored in fp32, got precision 'bf16'"):
        evaluate(channel.folder, precision="bf16")
    with pytest.raises(ValueError, match="mixture: every row of test is evaluated already"):
        evaluate(channel.folder, mixture=["test"])
    with pytest.raises(ValueError, match="mixture: the encoder gives points"):
        evaluate(points.folder, mixture=["train"])
    assert evaluate(channel.folder, samples=2, mixture=["train"])["information_nats"]["components"] == 64 + 256


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((shipped_folder("recipes") / "vectors").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_recipe_of_vectors_trains_two_steps(path: Path, tmp_path: Path) -> None:
    few = ["training.steps=2", "training.warmup_steps=1", "training.log_every=1", "evaluation.rows=8"]
    steps: list[int] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "log":
            steps.append(event["step"])

    run = train(path, overrides=[*few, "evaluation.samples=2"], out=tmp_path, progress=watch)
    assert steps == [1, 2]
    assert run.ledger["sentences"] == 8
