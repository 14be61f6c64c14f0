"""curve: a run for every point, resumed or left alone, and what they are together; what it refuses."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import textlatent.run.curve  # noqa: F401  (the verb `curve` of textlatent.run is a function)
from tests.toy_codes import toy_codes
from tests.toy_run import merged, toy_recipe, write_toy
from textlatent.recipe.dump import as_values
from textlatent.recipe.load import load_recipe
from textlatent.recipe.objective import Objective
from textlatent.run.curve import _language_model, curve
from textlatent.run.curve_plan import codes_label, plan, what_is_swept
from textlatent.run.folder import Run
from textlatent.training.signals import TrainingStopped

SHORT: dict[str, Any] = {
    "training": {"steps": 2, "save_every": 1, "log_every": 1, "validate_every": 2, "sample_every": 0},
    "evaluation": {"samples": 2, "ladder": [1], "sentences": 6},
}
NAMES = ["lm", "rate-1-seed-0", "rate-2.5-seed-0"]
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return toy_recipe(tmp_path_factory.mktemp("sweep"), SHORT, {"seed": 0})


@pytest.fixture(scope="module")
def swept(values: dict[str, Any]) -> tuple[Path, Events]:
    """A finished sweep, to be left as it is, and what was told of it."""
    events: Events = []
    drawn = curve(values, rates=[1, 2.5], progress=events.append)
    return Path(drawn.folder), events


@pytest.fixture
def copy(swept: tuple[Path, Events], values: dict[str, Any], tmp_path: Path) -> tuple[dict[str, Any], Path]:
    """The same sweep elsewhere, to be tampered with."""
    shutil.copytree(swept[0], tmp_path / "runs" / "toy")
    return merged(values, {"out": str(tmp_path / "runs")}), tmp_path / "runs" / "toy"


def _trained(events: Events) -> list[str]:
    return [event["point"] for event in events if event["event"] == "point_done" and not event["finished"]]


# --------------------------------------------------------------------------------------------------- what it makes


def test_every_point_is_a_run(swept: tuple[Path, Events]) -> None:
    folder, events = swept
    assert sorted(path.name for path in (folder / "points").iterdir()) == NAMES
    assert _trained(events) == NAMES
    for name in NAMES:
        assert Run(folder / "points" / name).ledger["sentences"] == 6
    recipes = {name: Run(folder / "points" / name).recipe for name in NAMES}
    assert [recipes[name].objective.target_rate for name in NAMES] == [None, 1.0, 2.5]
    assert (recipes["lm"].model.latent_size, recipes["lm"].objective) == (0, Objective())
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_the_curve_is_what_the_ledgers_say(swept: tuple[Path, Events]) -> None:
    folder, _ = swept
    content = json.loads((folder / "curve.json").read_text())
    assert [row["name"] for row in content["points"]] == NAMES[1:]
    for row in [content["baseline"], *content["points"]]:
        run = Run(folder / "points" / row["name"])
        for key in ("rate_nats", "distortion_nats", "neg_elbo_nats", "iw_nll_nats"):
            assert row[key] == {name: run.ledger[key][name] for name in ("value", "se")}, key
        log = [event for event in run.metrics if event["event"] == "log"][-1]
        assert (row["beta"], row["training_seconds"]) == (log["beta"], log["seconds"])
        assert row["folder"] == str(run.folder)
    assert content["baseline"]["rate_nats"]["value"] == 0.0
    assert content["baseline"]["information_nats"] is None
    assert content["exact_entropy_nats"] is None, "without its card the language is not known"
    assert content["left"] == []


def test_what_is_told(swept: tuple[Path, Events]) -> None:
    _, events = swept
    begun = [event for event in events if event["event"] == "point"]
    assert [(event["number"], event["of"]) for event in begun] == [(1, 3), (2, 3), (3, 3)]
    assert begun[0]["seconds_left"] is None
    assert begun[1]["seconds_left"] > begun[2]["seconds_left"] > 0
    assert {event["point"] for event in events if event["event"] == "log"} == set(NAMES)
    notes = [event["text"] for event in events if event["event"] == "note" and "cut by a hash" in event["text"]]
    assert len(notes) == 1, "what all runs note is told once"


# --------------------------------------------------------------------------------------------------------- it goes on


def test_a_finished_point_is_left_alone(copy: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve is made anew from what is there; moving the folder changes nothing."""
    values, folder = copy
    (folder / "curve.json").unlink()
    monkeypatch.setitem(curve.__globals__, "train", _never)
    events: Events = []
    drawn = curve(values, rates=[1, 2.5], progress=events.append)
    assert json.loads((folder / "curve.json").read_text()) == json.loads(json.dumps(drawn.to_dict()))
    assert _trained(events) == []
    assert {event["seconds_left"] for event in events if event["event"] == "point"} == {None}


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError("a finished point was trained again")


