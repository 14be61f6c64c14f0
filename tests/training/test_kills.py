"""A few of the kills of kills.py: forked launches are killed, one by a person's own command finishes the run."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import Processes
from tests.training.kills import Command, Launch, command, kill_and_finish, recipe, recipe_of_codes
from tests.training.resume import fingerprint

KILLS, STEPS = 4, 12


def _command(world: int, path: Path) -> list[str]:
    """`textlatent train`, or `accelerate launch -m textlatent train`.

    --multi_gpu is its word for more than one process; without a GPU gloo carries them (with --cpu it starts one).
    """
    if world == 1:
        return command(1, path)
    launcher = shutil.which("accelerate", path=str(Path(sys.executable).parent))
    assert launcher is not None
    shape = ["--multi_gpu", "--num_machines", "1", "--num_processes", str(world), "--main_process_port", "0"]
    settings = ["--mixed_precision", "bf16", "--dynamo_backend", "no"]  # precision is the recipe's business
    return [launcher, "launch", *shape, *settings, "-m", "textlatent", "train", str(path)]


@pytest.mark.slow
@pytest.mark.parametrize(("world", "make"), [(1, recipe), (2, recipe), (1, recipe_of_codes)])
def test_killed_and_started_again_it_is_the_run_left_alone(
    tmp_path: Path, processes: Processes, world: int, make: Callable[..., Path]
) -> None:
    launches = 0

    def start(path: Path) -> Launch:
        nonlocal launches
        launches += 1
        if launches > KILLS:
            return Command(_command(world, path), tmp_path / "log")
        return processes.start("tests.processes:train", str(path), world=world, folder=tmp_path / "job")

    whole = make(tmp_path, steps=STEPS, name="whole")
    job = processes.start("tests.processes:train", str(whole), world=world, folder=tmp_path / "job-0")
    assert job.wait() == [0] * world, job.errors()
    kills = kill_and_finish(start, tmp_path, name="killed", steps=STEPS, kills=KILLS, seed=world, make=make)
    assert len(kills) == KILLS, f"the run was done before it could be killed so often: {kills}"
    log = (tmp_path / "log").read_text()
    assert log.count("resumed from checkpoint") == log.count("The run is in") == 1, "the main process alone speaks"
    runs = tmp_path / "runs"
    assert fingerprint(runs / "killed") == fingerprint(runs / "whole")
    final = (runs / "killed" / "final" / "model.safetensors").read_bytes()
    assert final == (runs / "whole" / "final" / "model.safetensors").read_bytes()
