"""Accelerate's view of the machine, and the two ways to launch more processes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from tests.toy_run import toy_recipe
from textlatent.training.launch import deterministic, launch, threads


def test_precision_and_accumulation_are_the_loops_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher that says otherwise neither casts nor divides behind the loop's back."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator = launch()
    assert accelerator.mixed_precision == "no"
    assert accelerator.gradient_accumulation_steps == 1, "backward() would divide by it"


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads(None):
        assert torch.get_num_threads() == before


def _fail() -> None:
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyError


def test_deterministic_algorithms_are_given_back() -> None:
    """A notebook's own setting survives a run with or without ours, and a run that fails."""
    with pytest.raises(KeyError):
        _fail()
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_tracker_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="training.trackers: nowhere is not installed, .* installed are .*tensorboard"):
        launch(trackers=["tensorboard", "nowhere"])


@pytest.mark.slow
def test_accelerate_launch(tmp_path: Path, processes: Processes) -> None:
    """Two processes by accelerate's own launcher are two processes of ours.

    --multi_gpu is its word for more than one; without a GPU gloo carries them (with --cpu it starts one alone).
    """
    settings: dict[str, Any] = {"training": {"steps": 4}, "evaluation": {"samples": 1, "ladder": [1], "sentences": 4}}
    for name in ("forked", "launched"):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(toy_recipe(tmp_path, settings, name=name)))
    job = processes.start("tests.processes:train", str(tmp_path / "forked.yaml"), world=2, folder=tmp_path / "job")
    assert job.wait() == [0, 0], job.errors()
    launcher = shutil.which("accelerate", path=str(Path(sys.executable).parent))
    assert launcher is not None
    command = [launcher, "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1"]
    command += [
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
        "--main_process_port",
        "0",
        "-m",
        "textlatent",
        "train",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [*command, str(tmp_path / "launched.yaml")], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The run is in") == 1, "the main process alone speaks"
    one, other = (tmp_path / "runs" / name / "final" / "model.safetensors" for name in ("forked", "launched"))
    assert one.read_bytes() == other.read_bytes()
