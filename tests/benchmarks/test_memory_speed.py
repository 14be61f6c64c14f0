"""What does keeping freed memory bring? Seconds of a training step with `keep_freed_memory` and without.

Each run is a process of its own, the two kinds in turn: a process cannot take the setting back.
"""

import resource
from typing import Any

import pytest

from tests.benchmarks.fresh import in_process, measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import build_trainer, take_turns
from textlatent.training import launch

CASES = [("quickstart", 50), ("ptb/cpu", 8)]  # recipe, steps that are counted (as many come before)
RUNS = 5


def train(recipe: str, steps: int, keep: bool) -> dict[str, Any]:
    """Seconds and page faults a step, and the peak memory of the process in MiB."""
    if not keep:
        launch.keep_freed_memory = lambda: False
    trainer = build_trainer(recipe, steps=steps)
    marks: list[resource.struct_rusage] = []
    peers = {"mark": lambda plan: marks.append(resource.getrusage(resource.RUSAGE_SELF))}
    seconds = take_turns(trainer, peers, runs=1, alternate=False)["toolkit"][0]
    faults = marks[1].ru_minflt - marks[0].ru_minflt
    return {"seconds": seconds / steps, "faults": faults / steps, "peak": marks[1].ru_maxrss / 1024}


def take(recipe: str, steps: int, runs: int) -> dict[str, Any]:
    """Both kinds, run after run."""
    here = "tests.benchmarks.test_memory_speed:train"
    found: dict[str, list[Any]] = {"kept": [], "returned": []}
    for _ in range(runs):
        found["kept"].append(in_process(here, recipe, steps, True))
        found["returned"].append(in_process(here, recipe, steps, False))
    return found


@pytest.mark.parametrize(("recipe", "steps"), CASES, ids=[case[0] for case in CASES])
def test_step_time_with_freed_memory_kept_and_returned(benchmark: Any, recipe: str, steps: int) -> None:
    result = measure(benchmark, "tests.benchmarks.test_memory_speed:take", recipe, steps, RUNS)
    kept, returned = (
        {key: [run[key] for run in result[kind]] for key in result[kind][0]} for kind in ("kept", "returned")
    )
    rows = [("steps/s, kept / returned", spread(ratios(returned["seconds"], kept["seconds"])))]
    for name, found in (("kept", kept), ("returned", returned)):
        rows.append((f"{name}, seconds a step", spread(found["seconds"])))
        rows.append((f"{name}, peak memory", spread(found["peak"], unit=" MiB", digits=0)))
        rows.append((f"{name}, page faults a step", spread(found["faults"], digits=0)))
    show(f"training {recipe} on cpu", result["machine"], rows)
