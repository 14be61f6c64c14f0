"""Runs of kind ring: fitted, scored, drawn from, shown; both ways of fitting; what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.toy_run import merged, write_toy
from textlatent import run
from textlatent.contrasts.ring_exact import log_prob
from textlatent.contrasts.ring_model import RingModel
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood
from textlatent.corpus.alphabet import END
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_any
from textlatent.run.folder import Run
from textlatent.run.recipes import shipped_folder
from textlatent.run.ring_folder import alphabet_of, build_split, corpus_of, recipe_of
from textlatent.scores import Scores

RECIPES = sorted((shipped_folder("recipes") / "ring").glob("*.yaml"))


def _recipe(folder: Path, *changes: dict[str, Any]) -> dict[str, Any]:
    values = {
        "kind": "ring",
        "name": "ring",
        "out": str(folder / "runs"),
        "data": {"path": str(write_toy(folder / "corpus")), "max_tokens": 96},
        "model": {"labels": 7},
    }
    return merged(values, *changes)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run.train(_recipe(tmp_path_factory.mktemp("ring")))


PER_SITE = {
    "name": "each",
    "model": {"sites": 6, "closed": False, "potentials": "per_site"},
    "training": {"steps": 20, "rows_per_step": 64, "learning_rate": 0.2, "validate_every": 10, "save_every": 10},
}


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run.train(_recipe(tmp_path_factory.mktemp("each"), PER_SITE))


def test_a_run_keeps_what_every_run_keeps(fitted: Run, looped: Run) -> None:
    for folder in (fitted.folder, looped.folder):
        for name in ("recipe.yaml", "corpus.json", "labels.json", "ledger.json", "scores.safetensors", "samples.json"):
            assert (folder / name).is_file(), name
        assert (folder / "ring.png").read_bytes().startswith(b"\x89PNG")
        assert "RingModel.from_pretrained" in (folder / "final" / "README.md").read_text()
        assert RingModel.from_pretrained(folder / "final").num_parameters() > 0
    assert (looped.folder / "metrics.jsonl").is_file()


@pytest.mark.parametrize("which", ["fitted", "looped"])
def test_the_ledger_is_the_exact_nats_of_the_split(which: str, request: pytest.FixtureRequest) -> None:
    """Sequence by sequence from the saved model, by functions that the verb does not call."""
    trained: Run = request.getfixturevalue(which)
    _, recipe = recipe_of(trained)
    split = build_split("test", corpus_of(trained, recipe), alphabet_of(trained), recipe)
    model = RingModel.from_pretrained(trained.folder / "final")
    nll, pseudo = [], []
    with torch.no_grad():
        for row in split.tokens.long().split(split.lengths.tolist()):
            ring = model.ring(len(row))
            nll.append(-log_prob(ring, row).item())
            pseudo.append(negative_log_pseudolikelihood(ring, row).item())
    ledger, sites, count = trained.ledger, int(split.lengths.sum()), len(split)
    assert ledger["distortion_nats"]["value"] == pytest.approx(sum(nll) / count, rel=1e-12)
    assert ledger["pseudo_nll_nats"]["value"] == pytest.approx(sum(pseudo) / count, rel=1e-12)
    assert ledger["nll_per_site_nats"]["value"] == pytest.approx(sum(nll) / sites, rel=1e-12)
    assert ledger["pseudo_nll_per_site_nats"]["value"] == pytest.approx(sum(pseudo) / sites, rel=1e-12)
    assert "no probability of Y" in ledger["pseudo_nll_nats"]["remark"]
    assert ledger["rate_nats"] == {
        "value": None,
        "why": "a ring has no z: no encoder, no prior and so no rate (THEORY T14).",
    }
    assert -trained.scores.log_p_dec[0].mean().item() == pytest.approx(sum(nll) / count, rel=1e-12)
    rows = {row.name: row for row in run.ledger_rows(ledger)}
    assert rows["NLL per site"].value == pytest.approx(sum(nll) / sites, rel=1e-12)


def test_the_error_of_a_site_is_the_delta_methods(looped: Run) -> None:
    """Where all sequences have the same number of sites, it is the sequences' error over that number."""
    ledger = looped.ledger
    assert ledger["nll_per_site_nats"]["se"] == pytest.approx(ledger["distortion_nats"]["se"] / 6, rel=1e-9)


