"""Which validation is the best, and when there have been enough: on validations whose numbers are written down here."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.toy_run import toy_recipe, toy_trainer
from textlatent.scores import Scores
from textlatent.training.loop import Trainer

Events = list[dict[str, Any]]


def _told(events: Events, name: str, kind: str = "validate") -> list[Any]:
    return [event[name] for event in events if event["event"] == kind]


def _scripted(trainer: Trainer, monkeypatch: pytest.MonkeyPatch, rates: list[float], distortions: list[float]) -> None:
    """Validations that find these numbers, one after the other, whatever the model says."""
    script = iter(zip(rates, distortions, strict=True))

    def evaluate(*_: Any, **__: Any) -> Any:
        rate, distortion = next(script)
        rows = torch.ones(4, 2, dtype=torch.float64)
        return Scores(kl=rows * rate / 2, log_p_dec=-distortion * torch.ones(1, 4, dtype=torch.float64))

    monkeypatch.setattr("textlatent.training.loop.evaluate", evaluate)


def _validations(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rates: list[float], distortions: list[float], *changes: Any
) -> tuple[Trainer, Events]:
    events: Events = []
    training = {"training": {"steps": len(rates), "validate_every": 1, "sample_every": 0, "log_every": 1}}
    trainer = toy_trainer(toy_recipe(folder, training, *changes), progress=events.append)
    _scripted(trainer, monkeypatch, rates, distortions)
    trainer.fit()
    return trainer, events


def test_best_is_the_lowest_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, events = _validations(tmp_path, monkeypatch, [1.0, 2.0, 2.0, 1.0], [5.0, 5.0, 2.0, 4.0])
    assert _told(events, "best") == [True, False, True, False]
    assert (trainer.position.best, trainer.position.best_step) == (4.0, 3)
    saved = load_file(trainer.folder / "best" / "model.safetensors")
    last = load_file(trainer.folder / "checkpoints" / "step-4" / "model.safetensors")
    assert any(not torch.equal(saved[name], last[name]) for name in saved)


def test_best_weighs_as_the_objective_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 * rate + distortion: 7 then 6.5; unweighted, 6 would have been better than 6.25."""
    trainer, events = _validations(
        tmp_path, monkeypatch, [1.0, 0.25], [5.0, 6.0], {"objective": {"beta": 2.0}, "evaluation": {"ladder": [1]}}
    )
    assert _told(events, "best") == [True, True]
    assert trainer.position.best == 6.5


def test_under_a_target_best_is_within_a_tenth_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-ELBO 1.0 at rate 1.7 does not count; 9.9 and 9.8 do; 8 at 2.3 does not."""
    rates, distortions = [1.7, 1.85, 2.15, 2.3], [-0.7, 8.05, 7.65, 5.7]
    trainer, events = _validations(tmp_path, monkeypatch, rates, distortions, {"objective": {"target_rate": 2.0}})
    assert _told(events, "best") == [False, True, True, False]
    trainer, events = _validations(
        tmp_path / "two", monkeypatch, [2.1, 1.9, 2.0], [8.0, 7.9, 8.1], {"objective": {"target_rate": 2.0}}
    )
    assert _told(events, "best") == [True, True, False]
    assert trainer.position.best == pytest.approx(9.8)


def test_nothing_is_best_before_a_schedule_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = {"schedule": "linear", "schedule_steps": 3, "beta_start": 0.0}
    trainer, events = _validations(
        tmp_path, monkeypatch, [1.0] * 5, [1.0, 2.0, 5.0, 4.0, 4.5], {"objective": objective}
    )
    assert _told(events, "best") == [False, False, True, True, False]
    assert trainer.position.best_step == 4


def test_nothing_is_best_where_nothing_comes_near_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, _ = _validations(tmp_path, monkeypatch, [1.0, 1.0], [5.0, 4.0], {"objective": {"target_rate": 2.0}})
    assert (trainer.position.best, trainer.position.best_step) == (None, None)
    assert not (trainer.folder / "best").exists()


def test_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two validations without a better one: the sixth step is the last, saved and logged."""
    distortions = [5.0, 4.0, 4.5, 3.0, 3.5, 3.2, 1.0, 1.0]
    trainer, events = _validations(tmp_path, monkeypatch, [1.0] * 8, distortions, {"training": {"patience": 2}})
    assert _told(events, "step") == [1, 2, 3, 4, 5, 6]
    assert _told(events, "stopped_early") == [False] * 5 + [True]
    assert _told(events, "step", "log")[-1] == 6
    assert trainer.checkpoints.steps()[0] == 6
    assert (trainer.position.stopped_early, trainer.position.best_step) == (True, 4)
    again = toy_trainer(toy_recipe(tmp_path, {"training": {"steps": 20, "patience": 2}}))
    assert again.fit().step == 6, "what stopped early stays so"


def test_patience_waits_for_the_schedule_and_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = {"training": {"patience": 2}}
    objective = {"objective": {"schedule": "linear", "schedule_steps": 4}}
    trainer, _ = _validations(tmp_path / "a", monkeypatch, [1.0] * 8, [5.0] * 8, patience, objective)
    assert trainer.position.step == 6
    far = [4.0, 4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 2.0]
    target = {"objective": {"target_rate": 2.0}}
    trainer, _ = _validations(tmp_path / "b", monkeypatch, far, [5.0] * 8, patience, target)
    assert trainer.position.step == 7


def test_patience_ends_a_stage_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was best in the first stage is not what is best in the second, and its patience is its own."""
    stages = {"stages": [{"name": "one", "steps": 4}, {"name": "two", "steps": 3}]}
    distortions = [1.0, 2.0, 2.0, 9.0, 8.0, 8.5, 99.0]
    training = {"training": {"patience": 2}}
    trainer, events = _validations(tmp_path, monkeypatch, [1.0] * 7, distortions, stages, training)
    assert _told(events, "stage") == ["one"] * 3 + ["two"] * 3
    assert _told(events, "best") == [True, False, False, True, True, False]
    assert (trainer.position.step, trainer.position.best_step, trainer.position.stopped_early) == (6, 5, False)


def test_best_is_forgotten_at_a_new_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [{"name": "one", "steps": 1}, {"name": "two", "steps": 1, "objective": {"target_rate": 2.0}}]
    trainer, _ = _validations(tmp_path, monkeypatch, [1.0, 1.0], [1.0, 1.0], {"stages": stages})
    assert trainer.position.best_step is None
    assert not (trainer.folder / "best").exists(), "the first stage's best is not the run's"
