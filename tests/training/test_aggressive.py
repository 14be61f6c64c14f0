"""Aggressive encoder training: the rule by hand; encoder and decoder take turns until the information falls."""

import itertools
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.toy_run import NO_DROPOUT, toy_recipe, toy_trainer
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.training.aggressive import POSTERIORS, Ahead, information, look, run_ahead, sentences_of, spread
from textlatent.training.loop import Trainer
from textlatent.training.options import Stage
from textlatent.training.position import Position

# ---------------------------------------------------------------------------------------------------- the encoder's run


def _ahead(losses: list[float], tokens: list[int] | None = None, **limits: int) -> Ahead:
    """A run whose updates find these losses."""
    sums = [{"loss": loss, "tokens": n} for loss, n in zip(losses, tokens or [1] * len(losses), strict=True)]
    return run_ahead(lambda number: sums[number - 1], **limits)


def test_it_ends_with_the_first_window_whose_loss_rose() -> None:
    assert _ahead([5.0, 5.0, 4.0, 4.0, 3.0, 5.5, 9.9], at_most=7, window=2).updates == 6
    assert _ahead([5.0, 5.0, 6.0, 4.0, 3.0, 5.0], at_most=6, window=2).updates == 6, "equal is no rise"
    assert _ahead([1.0, 2.0], at_most=2, window=1).updates == 2
    assert _ahead([2.0, 1.0, 0.5], at_most=3, window=1).updates == 3
    assert _ahead([1.0, 2.0, 9.0], at_most=3, window=4).updates == 3, "no window is full"


def test_losses_are_compared_per_token() -> None:
    """4 nats on 2 tokens are less than 3 nats on 1, and both windows' tokens are counted."""
    assert _ahead([3.0, 4.0, 6.0], [1, 2, 2], at_most=3, window=1) == Ahead(3, 5)
    assert _ahead([3.0, 4.0, 5.0], [1, 1, 2], at_most=3, window=1) == Ahead(2, 2)


def test_sentences_are_the_steps_own_and_then_any_of_the_epoch() -> None:
    """A function of seed, stage, step and number; each of four steps is met a quarter of the time, within 4 errors."""
    plan = [torch.tensor([k]) for k in range(4)]
    own, words = torch.tensor([7]), (1, 2, 3)
    assert sentences_of(1, own=own, plan=plan, words=words) is own
    found = [int(sentences_of(n, own=own, plan=plan, words=words)) for n in range(2, 2002)]
    assert found == [int(sentences_of(n, own=own, plan=plan, words=words)) for n in range(2, 2002)]
    assert found != [int(sentences_of(n, own=own, plan=plan, words=(1, 2, 4))) for n in range(2, 2002)]
    for k in range(4):
        assert abs(found.count(k) / 2000 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)


# --------------------------------------------------------------------------------------------------------- when it ends


def _scores(mean: Tensor) -> Scores:
    """Posteriors of standard deviation 0.01 around these means, each with its own mean as the draw."""
    return Scores(
        log_p_dec=torch.zeros(1, len(mean)),
        z=mean[None],
        posterior_mean=mean,
        posterior_log_variance=torch.full_like(mean, 2 * math.log(0.01)),
    )


def test_information_of_posteriors_alike_and_apart() -> None:
    """ln 1 where all are one, ln 5 where five are far from each other."""
    assert information(_scores(torch.zeros(5, 2))) == pytest.approx(0.0, abs=1e-12)
    assert information(_scores(torch.arange(10.0).reshape(5, 2))) == pytest.approx(math.log(5))


def test_information_is_looked_for_in_a_thousand() -> None:
    """From the first to the last, evenly; all of them where they are fewer."""
    places = spread(3000)
    assert (len(places), places[0], places[-1]) == (POSTERIORS, 0, 2999)
    assert places.diff().unique().tolist() in ([2, 3, 4], [3], [2, 3], [3, 4])
    assert spread(5).tolist() == [0, 1, 2, 3, 4]


def test_it_is_over_when_the_information_falls() -> None:
    position = Position()
    apart, alike = _scores(torch.arange(4.0)[:, None]), _scores(torch.zeros(4, 1))
    for scores, over in ((alike, False), (apart, False), (apart, False), (alike, True)):
        told, notes = look(position, scores)
        assert told["aggressive_over"] is position.aggressive_over is over
        assert told["information_lower_nats"] == position.information
        assert bool(notes) == over
    assert notes == [
        "step 0: the information fell from 1.39 to 0.00 nats; encoder and decoder learn together from here on."
    ]
    position.next_stage()
    assert (position.aggressive_over, position.information) == (False, None), "each stage has its own"


# ---------------------------------------------------------------------------------------------------------- in the loop

AHEAD: dict[str, Any] = {"aggressive": True, "encoder_updates": 6, "encoder_window": 2}
CHANGES: dict[str, Any] = {
    "model": {"prior": "learned", "encoder": {"log_variance_bias": -1.0}},
    "training": {"steps": 4, "log_every": 1, "validate_every": 2, "sample_every": 0, "save_every": 1}
    | {"keep_checkpoints": 9},
    "stages": [AHEAD],
}


