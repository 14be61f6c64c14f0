"""EM's loop: restarts told and the best kept, symmetry and emptiness said, resumed to the bit, shared by processes."""

import threading
from pathlib import Path

import pytest
import torch

from tests.processes import Processes
from tests.training.em import em_of, fitted, from_every_checkpoint
from textlatent.training.checkpoint import Checkpoints
from textlatent.training.signals import TrainingStopped

FAMILIES = ("mixture_unigram", "mixture_bigram", "hmm")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_event_is_lower_than_the_one_before_and_the_best_start_is_left(tmp_path: Path, family: str) -> None:
    events: list[dict] = []
    em = em_of(tmp_path, family=family, progress=events.append, restarts=3)
    standing = em.fit()
    assert [row["restart"] for row in standing.rows] == [0, 1, 2]
    for number in (1, 2, 3):
        logs = [event for event in events if event["event"] == "log" and event["stage"].startswith(f"start {number} ")]
        assert [event["iteration"] for event in logs] == list(range(1, 13))
        values = [event["objective_nats"] for event in logs] + [standing.rows[number - 1]["objective_nats"]]
        assert all(after <= before + 1e-9 for before, after in zip(values, values[1:], strict=False))
        assert all(abs(event["gap_nats"]) < 1e-10 for event in logs)
    best = min(standing.rows, key=lambda row: row["objective_nats"])
    assert standing.best == best["restart"]
    assert em._told(em._expect())["objective_nats"] == best["objective_nats"]
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert sum("of 3: objective" in text for text in notes) == 3


def test_a_start_ends_when_an_iteration_gains_too_little(tmp_path: Path) -> None:
    standing = em_of(tmp_path, iterations=500, tolerance=1e-5, restarts=1).fit()
    assert standing.rows[0]["converged"]
    assert standing.rows[0]["iterations"] < 500
    assert not em_of(tmp_path / "short", iterations=2, restarts=1).fit().rows[0]["converged"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_symmetric_start_is_said_and_made_anew(tmp_path: Path, family: str) -> None:
    events: list[dict] = []
    row = em_of(tmp_path, family=family, progress=events.append, restarts=1, start_noise=0.0).fit().rows[0]
    assert "symmetric: all classes say the same" in row["notes"][0]
    assert any("made anew" in event.get("text", "") for event in events)
    assert row["rate_nats"] > 0.01


def test_two_classes_that_begin_alike_are_said_and_made_anew(tmp_path: Path) -> None:
    em = em_of(tmp_path, restarts=1)
    start, calls = em.parts.start, []

    def alike(words: torch.Tensor, **more: object) -> None:
        start(words, **more)
        if not calls:
            with torch.no_grad():
                em.model.decoder.table.logits[2] = em.model.decoder.table.logits[0]
        calls.append(more)

    em.parts.start = alike
    row = em.fit().rows[0]
    assert row["notes"][0].startswith("symmetric: classes 0 and 2 say the same")
    assert len(calls) == 2
    assert em.parts.alike() == []


def test_one_class_is_no_symmetric_start(tmp_path: Path) -> None:
    row = em_of(tmp_path, classes=1, restarts=1).fit().rows[0]
    assert row["notes"] == []
    assert row["classes_used"] == 1


def test_an_empty_class_is_said_with_what_was_done(tmp_path: Path) -> None:
    em = em_of(tmp_path, restarts=1, pseudo_count=0.0)
    start = em.parts.start

    def without_one(words: torch.Tensor, **more: object) -> None:
        start(words, **more)
        with torch.no_grad():
            em.model.prior.logits[1] = -torch.inf

    em.parts.start = without_one
    row = em.fit().rows[0]
    assert row["classes_used"] == 2
    assert "empty: class 1 holds less than 0.5; its table stays as it was" in row["notes"][0]


def test_a_sentence_of_probability_zero_stops_it_with_advice(tmp_path: Path) -> None:
    em = em_of(tmp_path, restarts=1, pseudo_count=0.0)
    em.parts.start = lambda words, **more: None
    with torch.no_grad():
        em.model.decoder.table.logits[:, 4] = -torch.inf
    with pytest.raises(FloatingPointError, match=r"start 1, iteration 0: .* Set a pseudo-count above 0"):
        em.fit()


def test_killed_anywhere_it_ends_as_the_fit_left_alone(tmp_path: Path) -> None:
    """Tables to the bit and the same events, from every checkpoint and from none."""
    whole, *others = from_every_checkpoint(str(tmp_path), {"family": "mixture_bigram"})
    assert len(others) > 8
    for other in others:
        assert other == whole


def test_sigterm_saves_and_the_same_fit_goes_on(tmp_path: Path) -> None:
    em = em_of(tmp_path, save_every=100)
    em.terminated = threading.Event()
    em.terminated.set()
    with pytest.raises(TrainingStopped):
        em.fit()
    assert Checkpoints(tmp_path / "checkpoints").steps() == [1]
    again = em_of(tmp_path, save_every=100)
    assert again.fit().rows[0]["objective_nats"] == em_of(tmp_path / "alone").fit().rows[0]["objective_nats"]


def test_two_processes_are_one(tmp_path: Path, processes: Processes) -> None:
    """Statistics added up: the same course to rounding; one process without a sentence too."""
    jobs = [{"family": family} for family in FAMILIES] + [{"count": 1}]
    one = fitted(str(tmp_path / "one"), jobs)
    two = processes.run("tests.training.em:fitted", str(tmp_path / "two"), jobs, world=2, folder=tmp_path / "job")
    assert not two[1][0]["events"], "the main process alone speaks"
    for rank in two:
        for mine, theirs in zip(one, rank, strict=True):
            assert mine["best"] == theirs["best"]
            assert mine["weights"] == pytest.approx(theirs["weights"], abs=1e-10)
            for row, other in zip(mine["rows"], theirs["rows"], strict=True):
                assert row["objective_nats"] == pytest.approx(other["objective_nats"], abs=1e-10)
