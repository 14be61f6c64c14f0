"""The processes and devices a run has, through accelerate."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers
from accelerate.utils import GradientAccumulationPlugin

from textlatent.training.memory import forget_old_shapes, keep_freed_memory


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute on so many CPU threads meanwhile; None leaves torch's own choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Only operations that repeat to the bit meanwhile, on CUDA too."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def launch(*, trackers: list[str] | None = None, folder: str | Path | None = None) -> Accelerator:
    """Accelerate's view of the processes; precision and accumulation are the loop's own, whatever the launcher says.

    Raises:
        ValueError: a tracker that is not installed, which accelerate would leave out without a word.
    """
    available = [str(name) for name in get_available_trackers()]
    if missing := [name for name in trackers or () if name not in available]:
        raise ValueError(
            f"training.trackers: {', '.join(missing)} is not installed, or no name accelerate knows; installed are "
            f"{', '.join(available) or 'none'}."
        )
    cpu = not torch.cuda.is_available()  # Apple's devices have no float64, and nats are float64
    if cpu:
        keep_freed_memory()
        forget_old_shapes()
    project = str(folder) if folder is not None else None
    return Accelerator(
        mixed_precision="no",
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),  # the loop's own business as well
        log_with=trackers or None,
        project_dir=project,
        cpu=cpu,
    )