def test_one_rate_more_trains_one_point(copy: tuple[dict[str, Any], Path]) -> None:
    values, _ = copy
    events: Events = []
    drawn = curve(values, rates=[1, 2.5, 4], progress=events.append)
    assert _trained(events) == ["rate-4-seed-0"]
    assert [point.asked for point in drawn.points] == [1.0, 2.5, 4.0]


def test_another_evaluation_is_not_taken_for_the_points_own(copy: tuple[dict[str, Any], Path]) -> None:
    """A ledger that was written over is made anew, without a step of training."""
    values, folder = copy
    run = Run(folder / "points" / "rate-1-seed-0")
    before = run.ledger["iw_nll_nats"]
    textlatent.run.evaluate(run, samples=1, sentences=3)
    events: Events = []
    curve(values, rates=[1, 2.5], progress=events.append)
    assert _trained(events) == ["rate-1-seed-0"]
    assert not [event for event in events if event["event"] == "log"]
    assert run.ledger["iw_nll_nats"] == before


def test_the_same_call_goes_on(tmp_path: Path, values: dict[str, Any], swept: tuple[Path, Events]) -> None:
    """SIGTERM in the second point: the first is kept, the second goes on, and all is as if never stopped."""
    values = merged(values, {"out": str(tmp_path)})

    def progress(event: dict[str, Any]) -> None:
        if event["event"] == "log" and event["point"] == "rate-1-seed-0" and event["step"] == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingStopped):
        curve(values, rates=[1, 2.5], progress=progress)
    content = json.loads((tmp_path / "toy" / "curve.json").read_text())
    assert (content["points"], content["left"]) == ([], NAMES[1:])
    events: Events = []
    drawn = curve(values, rates=[1, 2.5], progress=events.append)
    assert _trained(events) == NAMES[1:]
    assert [e["point"] for e in events if "resumed from checkpoint" in e.get("text", "")] == ["rate-1-seed-0"]
    whole = json.loads((swept[0] / "curve.json").read_text())
    for point, expected in zip(drawn.points, whole["points"], strict=True):
        assert point.neg_elbo.value == expected["neg_elbo_nats"]["value"]


