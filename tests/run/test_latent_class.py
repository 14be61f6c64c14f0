"""Runs of kind latent_class: three methods, three families, every verb, exact ledgers, resumed where they stopped."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.processes import Processes
from tests.toy_run import merged, write_toy
from textlatent import run as verbs
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.latent_class import (
    ClassEvaluation,
    ClassModel,
    ClassTraining,
    ExpectationMaximisation,
    LatentClassRecipe,
)
from textlatent.recipe.load import load_any
from textlatent.recipe.section import Section
from textlatent.run.folder import Run
from textlatent.run.kinds import kind_of_run
from textlatent.run.latent_class import VERBS
from textlatent.run.recipes import ShippedRecipe, list_recipes
from textlatent.training.alternation import EMOptions
from textlatent.training.options import TrainingOptions

SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def _values(folder: Path, *changes: dict[str, Any], name: str = "classes") -> dict[str, Any]:
    """A recipe over 300 toy sentences."""
    path = folder / "corpus" / "sentences.tsv"
    if not path.exists():
        write_toy(path.parent)
    values = {
        "kind": "latent_class",
        "name": name,
        "out": str(folder / "runs"),
        "data": {"path": str(path), "label": "topic", "max_tokens": 16},
        "tokenizer": {"type": "word", "vocabulary": None},
        "model": {"classes": 3, "word_pseudo_count": 0.1},
    }
    return merged(values, *changes)


EM = {"em": {"iterations": 8, "restarts": 2, "save_every": 4}}
LOOP = {"training": {"steps": 12, "tokens_per_step": 512, "validate_every": 6, "sample_every": 6, "save_every": 6}}
CASES: dict[str, dict[str, Any]] = {
    "em": EM,
    "bigram": merged(EM, {"model": {"family": "mixture_bigram"}}),
    "hmm": merged(EM, {"model": {"family": "hmm"}}),
    "gradient": merged(LOOP, {"method": "gradient"}),
    "hmm-gradient": merged(LOOP, {"method": "gradient", "model": {"family": "hmm"}}),
    "amortised": merged(LOOP, {"method": "amortised", "model": {"encoder": "bag_of_words"}}),
    "hmm-amortised": merged(
        LOOP, {"method": "amortised", "model": {"family": "hmm", "encoder": "transformer", "encoder_config": SMALL}}
    ),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each case, over the same sentences."""
    folder = tmp_path_factory.mktemp("classes")
    return {name: verbs.train(_values(folder, changes, name=name)) for name, changes in CASES.items()}


@pytest.mark.parametrize("case", CASES)
def test_the_ledger_is_exact_and_its_gap_is_the_encoder_s(trained: dict[str, Run], case: str) -> None:
    """Bayes's gap is 0; a taught encoder's is above, and -ELBO - NLL all the same."""
    run = trained[case]
    ledger = run.ledger
    gap = ledger["neg_elbo_nats"]["value"] - ledger["iw_nll_nats"]["value"]
    assert ledger["gap_nats"]["value"] == pytest.approx(gap, abs=1e-10)
    if case.endswith("amortised"):
        assert gap > 1e-4
    else:
        assert abs(gap) < 1e-10
    assert ledger["iw_nll_nats"]["exact"]
    information = ledger["information_nats"]
    assert (information["value"] is None) == case.startswith("hmm")
    if information["value"] is not None:
        mismatch = ledger["rate_nats"]["value"] - information["upper"]
        assert ledger["mismatch_nats"]["lower"] == pytest.approx(mismatch, abs=1e-9)
        table = np.array(ledger["class_label_nats"]["expected_sentences"])
        assert table.sum() == pytest.approx(ledger["sentences"])
    assert (run.folder / "final" / "README.md").read_text().count("| gap |") == 1
    assert len(json.loads((run.folder / "samples.json").read_text())["samples"]) == 10