def test_both_fits_are_kept_and_each_is_better_by_its_own(fitted: Run, tmp_path: Path) -> None:
    card = json.loads((fitted.folder / "fit.json").read_text())
    assert {"maximum_likelihood", "pseudo_likelihood"} <= card.keys()
    assert len(card["maximum_likelihood"]["theta_nats"]) == 49 == len(card["names"])
    assert min(card["pseudo_likelihood"]["se_nats"]) >= 0.0
    other = run.train(_recipe(tmp_path, {"fit": {"method": "pseudo_likelihood"}, "evaluation": {"split": "train"}}))
    own = run.evaluate(fitted, split="train")
    assert own["distortion_nats"]["value"] < other.ledger["distortion_nats"]["value"]
    assert own["pseudo_nll_nats"]["value"] > other.ledger["pseudo_nll_nats"]["value"]
    assert (fitted.folder / "ledger-train.json").is_file()


def test_a_ridge_of_its_own_is_taken(tmp_path: Path) -> None:
    strong = run.train(_recipe(tmp_path, {"fit": {"ridge": 1000.0}}))
    card = json.loads((strong.folder / "fit.json").read_text())
    assert card["ridge"] == 1000.0
    assert max(map(abs, card["maximum_likelihood"]["theta_nats"])) < 2.5


def test_draws_are_of_the_trainings_sizes_and_end_with_an_end(fitted: Run, looped: Run) -> None:
    drawn = run.sample(fitted, 20, seed=1)
    sizes = {int(size) for size in json.loads((fitted.folder / "sizes.json").read_text())}
    assert {len(text) for text in drawn} <= sizes
    assert all(text.endswith(END) for text in drawn if END in text)
    assert drawn == run.sample(fitted, 20, seed=1) != run.sample(fitted, 20, seed=2)
    assert run.sample(fitted, 3, seed=1, num_beams=1) == drawn[:3]
    assert {len(text) for text in run.sample(looped, 5)} == {6}


def test_a_low_temperature_draws_what_is_likely(looped: Run) -> None:
    assert len(set(run.sample(looped, 10, temperature=1e-4))) == 1
    assert len(set(run.sample(looped, 10))) > 1


def test_a_file_is_scored(fitted: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("the child laughs .\n\nthe child sings .\n")
    ledger = run.evaluate(fitted, text=tmp_path / "mine.txt")
    assert ledger["sentences"] == 2
    assert (fitted.folder / "ledger-mine.json").is_file()
    assert len(Scores.load(fitted.folder / "scores-mine.safetensors")[0]) == 2


def test_the_same_command_again_and_another_recipe(looped: Run) -> None:
    values = yaml.safe_load((looped.folder / "recipe.yaml").read_text())
    before = looped.ledger["distortion_nats"]["value"]
    assert run.train(values).ledger["distortion_nats"]["value"] == before
    with pytest.raises(ValueError, match="holds a run of another recipe: model.labels differ"):
        run.train(merged(values, {"model": {"labels": 9}}))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_ring_that_comes_along_can_be_made(path: Path, tmp_path: Path) -> None:
    """On 300 of the toy sentences and with few labels, which take a second."""
    overrides = [f"data.path={write_toy(tmp_path / 'corpus')}", "model.labels=6"]
    if "per_site" in path.stem:
        overrides += ["training.steps=2", "training.warmup_steps=0"]
    made = run.train(path, overrides=overrides, out=tmp_path)
    assert made.ledger["distortion_nats"]["value"] > 0.0
    assert "command:" in path.read_text()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": {"potentials": "per_site"}}, "model.sites.*must be a number"),
        ({"model": {"labels": 60}}, "model.labels.*must be <= 48"),
        ({"model": {"labels": 2}}, "model.labels.*must be >= 3"),
        ({"training": {"steps": 3}}, "training.*shared ones are fitted to counts"),
        ({"model": {"potentials": "per_site", "sites": 4}, "fit": {"ridge": 2.0}}, "fit.ridge.*training.weight_decay"),
    ],
)
def test_faults_of_a_recipe(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=f"(?s){sentence}"):
        load_any(_recipe(tmp_path, change))


def test_what_a_ring_cannot_do(fitted: Run) -> None:
    for arguments in ({"samples": 5}, {"mixture": ["train"]}, {"precision": "bf16"}):
        with pytest.raises(ValueError, match="of no use here: a ring has no z"):
            run.evaluate(fitted, **arguments)
    with pytest.raises(ValueError, match="split must be one of train, valid, test, got 'dev'"):
        run.evaluate(fitted, split="dev")
    with pytest.raises(ValueError, match="count must be >= 1"):
        run.sample(fitted, 0)
    with pytest.raises(ValueError, match="drawn from exactly, without top_p"):
        run.sample(fitted, 1, top_p=0.5)
    with pytest.raises(ValueError, match="temperature must be > 0, got 0"):
        run.sample(fitted, 1, temperature=0.0)
    with pytest.raises(ValueError, match="interpolate: a run of kind ring has no such verb; it has train, evaluate"):
        run.interpolate(fitted, "a", "b")
    with pytest.raises(ValueError, match="Leave start out"):
        run.train(fitted.folder / "recipe.yaml", start=fitted.folder)
