"""An update of a model with codes: one set of statistics in every launch shape, resumed to the bit, held parts held."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from tests.toy_codes import toy_codes
from tests.toy_run import NO_DROPOUT, toy_trainer
from textlatent.training.optimizer import Together, build_optimizer
from textlatent.training.options import TrainingOptions

ROLLING: dict[str, Any] = {"codebook": {"codes": 6, "decay": 0.5, "revive": 0.5}}
LEARNED: dict[str, Any] = {"codebook": {"decay": None, "codebook_lr_factor": 30.0, "revive": 0.5, "codes": 6}}
CASES: dict[str, dict[str, Any]] = {
    "rolling": {"model": ROLLING},
    "learned": {"model": LEARNED},
    "a book each": {"model": {"codebook": ROLLING["codebook"] | {"books": "position"}}},
    "fewer sentences than parts": {"model": ROLLING, "training": {"tokens_per_step": 24}},
}
SHAPES = [(world, parts) for world in (1, 2) for parts in (1, 3)]


def _values(folder: Path, case: str, world: int, parts: int) -> dict[str, Any]:
    training = {"steps": 4, "log_every": 1, "accumulation": parts, "warmup_steps": 0, "clip": None, "save_every": 99}
    training |= {"validate_every": 99, "sample_every": 0}
    return toy_codes(
        folder, NO_DROPOUT, {"training": training}, CASES[case], name=f"{case.replace(' ', '-')}-{world}-{parts}"
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> dict[tuple[str, int, int], Any]:
    """What each (case, processes, accumulation) did, in float64."""
    folder, found = tmp_path_factory.mktemp("shapes"), {}
    for world in (1, 2):
        jobs = [(case, parts) for case in CASES for parts in (1, 3)]
        recipes = [_values(folder, case, world, parts) for case, parts in jobs]
        main = processes.run("tests.training.shapes:trainings", recipes, world=world, folder=folder / f"job-{world}")[0]
        found |= {(case, world, parts): result for (case, parts), result in zip(jobs, main, strict=True)}
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("world", "parts"), SHAPES[1:])
def test_a_step_is_the_same_in_every_shape(results: Any, case: str, world: int, parts: int) -> None:
    """Weights, codes, their statistics and revivals, to 1e-9; though parts may be empty and processes uneven."""
    one, other = results[case, 1, 1], results[case, world, parts]
    for name in ("weights", "buffers"):
        a, b = torch.tensor(one[name]), torch.tensor(other[name])
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(one["logs"], other["logs"], strict=True):
        assert theirs["codes_revived"] == mine["codes_revived"]
        assert theirs["distortion_nats"] == pytest.approx(mine["distortion_nats"], rel=1e-9)


def test_codes_were_revived_and_parts_were_empty(results: Any) -> None:
    """Otherwise the comparison above would say nothing of them."""
    for case in ("rolling", "learned", "a book each"):
        assert sum(log["codes_revived"] for log in results[case, 1, 1]["logs"]) > 0, case
    few = results["fewer sentences than parts", 1, 1]["logs"][0]
    assert few["sentences_per_second"] * few["seconds"] < 6, "some of the 6 parts of a step must be empty"


HARD: dict[str, Any] = {
    "model": {**ROLLING, "code_prior": {"type": "autoregressive", "size": 8, "heads": 2, "layers": 1}},
    "training": {"tokens_per_step": 900, "log_every": 3, "validate_every": 4, "save_every": 1, "keep_checkpoints": 99},
    "stages": [
        {"name": "codes", "steps": 5, "learn": ["encoder", "decoder"]},
        {"name": "prior", "steps": 3, "learn": ["prior"]},
    ],
}
"""Dropout, a step of an epoch and a half, codes that roll and revive, then a prior beside parts that are held."""


@pytest.mark.parametrize("world", [1, 2])
def test_from_every_step_on(tmp_path: Path, processes: Processes, world: int) -> None:
    """Killed after any step and started again, bit for bit the run left alone: codes, counts, sums and usage too."""
    values = toy_codes(tmp_path, HARD)
    whole, *stopped = processes.run(
        "tests.training.resume:from_every_step", values, 8, world=world, folder=tmp_path / "job"
    )[0]
    assert whole["step"] == "step-8"
    for steps, again in enumerate(stopped):
        assert again == whole, f"stopped after {steps} steps"


def test_a_prior_that_learns_alone(tmp_path: Path) -> None:
    """Encoder, codes and decoder keep every bit, no decoder runs, and the rate falls from P ln K."""
    events: list[dict[str, Any]] = []
    trainer = toy_trainer(toy_codes(tmp_path, HARD), progress=events.append)
    held: dict[str, torch.Tensor] = {}
    step = trainer._step

    def look(stage: Any, sentences: Any) -> Any:
        sums = step(stage, sentences)
        parts = {k: v.clone() for k, v in trainer.model.state_dict().items() if not k.startswith("prior")}
        if stage.name == "prior":
            assert sums["distortion"] is None
            assert not trainer.model.encoder.training
            assert trainer.model.prior.training
            assert all(torch.equal(held[name], tensor) for name, tensor in parts.items())
        held.update(parts)
        return sums

    trainer._step = look  # type: ignore[method-assign]
    trainer.fit()
    logs = [event for event in events if event["event"] == "log"]
    assert [log["distortion_nats"] is None for log in logs] == [log["stage"] == "prior" for log in logs]
    rates = [event["rate_nats"] for event in events if event["event"] == "validate"]
    assert rates[-1] < rates[0]


def test_codes_start_once(tmp_path: Path) -> None:
    """Before the first step, from the same sentences whatever the shape; not again in a later stage, nor resuming."""
    trainer = toy_trainer(toy_codes(tmp_path, HARD, {"training": {"steps": 1}}))
    trainer.updater.prepare(trainer.stages[0])
    first = trainer.model.encoder.books[0].vectors.clone()
    assert trainer.model.encoder.started
    trainer.updater.prepare(trainer.stages[0])
    assert torch.equal(trainer.model.encoder.books[0].vectors, first)


def test_an_encoder_that_begins_anew_starts_its_codes_anew(tmp_path: Path) -> None:
    """Its codes would lie nowhere near what a fresh encoder says."""
    stages = [{"name": "one", "steps": 2}, {"name": "two", "steps": 1, "reset": ["encoder"]}]
    trainer = toy_trainer(toy_codes(tmp_path, {"stages": stages}))
    started: list[int] = []
    start = trainer.model.start_codes
    trainer.model.start_codes = lambda *a, **k: (started.append(trainer.position.step), start(*a, **k))[1]
    trainer.fit()
    assert started == [0, 2]


def test_a_step_moves_a_code_by_its_share_of_the_sentences(tmp_path: Path) -> None:
    """Under `published`: learning_rate * factor * n_k / N of the way to the mean of its n_k vectors."""
    training = {"warmup_steps": 0, "clip": None, "learning_rate": 0.01, "scheduler": "constant"}
    learned = {"codebook": {"decay": None, "codebook_lr_factor": 3.0, "revive": None}}
    trainer = toy_trainer(toy_codes(tmp_path, NO_DROPOUT, {"model": learned, "training": training}), double=True)
    trainer.updater.prepare(trainer.stages[0])
    book, seen = trainer.model.encoder.books[0], []
    book.register_forward_hook(lambda _, given, found: seen.append((given[0].detach(), found.codes)))
    before = book.vectors.detach().clone()
    trainer._step(trainer.stages[0], next(trainer._steps(trainer.stages[0])))
    ((latents, codes),) = seen
    number = torch.bincount(codes, minlength=len(before)).double()[:, None]
    mean = torch.zeros_like(before).index_add(0, codes, latents) / number
    expected = before + 0.03 * number / trainer.mean_sentences * (mean - before)
    torch.testing.assert_close(book.vectors.detach(), expected, rtol=0, atol=1e-12)


def test_codes_learned_by_gradient_are_sgd_s(tmp_path: Path) -> None:
    """At eta times the learning rate; a code that was not hit keeps every bit, whatever it did in the step before."""
    model = toy_trainer(toy_codes(tmp_path, {"model": LEARNED})).model
    optimizer = build_optimizer(model, TrainingOptions(learning_rate=0.1, weight_decay=0.5))
    assert isinstance(optimizer, Together)
    adamw, sgd = optimizer.parts
    rows = model.encoder.books[0].vectors
    assert [p is rows for group in sgd.param_groups for p in group["params"]] == [True]
    assert not any(p is rows for group in adamw.param_groups for p in group["params"])
    assert sgd.param_groups[0]["relative"] == 30.0
    sgd.param_groups[0]["lr"] = 3.0
    rows.grad = torch.ones_like(rows)
    optimizer.step()
    before = rows.detach().clone()
    rows.grad = torch.zeros_like(rows)
    rows.grad[1] = 0.5
    optimizer.step()
    assert torch.equal(rows[1], before[1] - 1.5)
    keep = [0, 2, 3, 4, 5]
    assert torch.equal(rows[keep], before[keep])
