"""Runs -> median and spread, and a short table on standard output."""

import statistics
import sys
from collections.abc import Sequence


def spread(values: Sequence[float], *, unit: str = "", digits: int = 3) -> str:
    """The median of the runs, with the smallest and the largest."""
    low, middle, high = min(values), statistics.median(values), max(values)
    number = f"{{:.{digits}f}}".format
    return f"{number(middle)}{unit} ({number(low)} .. {number(high)}, {len(values)} runs)"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Run by run, so that what slows a whole run down cancels."""
    return [a / b for a, b in zip(above, below, strict=True)]


def show(title: str, machine: str, rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values under a title."""
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    sys.stdout.write("\n".join(["", title, machine, *(f"    {line}" for line in lines), ""]))
