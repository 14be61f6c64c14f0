"""The loop: that it learns, who learns in a stage, what it tells; see test_shapes, test_resume, test_best, test_nan."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toy_run import toy_recipe, toy_trainer
from textlatent.training.loop import Trainer

Events = list[dict[str, Any]]


def _fit(folder: Path, *changes: dict[str, Any], **more: Any) -> tuple[Trainer, Events]:
    events: Events = []
    trainer = toy_trainer(toy_recipe(folder, *changes), progress=events.append, **more)
    trainer.fit()
    return trainer, events


def _of(events: Events, kind: str, name: str) -> list[Any]:
    return [event[name] for event in events if event["event"] == kind]


def _weights(trainer: Trainer, part: str) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in getattr(trainer.model, part).parameters()])


# --------------------------------------------------------------------------------------------------------- it learns


def test_it_learns(tmp_path: Path) -> None:
    """The validation's -ELBO falls by nats; the log's averages are those of its steps."""
    _, events = _fit(tmp_path, {"training": {"steps": 60, "validate_every": 20, "log_every": 1}})
    neg_elbo = _of(events, "validate", "neg_elbo_nats")
    assert neg_elbo[-1] < neg_elbo[0] - 3.0
    for event in events:
        if event["event"] in ("log", "validate"):
            assert event["neg_elbo_nats"] == pytest.approx(event["rate_nats"] + event["distortion_nats"])


def test_a_log_line_averages_over_sentences(tmp_path: Path) -> None:
    """One line over four steps is the mean of four lines, each weighted by its sentences."""
    training = {"steps": 4, "sample_every": 0, "validate_every": 4}
    every: Events = []
    trainer = toy_trainer(toy_recipe(tmp_path, {"training": {**training, "log_every": 1}}, name="a"))
    trainer.journal.progress = every.append
    sizes: list[int] = []
    step = trainer._step
    trainer._step = lambda stage, sentences: (sizes.append(len(sentences)), step(stage, sentences))[1]  # type: ignore[method-assign]
    trainer.fit()
    once: Events = []
    toy_trainer(toy_recipe(tmp_path, {"training": {**training, "log_every": 4}}, name="b"), progress=once.append).fit()
    rates, mean = torch.tensor(_of(every, "log", "rate_nats")), torch.tensor(sizes, dtype=torch.float32)
    assert _of(once, "log", "rate_nats") == [pytest.approx(float((rates * mean).sum() / mean.sum()), rel=1e-5)]
    assert len(set(sizes)) > 1, "steps of one size would hide the weights"


def test_every_sentence_once_in_an_epoch(tmp_path: Path) -> None:
    trainer = toy_trainer(toy_recipe(tmp_path))
    taken: list[torch.Tensor] = []
    step = trainer._step
    trainer._step = lambda stage, sentences: (taken.append(sentences), step(stage, sentences))[1]  # type: ignore[method-assign]
    trainer.fit()
    steps = round(len(trainer.train) / trainer.mean_sentences)
    assert 20 >= 2 * steps
    for epoch in range(2):
        seen = torch.cat(taken[epoch * steps : (epoch + 1) * steps])
        assert seen.sort().values.tolist() == list(range(len(trainer.train)))
    assert trainer.position.tokens == sum(int(trainer.train.lengths[each].sum()) for each in taken)


# ------------------------------------------------------------------------------------------------------------ stages


def test_only_what_a_stage_names_learns(tmp_path: Path) -> None:
    stages = [
        {"name": "one", "steps": 3, "learn": ["decoder"]},
        {"name": "two", "steps": 3, "learn": ["encoder", "prior"]},
    ]
    changes = {"model": {"prior": "learned", "encoder": {"log_variance_bias": -1.0}}, "stages": stages}
    changes |= {"training": {"save_every": 3, "keep_checkpoints": 9}}
    trainer, _ = _fit(tmp_path, changes)
    start, one, two = (toy_trainer(toy_recipe(tmp_path, changes)) for _ in range(3))
    trainer.checkpoints.load_model(3, one.model)
    trainer.checkpoints.load_model(6, two.model)
    for part, moved in (("encoder", (False, True)), ("prior", (False, True)), ("decoder", (True, False))):
        weights = [_weights(each, part) for each in (start, one, two)]
        assert tuple(not torch.equal(a, b) for a, b in zip(weights, weights[1:], strict=False)) == moved, part


def test_a_reset_part_starts_anew_and_the_others_do_not(tmp_path: Path) -> None:
    """After no step at all of the second stage, its part is fresh: here it does not learn, so it stays so."""
    stages = [{"name": "one", "steps": 3}, {"name": "two", "steps": 1, "learn": ["decoder"], "reset": ["encoder"]}]
    trainer, _ = _fit(tmp_path, {"stages": stages, "training": {"save_every": 1, "keep_checkpoints": 9}})
    before = toy_trainer(toy_recipe(tmp_path))
    trainer.checkpoints.load_model(3, before.model)
    old, new = _weights(before, "encoder"), _weights(trainer, "encoder")
    assert not torch.equal(old, new)
    assert old.std().item() == pytest.approx(new.std().item(), rel=0.3), "of the size of fresh weights, not of zeros"
    assert (_weights(before, "decoder") - _weights(trainer, "decoder")).abs().max() < 0.02, "one step from where it was"


def test_a_stage_has_its_own_objective_schedule_and_name(tmp_path: Path) -> None:
    stages = [{"name": "one", "steps": 4, "objective": {"beta": 0.25}}, {"name": "two", "steps": 4}]
    _, events = _fit(tmp_path, {"stages": stages, "training": {"log_every": 1, "warmup_steps": 2}})
    assert _of(events, "log", "stage") == ["one"] * 4 + ["two"] * 4
    assert _of(events, "log", "beta") == [0.25] * 4 + [1.0] * 4
    rates = _of(events, "log", "learning_rate")
    assert rates[:4] == rates[4:], "warm-up and fall are the stage's own"
    assert {event["steps"] for event in events if event["event"] == "log"} == {8}


def test_a_stage_without_parameters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to learn: the stage's parts have no parameters"):
        _fit(tmp_path, {"stages": [{"name": "prior", "learn": ["prior"]}]})


# ------------------------------------------------------------------------------------------- schedules and the target


def test_beta_follows_its_schedule(tmp_path: Path) -> None:
    objective = {"schedule": "linear", "schedule_steps": 4, "beta_start": 0.0, "beta": 2.0}
    _, events = _fit(tmp_path, {"objective": objective, "training": {"steps": 6, "log_every": 1}})
    assert _of(events, "log", "beta") == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]


@pytest.mark.parametrize(("bias", "rises"), [(-6.0, True), (0.0, False)])
def test_beta_rises_above_the_target_rate_and_falls_below_it(tmp_path: Path, bias: float, rises: bool) -> None:
    """A narrow posterior has many nats, a wide one almost none; ln beta moves by at most the gain per step."""
    changes = {
        "model": {"encoder": {"log_variance_bias": bias}},
        "objective": {"target_rate": 2.0, "target_gain": 0.05, "beta_start": 0.5},
        "training": {"steps": 6, "log_every": 1, "learning_rate": 1e-4},
    }
    _, events = _fit(tmp_path, changes)
    log_beta = torch.tensor(_of(events, "log", "beta")).log()
    assert log_beta[0].item() == pytest.approx(math.log(0.5))
    assert log_beta.diff().tolist() == pytest.approx([0.05 if rises else -0.05] * 5, rel=0.15)
    assert all((rate > 2.0) == rises for rate in _of(events, "log", "rate_nats"))


# ------------------------------------------------------------------------------------------------------------- events


def test_events_and_their_steps(tmp_path: Path) -> None:
    training = {"steps": 10, "log_every": 4, "validate_every": 5, "sample_every": 3}
    events: Events = []
    trainer = toy_trainer(toy_recipe(tmp_path, {"training": training}), progress=events.append)
    trainer.sampler = lambda model: {"samples": [f"{type(model).__name__}"], "reconstructions": ["b"]}
    trainer.fit()
    assert _of(events, "log", "step") == [4, 8, 10]
    assert _of(events, "validate", "step") == [5, 10]
    assert _of(events, "sample", "step") == [3, 6, 9, 10]
    assert _of(events, "sample", "samples")[0] == ["SentenceVAE"]
    lines = [json.loads(line) for line in (trainer.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == events
    assert all(math.isfinite(event["tokens_per_second"]) for event in events if event["event"] == "log")
    epochs = _of(events, "log", "epoch")
    assert epochs == sorted(epochs)
    assert epochs[-1] == pytest.approx(10 * trainer.mean_sentences / len(trainer.train), rel=0.05)


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Logging, validating and sampling as often as can be, or never: the same weights to the bit."""
    seldom = {"training": {"steps": 6, "log_every": 6, "validate_every": 6, "sample_every": 0, "save_every": 6}}
    often = {"training": {"steps": 6, "log_every": 1, "validate_every": 1, "sample_every": 1, "save_every": 1}}
    found = []
    for name, changes in (("seldom", seldom), ("often", often)):
        trainer = toy_trainer(toy_recipe(tmp_path, changes, name=name))
        trainer.sampler = lambda model: {"samples": model.decode(torch.randn(2, 4), do_sample=True)}
        trainer.fit()
        found.append({name: tensor.clone() for name, tensor in trainer.model.state_dict().items()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_bf16_trains_with_float32_weights(tmp_path: Path) -> None:
    trainer, events = _fit(tmp_path, {"training": {"precision": "bf16", "steps": 4, "log_every": 1}})
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    exact, _ = _of(events, "log", "distortion_nats"), None
    _, same = _fit(tmp_path / "fp32", {"training": {"steps": 4, "log_every": 1}})
    assert exact != _of(same, "log", "distortion_nats"), "the products are rounded"
    assert exact[0] == pytest.approx(_of(same, "log", "distortion_nats")[0], rel=2.0**-6)
