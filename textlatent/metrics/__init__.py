"""Modules for people who have only their own numbers: `evaluate.load(textlatent.metrics.path("active_units"))`.

Importing this room does not import `evaluate`. Give `keep_in_memory=True` to `evaluate.load` where several processes
measure at once: its files on disk are shared by the metric's name.
"""

from pathlib import Path

NAMES = ("rate_distortion", "importance_nll", "active_units", "mutual_information")
"""The modules that there are."""


def path(name: str) -> str:
    """The folder of one module, as `evaluate.load` wants it.

    Raises:
        ValueError: there is no module of that name.
    """
    if name not in NAMES:
        raise ValueError(f"there is no metric {name!r}; the metrics are {', '.join(NAMES)}.")
    return str(Path(__file__).parent / name)