class _Watched:
    """A training of which every update is noted: (step, number), loss per token, and the parts it moved."""

    def __init__(self, folder: Path, *changes: dict[str, Any], name: str = "toy") -> None:
        self.events: list[dict[str, Any]] = []
        self.trainer = toy_trainer(toy_recipe(folder, CHANGES, *changes, name=name), progress=self.events.append)
        self.updates: list[tuple[int, int]] = []
        self.losses: list[float] = []
        self.moved: list[set[str]] = []
        self.update, self.trainer._update = self.trainer._update, self._update  # type: ignore[method-assign]

    def _update(self, stage: Stage, sentences: Tensor, *, learn: tuple[str, ...], number: int = 0) -> dict[str, Any]:
        before = _parts(self.trainer)
        sums = self.update(stage, sentences, learn=learn, number=number)
        after = _parts(self.trainer)
        self.updates.append((self.trainer.position.step, number))
        self.losses.append(sums["loss"] / sums["tokens"])
        self.moved.append({part for part in before if not torch.equal(before[part], after[part])})
        return sums

    def of_a_step(self, step: int) -> list[int]:
        """The numbers of its updates; the one of the rest is 0."""
        return [number for at, number in self.updates if at == step]


def _parts(trainer: Trainer) -> dict[str, Tensor]:
    return {
        part: torch.cat([p.detach().flatten().clone() for p in getattr(trainer.model, part).parameters()])
        for part in ("encoder", "prior", "decoder")
    }


def _informations(monkeypatch: pytest.MonkeyPatch, values: Iterator[float]) -> None:
    """What the validations find, whatever the model says."""
    monkeypatch.setattr("textlatent.training.aggressive.information", lambda scores: next(values))


def test_the_encoder_moves_alone_and_then_the_rest_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit; and encoder updates outnumber the others."""
    _informations(monkeypatch, itertools.count(1.0))
    run = _Watched(tmp_path)
    run.trainer.fit()
    for (_, number), moved in zip(run.updates, run.moved, strict=True):
        assert moved == ({"encoder"} if number else {"prior", "decoder"})
    for step in range(4):
        numbers = run.of_a_step(step)
        assert numbers == [*range(1, len(numbers)), 0]
        assert len(numbers) > 2
    made = [event["encoder_updates"] for event in run.events if event["event"] == "log"]
    assert made == [len(run.of_a_step(step)) - 1 for step in range(4)]
    assert run.trainer.position.step == 4, "steps are steps of the rest"


def test_the_encoders_loss_falls_until_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of four: none is above the one before but the last, unless all updates were made."""
    _informations(monkeypatch, itertools.count(1.0))
    run = _Watched(tmp_path, {"stages": [AHEAD | {"encoder_updates": 40, "encoder_window": 4}]})
    run.trainer.fit()
    ends = set()
    for step in range(4):
        losses = [x for x, (at, number) in zip(run.losses, run.updates, strict=True) if at == step and number]
        windows = [sum(losses[i : i + 4]) for i in range(0, len(losses) // 4 * 4, 4)]
        rises = [later > earlier * (1 + 0.01) for earlier, later in itertools.pairwise(windows)]  # tokens differ a bit
        assert not any(rises[:-1])
        ends.add(len(losses))
    assert ends != {40}, "somewhere it stopped of itself"


def test_moments_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW has counted the encoder's updates for the encoder, the steps for the decoder."""
    _informations(monkeypatch, itertools.count(1.0))
    run = _Watched(tmp_path)
    run.trainer.fit()
    state = run.trainer.updater.optimizer.state
    encoder = sum(number > 0 for _, number in run.updates)
    for part, count in (("encoder", encoder), ("decoder", 4), ("prior", 4)):
        assert {int(state[p]["step"]) for p in getattr(run.trainer.model, part).parameters() if p in state} == {count}


def test_when_it_is_over_steps_are_ordinary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The information falls at step 4: from there it is, bit for bit, a stage that was never aggressive."""
    _informations(monkeypatch, iter([2.0, 1.0]))
    steps = {"training": {"steps": 7, "validate_every": 7}, "stages": [AHEAD | {"information_every": 2}]}
    run = _Watched(tmp_path, steps, name="aggressive")
    run.trainer.fit()
    assert run.trainer.position.aggressive_over
    assert [len(run.of_a_step(step)) for step in range(4, 7)] == [1, 1, 1]
    assert run.moved[-3:] == [{"encoder", "prior", "decoder"}] * 3
    told = [(event["step"], event["aggressive_over"]) for event in run.events if event["event"] == "information"]
    assert told == [(2, False), (4, True)]

    other = _Watched(tmp_path, steps, {"stages": [{"name": "train"}]}, name="ordinary").trainer
    shutil.copytree(run.trainer.checkpoints.path(4), other.checkpoints.path(4))
    other.fit()
    assert all(torch.equal(a, b) for a, b in zip(_parts(other).values(), _parts(run.trainer).values(), strict=True))


def test_the_speed_counts_all_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So does the position; a line's nats are those of the step's own sentences."""
    _informations(monkeypatch, itertools.count(1.0))
    ahead, plain = _Watched(tmp_path), _Watched(tmp_path, {"stages": [{"name": "train"}]}, name="plain")
    for run in (ahead, plain):
        run.trainer.fit()
    assert ahead.trainer.position.tokens > 2.5 * plain.trainer.position.tokens
    assert "encoder_updates" not in next(event for event in plain.events if event["event"] == "log")


def test_the_objective_counts_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target's beta moves once in a step, however many updates it has."""
    _informations(monkeypatch, itertools.count(1.0))
    target = {"objective": {"target_rate": 2.0, "target_gain": 0.05, "beta_start": 0.5}, **NO_DROPOUT}
    run = _Watched(tmp_path, target)
    run.trainer.fit()
    beta = torch.tensor([event["beta"] for event in run.events if event["event"] == "log"])
    assert beta[0] == 0.5
    assert beta.log().diff().abs().max() < 0.0501


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learn": ("encoder",)}, "needs encoder and decoder in `learn`, got encoder"),
        ({"encoder_updates": 0}, "encoder_updates and encoder_window must be >= 1, got 0 and 15"),
    ],
)
def test_a_stage_that_cannot_be(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage(name="x", steps=1, objective=Objective(), aggressive=True, **fields)
