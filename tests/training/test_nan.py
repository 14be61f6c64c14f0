"""A NaN or an infinity, wherever it is born and on whichever rank: all of them stop before the update."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from tests.toy_run import toy_recipe, toy_trainer
from textlatent.models import SentenceVAE


def _poison_loss(model: SentenceVAE, here: Callable[[], bool]) -> None:
    """The decoder's nats of one sentence become NaN."""
    real = model.decoder.log_prob_token

    def log_prob_token(*args: Any, **kwargs: Any) -> torch.Tensor:
        nats = real(*args, **kwargs)
        return nats * math.nan if here() else nats

    model.decoder.log_prob_token = log_prob_token


def _poison_gradient(model: SentenceVAE, here: Callable[[], bool]) -> None:
    """One parameter's gradient becomes NaN, its loss does not."""
    model.encoder.head.weight.register_hook(lambda gradient: gradient * math.nan if here() else gradient)


def _poison_weight(model: SentenceVAE, here: Callable[[], bool]) -> None:
    """One weight becomes infinite before a step."""

    def spoil(module: Any, _: Any) -> None:
        if here():
            module.encoder.head.weight.data[0, 0] = math.inf

    model.register_forward_pre_hook(spoil)


POISONS = {"loss": _poison_loss, "gradient": _poison_gradient, "weight": _poison_weight}


def poisoned(values: dict[str, Any], what: str, rank: int) -> dict[str, Any]:
    """A rank's training, with a NaN in its fourth step on one rank: what it raised, and what became of the weights."""
    trainer = toy_trainer(values)
    here = trainer.accelerator.process_index == rank
    POISONS[what](trainer.model, lambda: here and trainer.model.training and trainer.position.step == 3)
    saved = None

    def remember(event: dict[str, Any]) -> None:
        nonlocal saved
        saved = trainer.position.step

    trainer.journal.progress = remember
    try:
        trainer.fit()
    except FloatingPointError as error:
        trainer.checkpoints.load_model(3, (before := toy_trainer(values)).model)
        pairs = zip(trainer.model.parameters(), before.model.parameters(), strict=True)
        differing = sum(int((mine != theirs).sum()) for mine, theirs in pairs)
        finite = all(bool(p.isfinite().all()) for p in before.model.parameters())
        return {"message": str(error), "differing": differing, "finite": finite, "step": trainer.position.step}
    return {"message": "none"}


@pytest.mark.parametrize("what", POISONS)
@pytest.mark.parametrize(("world", "rank"), [(1, 0), (2, 1)])
def test_a_nan_stops_every_rank_before_the_update(
    tmp_path: Path, processes: Processes, what: str, world: int, rank: int
) -> None:
    values = toy_recipe(tmp_path, {"training": {"save_every": 1, "sample_every": 0}})
    found = processes.run("tests.training.test_nan:poisoned", values, what, rank, world=world, folder=tmp_path / "job")
    assert len(found) == world
    names = {"loss": "distortion and the gradient norm", "gradient": "gradient norm", "weight": "gradient norm"}[what]
    for number, each in enumerate(found):
        assert f"{names} stopped being a finite number at step 4; the weights were not updated" in each["message"]
        assert "Newest checkpoint: step-3. Begin again under another name, with a lower" in each["message"]
        assert each["step"] == 3
        assert each["finite"], "the checkpoint before it"
        spoilt = what == "weight" and number == rank
        assert each["differing"] == int(spoilt), "nothing but the poison itself has changed"


def test_the_command_line_says_it_in_a_sentence(tmp_path: Path, processes: Processes) -> None:
    """A step size beyond reason on two processes: exit code 2, no traceback, the same when the command is repeated."""
    recipe = tmp_path / "wild.yaml"
    recipe.write_text(json.dumps(toy_recipe(tmp_path, {"training": {"learning_rate": 1e30, "clip": None}})))
    for _ in range(2):
        job = processes.start("tests.processes:train", str(recipe), world=2, folder=tmp_path / "job")
        assert job.wait() == [2, 2]
        assert "Traceback" not in job.errors()
        for line in job.errors().splitlines():
            assert line.startswith("error: the rate and the distortion and the gradient norm stopped being a finite")
            assert line.endswith("with a lower training.learning_rate or more training.warmup_steps.")