def test_every_start_is_in_restarts_json_and_the_best_is_what_is_left(trained: dict[str, Run]) -> None:
    content = json.loads((trained["em"].folder / "restarts.json").read_text())
    rows = content["restarts"]
    assert len(rows) == 2
    assert content["best"] == min(rows, key=lambda row: row["objective_nats"])["restart"]
    valid = verbs.evaluate(trained["em"], split="valid")
    assert valid["neg_elbo_nats"]["value"] == pytest.approx(rows[content["best"]]["valid_nll_nats"], abs=1e-9)


@pytest.mark.parametrize("case", ["em", "bigram", "hmm", "amortised"])
def test_diagnose_gives_a_verdict_with_its_reasons(trained: dict[str, Run], case: str) -> None:
    found = verbs.diagnose(trained[case], floor=10)
    written = json.loads((trained[case].folder / "diagnosis.json").read_text())
    assert written["overall"] == found.overall
    made = {check.illness for check in found.checks if check.value is not None}
    assert {"collapsed", "ignored", "mismatched"} <= made if case != "hmm" else "collapsed" in made
    if case == "amortised":
        assert any("refining each posterior" in note for note in found.notes)
    parts = {name: cell and cell["value"] for name, cell in written["inference"].items() if name != "samples"}
    if case == "amortised":  # Bayes's own posterior leaves nothing
        assert parts["gap_nats"] > 0.0
        assert parts["amortisation_nats"] == pytest.approx(parts["gap_nats"], abs=1e-6)
        assert parts["left_nats"] == pytest.approx(0.0, abs=1e-6)
    else:
        assert parts == {"gap_nats": pytest.approx(0.0, abs=1e-6), "amortisation_nats": None, "left_nats": None}


