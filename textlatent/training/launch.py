"""The processes and devices a run has, through accelerate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.tracking import get_available_trackers

from textlatent.training.memory import keep_freed_memory


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute on so many CPU threads meanwhile; None leaves torch's own choice."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def launch(*, trackers: list[str] | None = None, folder: str | Path | None = None) -> Accelerator:
    """Accelerate's view of the processes; precision is the loop's own business, whatever the launcher says.

    Raises:
        ValueError: a tracker that is not installed, which accelerate would leave out without a word.
    """
    available = [str(name) for name in get_available_trackers()]
    if missing := [name for name in trackers or () if name not in available]:
        raise ValueError(
            f"training.trackers: {', '.join(missing)} is not installed, or no name accelerate knows; installed are "
            f"{', '.join(available) or 'none'}."
        )
    cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available())
    if cpu:
        keep_freed_memory()
    project = str(folder) if folder is not None else None
    return Accelerator(mixed_precision="no", log_with=trackers or None, project_dir=project, cpu=cpu)
