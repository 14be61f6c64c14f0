"""The watch over a training: what a validation's event says, when the latent emptied, and that it survives a kill."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.oracles.clinic import EMPTY, FOUR, HALF
from tests.toy_run import toy_recipe, toy_trainer
from textlatent.nats.bounds import information_bounds
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.training.position import Position
from textlatent.training.watch import SENTENCES, asked_rate, last_words, watch

WELL, ILL = FOUR.scores(0)["own"], EMPTY.scores(0)["own"]


def test_the_event_says_what_the_posteriors_say() -> None:
    position = Position(step=10)
    told, notes = watch(position, WELL)
    latents = (WELL.need("posterior_mean"), WELL.need("posterior_log_variance"), WELL.need("z")[0])
    bounds = information_bounds(*latents)
    assert told == {
        "verdict": "healthy",
        "dimensions": 8,
        "active_units": 8.0,
        "information_lower_nats": bounds.lower.value,
        "information_lower_nats_se": bounds.lower.se,
        "information_upper_nats": bounds.upper.value,
        "information_upper_nats_se": bounds.upper.se,
    }
    assert notes == []
    assert (position.verdict, position.empty_since) == ("healthy", None)


def test_many_sentences_are_thinned_evenly() -> None:
    many = Scores.concatenate([WELL] * 5)
    told, _ = watch(Position(), many)
    chosen = many.select(torch.linspace(0, 2499, SENTENCES).round().long())
    assert told == watch(Position(), chosen)[0]


def test_the_step_at_which_collapse_began_is_named_once() -> None:
    position, said = Position(), []
    for step, scores in ((10, WELL), (20, ILL), (30, ILL), (40, ILL)):
        position.step = step
        said.append(watch(position, scores)[1])
    assert [len(notes) for notes in said] == [0, 1, 0, 0]
    assert said[1][0].startswith("the latent has been empty since step 20: the rate is 0.000 nats per sentence.")
    assert "textlatent ls remedies" in said[1][0]
    assert position.empty_since == 20
    (last,) = last_words(position)
    assert last.startswith("the last validation finds the model collapsed, since step 20. Try target rate")


def test_a_latent_that_comes_back_is_said_too_and_a_flicker_is_not() -> None:
    position = Position(step=20)
    watch(position, ILL)
    faint = Scores(kl=torch.full((500, 8), 0.15 / 8), posterior_mean=torch.zeros(500, 8))
    position.step = 30
    assert watch(position, faint)[1] == []
    assert position.empty_since == 20
    position.step = 40
    (note,) = watch(position, WELL)[1]
    assert (
        note
        == f"the latent, empty since step 20, is in use again: the rate is {WELL.rate().mean():.2f} nats per sentence."
    )
    assert position.empty_since is None
    assert last_words(position) == []
    position.step = 50
    assert "since step 50" in watch(position, ILL)[1][0]


def test_dead_dimensions_at_a_rate_that_was_asked_for_are_no_illness() -> None:
    own, position = HALF.scores(0)["own"], Position()
    assert watch(position, own)[0]["verdict"] == "partly collapsed"
    assert "finds the model partly collapsed." in last_words(position)[0]
    told, _ = watch(position, own, target_rate=4.0)
    assert (told["verdict"], told["active_units"]) == ("healthy", 4.0)


@pytest.mark.parametrize("settings", [{"target_rate": 3.0}, {"minimum_rate": 3.0}, {"capacity": 3.0}])
def test_the_rate_asked_for_in_every_way(settings: dict[str, Any]) -> None:
    assert asked_rate(Objective(**settings)) == 3.0
    assert asked_rate(Objective()) is None


def test_a_language_model_has_nothing_to_watch() -> None:
    position = Position()
    assert watch(position, Scores(kl=torch.zeros(60, 0), posterior_mean=torch.zeros(60, 0))) == ({}, [])
    assert watch(position, Scores(kl=torch.zeros(60, 2))) == ({}, [])
    assert position.verdict is None
    assert last_words(position) == []


def test_a_number_that_is_not_finite_stops_no_training() -> None:
    broken = WELL.from_dict(WELL.to_dict() | {"kl": torch.full((500, 8), float("nan"))})
    told, notes = watch(Position(), broken)
    assert told["verdict"] is None
    assert "must be finite" in told["verdict_why"]
    assert notes == []


def test_a_checkpoint_of_before_has_no_verdict() -> None:
    """What an older checkpoint holds is a position without these fields."""
    old = {name: value for name, value in asdict(Position(step=7)).items() if name not in ("verdict", "empty_since")}
    assert Position(**json.loads(json.dumps(old))) == Position(step=7)


@pytest.fixture(scope="module")
def collapse(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """A run of 20 steps at a weight of the rate that empties any latent, killed after the validation at step 10."""
    folder = tmp_path_factory.mktemp("collapse")
    change = {"objective": {"beta": 300.0}, "training": {"steps": 40, "learning_rate": 0.03, "sample_every": 0}}
    values = toy_recipe(folder, change, {"data": {"valid_fraction": 0.4}})
    events: list[dict[str, Any]] = []
    toy_trainer(values, progress=events.append).fit()
    return folder, values, events


def test_a_training_that_collapses_says_so_and_a_resumed_one_remembers(
    collapse: tuple[Path, dict[str, Any], list[dict[str, Any]]],
) -> None:
    folder, values, events = collapse
    checked = [event for event in events if event["event"] == "validate"]
    assert [event["verdict"] for event in checked][-1] == "collapsed"
    began = next(event["step"] for event in checked if event["verdict"] == "collapsed")
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert sum(f"empty since step {began}:" in note for note in notes) == 1
    assert f"since step {began}. Try" in notes[-1]
    written = [json.loads(line) for line in (folder / "runs" / "toy" / "metrics.jsonl").read_text().splitlines()]
    assert [e["verdict"] for e in written if e["event"] == "validate"] == [e["verdict"] for e in checked]
    again: list[dict[str, Any]] = []
    resumed = toy_trainer(values, progress=again.append)
    assert resumed.fit().empty_since == began
    assert [event["text"] for event in again if event["event"] == "note"][-1] == notes[-1]