def test_sample_score_and_encode(trained: dict[str, Run], tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the child repairs his old boat .\nthe sailor sells the boat .\n")
    for case in ("em", "bigram", "hmm"):
        run = trained[case]
        assert verbs.sample(run, 3, seed=1, num_beams=1) == verbs.sample(run, 3, seed=1)
        rows = verbs.score(run, text)
        assert [row["neg_elbo_nats"] for row in rows] == pytest.approx([row["iw_nll_nats"] for row in rows])
        written = verbs.encode(run, text, tmp_path / f"{case}.safetensors")
        tensors = load_file(tmp_path / f"{case}.safetensors")
        assert written["sentences"] == 2
        assert tensors["mean"].sum(1) == pytest.approx([1.0, 1.0])
        assert tensors["codes"].shape == (2, 8 if case == "hmm" else 1)


def test_runs_are_compared_and_the_gap_has_its_table(trained: dict[str, Run]) -> None:
    found = verbs.compare([trained[name] for name in ("em", "gradient", "amortised")])
    table = verbs.gap_table(found)
    assert [row[0] for row in table.texts()] == ["em", "gradient", "amortised"]
    assert table.columns == ("run", "NLL", "-ELBO", "gap")


@pytest.mark.parametrize("case", ["em", "amortised"])
def test_a_run_cut_short_goes_on_to_the_same_weights(trained: dict[str, Run], tmp_path: Path, case: str) -> None:
    folder = tmp_path / "runs" / case
    shutil.copytree(trained[case].folder, folder)
    whole = (folder / "final" / "model.safetensors").read_bytes()
    for done in ("final", "best"):
        shutil.rmtree(folder / done, ignore_errors=True)
    newest = max((folder / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    shutil.rmtree(newest)
    recipe = merged(load_any(folder / "recipe.yaml").model_dump(), {"out": str(tmp_path / "runs")})
    notes: list[str] = []
    verbs.train(recipe, progress=lambda event: notes.append(event.get("text", "")))
    assert any("resumed from checkpoint" in note for note in notes)
    assert (folder / "final" / "model.safetensors").read_bytes() == whole
    with pytest.raises(ValueError, match=r"model\.classes differ"):
        verbs.train(merged(recipe, {"model": {"classes": 4}}))


def test_a_verb_that_exact_tables_have_no_use_for_is_a_sentence(trained: dict[str, Run]) -> None:
    with pytest.raises(ValueError, match="has no such verb"):
        verbs.reconstruct(trained["em"])
    with pytest.raises(ValueError, match="leave `mixture`"):
        verbs.evaluate(trained["em"], mixture=["train"])
    assert set(VERBS) == {"train", "evaluate", "diagnose", "sample", "score", "encode"}


@pytest.mark.parametrize(
    ("change", "path", "sentence"),
    [
        ({"method": "gradient", "em": {"restarts": 2}}, "em", "is for method em"),
        ({"training": {"steps": 3}}, "training", "is for methods gradient and amortised"),
        ({"method": "amortised"}, "model.encoder", "must say what is taught"),
        ({"model": {"encoder": "bag_of_words"}}, "model.encoder", "is for method amortised"),
        ({"model": {"encoder_config": SMALL}}, "model.encoder_config", "is a transformer's"),
        (
            {"method": "amortised", "model": {"family": "hmm", "encoder": "bag_of_words"}},
            "model.encoder",
            "which word is where",
        ),
        (
            {"model": {"family": "mixture_bigram", "classes": 10}, "tokenizer": {"vocabulary": 10000}},
            "tokenizer.vocabulary",
            "7 GiB",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(tmp_path: Path, change: dict, path: str, sentence: str) -> None:
    with pytest.raises(RecipeError) as fault:
        load_any(_values(tmp_path, change))
    assert path in str(fault.value)
    assert sentence in str(fault.value)


def _shipped() -> list[ShippedRecipe]:
    return [each for each in list_recipes() if kind_of_run(each.path) == "latent_class"]


@pytest.mark.parametrize("shipped", _shipped(), ids=lambda each: each.name)
def test_every_recipe_of_this_kind_trains(shipped: ShippedRecipe, tmp_path: Path) -> None:
    """On 300 sentences of the toy corpus, two iterations or steps."""
    path = write_toy(tmp_path / "corpus")
    recipe = load_any(shipped.path)
    assert isinstance(recipe, LatentClassRecipe)
    overrides = [f"data.path={path}", "data.label=topic", "data.column=text"]
    overrides += ["em.iterations=2", "em.restarts=1"] if recipe.method == "em" else ["training.steps=2"]
    found = verbs.train(shipped.path, overrides=overrides, out=tmp_path)
    assert found.ledger["iw_nll_nats"]["exact"]


@pytest.mark.slow
@pytest.mark.parametrize("case", ["em", "hmm-gradient"])
def test_two_processes_make_the_run_that_one_makes(
    trained: dict[str, Run], tmp_path: Path, processes: Processes, case: str
) -> None:
    """The same nats to rounding, by gloo."""
    recipe = load_any(trained[case].folder / "recipe.yaml").model_dump() | {"out": str(tmp_path / "runs")}
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(recipe))
    job = processes.start("tests.processes:train", str(path), world=2, folder=tmp_path / "job")
    assert job.wait() == [0, 0], job.errors()
    ledger = Run(tmp_path / "runs" / case).ledger
    for name in ("rate_nats", "distortion_nats", "neg_elbo_nats", "iw_nll_nats"):
        assert ledger[name]["value"] == pytest.approx(trained[case].ledger[name]["value"], rel=1e-9), name


def _defaults(section: type[Section]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in section.model_fields.items()}


def test_every_section_is_what_it_configures_defaults_included() -> None:
    """EM's numbers are EMOptions'; the loop's are TrainingOptions' but for those that tables have no use for."""
    options = {field.name: field.default for field in dataclasses.fields(EMOptions)}
    assert options.pop("start_noise") == _defaults(ClassModel)["start_noise"]
    assert _defaults(ExpectationMaximisation) == options
    loop = {field.name for field in dataclasses.fields(TrainingOptions)}
    theirs = {"precision", "optimizer", "muon_learning_rate", "weight_decay"}
    assert set(_defaults(ClassTraining)) == loop - theirs
    for section in (ClassModel, ExpectationMaximisation, ClassTraining, ClassEvaluation, LatentClassRecipe):
        for name, field in section.model_fields.items():
            assert field.description, name
            assert "\n" not in field.description
            assert field.description.endswith("."), name