def test_a_point_of_another_recipe_is_refused_before_anything_is_trained(
    copy: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, _ = copy
    monkeypatch.setitem(curve.__globals__, "train", _never)
    expected = r"rate-1-seed-0 holds a run of another recipe: training.learning_rate differ\. Give this recipe another"
    changed = ["training.learning_rate=0.02"]
    with pytest.raises(ValueError, match=expected):
        curve(values, rates=[8, 1], overrides=changed, baseline=False)


# --------------------------------------------------------------------------------------------- what each point is asked


def _objectives(recipe: dict[str, Any], axis: Any, value: float) -> list[dict[str, Any]]:
    """The objective of every stage, what is not the default."""
    (job,) = plan(load_recipe(recipe), axis=axis, values=[value], seeds=[0], folder=Path("runs"))
    merged_objectives = [job.recipe.stage_objective(stage) for stage in job.recipe.stages]
    return [each.model_dump(exclude_defaults=True) for each in merged_objectives]


def test_a_rate_takes_the_place_of_beta_and_schedule_and_a_beta_that_of_the_rate(values: dict[str, Any]) -> None:
    annealed = merged(
        values, {"objective": {"beta": 1.0, "schedule": "linear", "schedule_steps": 9, "beta_start": 0.0}}
    )
    aimed = merged(values, {"objective": {"target_rate": 3.0, "beta_start": 0.1, "target_gain": 0.05}})
    assert _objectives(annealed, "target_rate", 2.0) == [{"target_rate": 2.0}]
    assert _objectives(aimed, "target_rate", 2.0) == [{"target_rate": 2.0, "beta_start": 0.1, "target_gain": 0.05}]
    assert _objectives(annealed, "beta", 0.5) == [
        {"beta": 0.5, "schedule": "linear", "schedule_steps": 9, "beta_start": 0.0}
    ]
    assert _objectives(aimed, "beta", 0.5) == [{"beta": 0.5, "target_gain": 0.05}]


def test_of_several_stages_the_last_is_asked(values: dict[str, Any]) -> None:
    stages = [{"name": "warm", "steps": 2, "objective": {"beta": 0.0}}, {"name": "main", "objective": {"beta": 0.7}}]
    staged = merged(values, {"stages": stages})
    assert _objectives(staged, "target_rate", 2.0) == [{"beta": 0.0}, {"target_rate": 2.0}]
    assert _objectives(staged, "beta", 0.5) == [{"beta": 0.0}, {"beta": 0.5}]
    single = merged(values, {"stages": [{"objective": {"beta": 0.7}}]})
    assert _objectives(single, "target_rate", 2.0) == [{"target_rate": 2.0}]
    baseline = _language_model(load_recipe(staged), seed=3, out=Path("runs"))
    assert (len(baseline.stages), baseline.training.steps, baseline.seed) == (1, 4, 3)


def test_points_differ_in_name_seed_and_aim_alone(values: dict[str, Any]) -> None:
    recipe = load_recipe(values)
    jobs = plan(recipe, axis="beta", values=[0.1, 1e-05], seeds=[0, 1], folder=Path("runs/toy"))
    names = ["beta-0.1-seed-0", "beta-0.1-seed-1", "beta-1e-05-seed-0", "beta-1e-05-seed-1"]
    assert [job.name for job in jobs] == names
    for job in jobs:
        same = as_values(job.recipe) | {key: as_values(recipe)[key] for key in ("name", "seed", "out", "objective")}
        assert same == as_values(recipe)
    assert jobs[1].folder == Path("runs/toy/points/beta-0.1-seed-1")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({}, r"over rates or over betas: give one of the two, as in rates=\[1, 2, 4, 8\]"),
        ({"rates": [1, 2], "betas": [1, 2]}, "give one of the two"),
        ({"rates": [1]}, r"a curve needs two or more rates, each once, got \[1.0\]"),
        ({"betas": [1, 1.0]}, r"a curve needs two or more betas, each once, got \[1.0, 1.0\]"),
        ({"rates": [0, 1]}, "rates must be above 0, got 0; the language model without z is drawn anyway"),
        ({"betas": [1, float("nan")]}, "betas must be above 0, got nan"),
        ({"codes": [4, 8]}, "codes and positions are swept of a recipe with codes, got model.type: gaussian"),
        ({"rates": [1, 2], "codes": [4, 8]}, "over codes and positions"),
        ({"rates": [1, 2], "seeds": [1, 1]}, r"seeds must be one or more whole numbers, each once, got \[1, 1\]"),
        ({"rates": [1, 2], "seeds": []}, "seeds must be one or more"),
        ({"rates": [1, 2], "seeds": [-1]}, "seed: must be >= 0"),
    ],
)
def test_what_cannot_be_asked(values: dict[str, Any], asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        curve(values, **asked)


# ------------------------------------------------------------------------------------------- codes, and runs beside


@pytest.fixture(scope="module")
def coded(swept: tuple[Path, Events], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A recipe with codes of the same sentences as the finished sweep's."""
    corpus = Run(swept[0] / "points" / "lm").recipe.data.path
    values = toy_codes(tmp_path_factory.mktemp("codes"), SHORT, {"seed": 0, "data": {"path": str(corpus)}})
    return merged(values, {"training": {"steps": 2}})


def test_every_codebook_is_a_point_and_a_finished_sweep_lies_beside_it(
    swept: tuple[Path, Events], coded: dict[str, Any]
) -> None:
    drawn = curve(coded, codes=[3, 4], positions=[1, 2], baseline=False, beside=[swept[0]])
    names = [f"codes-{k}-positions-{p}-seed-0" for p in (1, 2) for k in (3, 4)]
    assert [point.name for point in drawn.points] == names
    assert [point.label for point in drawn.points] == ["1 of 3", "1 of 4", "2 of 3", "2 of 4"]
    for point in drawn.points:
        assert point.asked == pytest.approx(point.rate.value)  # uniform: P ln K
        assert point.codes is not None
        assert point.codes.uniform_rate == pytest.approx(point.asked)
    assert [(point.family, point.label) for point in drawn.beside] == [("gaussian", "rate-1"), ("gaussian", "rate-2.5")]
    content = json.loads((Path(drawn.folder) / "curve.json").read_text())
    assert content["axis"] == "uniform_rate_nats"
    assert [row["name"] for row in content["beside"]] == NAMES[1:]
    assert content["points"][0]["codes"]["of"] == 3
    assert (Path(drawn.folder) / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_swept_is_the_recipe_s_own(coded: dict[str, Any]) -> None:
    recipe = load_recipe(coded)
    asked: dict[str, Any] = dict.fromkeys(("rates", "betas", "codes", "positions"))
    assert what_is_swept(recipe, **(asked | {"codes": [8, 16]})) == ("codes", [(8, 2), (16, 2)])
    assert what_is_swept(recipe, **(asked | {"positions": [1, 3]})) == ("codes", [(4, 1), (4, 3)])
    assert what_is_swept(recipe, **(asked | {"codes": [8]}), least=1) == ("codes", [(8, 2)])
    assert codes_label(recipe) == "2 of 4"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"codes": [4]}, r"a curve needs two or more codebooks, got codes \[4\] and positions \[2\]"),
        ({"codes": [4, 4]}, "whole numbers above 0, each once"),
        ({"codes": [4, 0]}, "whole numbers above 0, each once"),
        ({"rates": [1, 2]}, "target_rate: moves a rate|target_rate"),
    ],
)
def test_codebooks_that_cannot_be_asked(coded: dict[str, Any], asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        curve(coded, **asked)


def test_runs_of_other_sentences_are_refused_before_anything_is_trained(
    swept: tuple[Path, Events], coded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(curve.__globals__, "train", _never)
    one = swept[0] / "points" / "rate-1-seed-0"
    other = toy_recipe(tmp_path / "other", SHORT)
    write_toy(tmp_path / "other" / "corpus", 200)
    for changed, beside, sentence in (
        (coded, [one, one], "is given twice"),
        (coded, [tmp_path], "is not a run's folder"),
        (coded | {"data": other["data"]}, [one], "its ledger is of another corpus"),
        (merged(coded, {"evaluation": {"split": "valid"}}), [one], "--split valid"),
    ):
        with pytest.raises(ValueError, match=sentence):
            curve(changed, codes=[3, 4], beside=beside)


def test_a_run_with_another_number_of_sentences_is_refused(
    coded: dict[str, Any], copy: tuple[dict[str, Any], Path]
) -> None:
    run = Run(copy[1] / "points" / "rate-1-seed-0")
    textlatent.run.evaluate(run, samples=1, sentences=3)
    with pytest.raises(
        ValueError, match=r"of 3 sentences, the curve's of 6; run `textlatent evaluate .* --sentences 6`"
    ):
        curve(coded, codes=[3, 4], positions=[1, 2], baseline=False, beside=[run])
