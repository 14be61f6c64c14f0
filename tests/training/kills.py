"""SIGKILL at random instants of training and saving; the run in the end is the one that was left alone, bit for bit.

python -m tests.training.kills --kills 20 --processes 2        (prints a table; test_kills.py does a few of them)

Every launch is the same command. The recipe saves at every step and has all that must be resumed: dropout, two stages
with a reset, an encoder that runs ahead, a target rate, a floor on the batch mean, a best model.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.toy_codes import toy_codes
from tests.toy_run import toy_recipe

AHEAD = {"aggressive": True, "encoder_updates": 3, "encoder_window": 1}
HARD: dict[str, Any] = {
    "model": {"encoder": {"log_variance_bias": -1.0}},
    "objective": {"target_rate": 2.0, "free_nats": 0.05, "free_nats_on": "batch_dimension"},
    "training": {"tokens_per_step": 512, "log_every": 1, "validate_every": 3, "save_every": 1, "sample_every": 0},
    "stages": [{"name": "decoder", "learn": ["decoder"]}, {"name": "all", "reset": ["encoder"], **AHEAD}],
    "evaluation": {"samples": 1, "ladder": [1], "sentences": 5},
}
CODES: dict[str, Any] = {
    "model": {"codebook": {"decay": 0.5, "revive": 0.5}, "code_prior": {"type": "independent"}},
    "training": HARD["training"],
    "stages": [{"name": "codes", "learn": ["encoder", "decoder"]}, {"name": "prior", "learn": ["prior"]}],
    "evaluation": HARD["evaluation"],
}
SPAN = 0.4  # seconds: a launch is killed within so long after its first step, ..
EARLY = 0.2  # .. but this share of them in their first second, before there is a step


class Launch(Protocol):
    """Processes under way; tests.processes.Job is one."""

    def kill(self) -> None:
        """SIGKILL to all of them."""

    def wait(self) -> list[int]:
        """Their exit codes."""


@dataclass(frozen=True)
class Kill:
    """One kill: the newest step logged, the newest checkpoint, and what was found half done."""

    step: int
    saved: int
    found: str


def recipe(folder: Path, *, steps: int, name: str) -> Path:
    """The recipe's file, `steps` in each of its two stages."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(toy_recipe(folder, HARD, {"training": {"steps": steps}}, name=name)))
    return path


def recipe_of_codes(folder: Path, *, steps: int, name: str) -> Path:
    """The same with codes that roll and revive, then a prior over them beside parts that are held."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(toy_codes(folder, CODES, {"training": {"steps": steps}}, name=name)))
    return path


def kill_and_finish(
    start: Callable[[Path], Launch],
    folder: Path,
    *,
    name: str,
    steps: int,
    kills: int,
    seed: int,
    make: Callable[..., Path] = recipe,
) -> list[Kill]:
    """The kills of one run, which is then left to finish; fewer than asked for when it is done before."""
    dice, done, path, run = random.Random(seed), [], make(folder, steps=steps, name=name), folder / "runs" / name
    while len(done) < kills:
        before = _size(run / "metrics.jsonl")
        launch = start(path)
        early = dice.random() < EARLY
        deadline = time.monotonic() + 300
        while not early and _size(run / "metrics.jsonl") <= before and not (run / "ledger.json").exists():
            assert time.monotonic() < deadline, "no step in five minutes"
            time.sleep(0.002)
        time.sleep(dice.uniform(0.0, 1.0 if early else SPAN))
        launch.kill()
        if all(code == 0 for code in launch.wait()):
            return done
        done.append(_look(run))
    codes = start(path).wait()
    assert not any(codes), f"the last launch ended with {codes}"
    return done


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _look(run: Path) -> Kill:
    """What a kill left behind."""
    text = (run / "metrics.jsonl").read_text() if (run / "metrics.jsonl").exists() else ""
    signs = {
        "half a checkpoint": any(run.glob("checkpoints/.step-*")),
        "half a best model": (run / ".best.writing").exists(),
        "between two renames": (run / ".best.old").exists() and not (run / "best").exists(),
        "an old one half removed": len(list(run.glob("checkpoints/step-*"))) > 2,
        "half a line": bool(text) and not text.endswith("\n"),
    }
    steps = [json.loads(line)["step"] for line in text.splitlines(keepends=True) if line.endswith("\n")]
    saved = [int(path.name[5:]) for path in run.glob("checkpoints/step-*")]
    return Kill(max(steps, default=0), max(saved, default=0), ", ".join(name for name, there in signs.items() if there))


class Command:
    """A command and all processes it has started."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo"}
        with log.open("a") as file:
            self.process = subprocess.Popen(arguments, env=environment, stdout=file, stderr=subprocess.STDOUT)

    def kill(self) -> None:
        """SIGKILL, the launcher first, so that it does nothing about the others."""
        for pid in [self.process.pid, *_descendants(self.process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait(self) -> list[int]:
        """The exit code of the launcher."""
        return [self.process.wait()]


def _descendants(pid: int) -> list[int]:
    children = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = path.read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid:
                children.append(int(path.parent.name))
    return children + [each for child in children for each in _descendants(child)]


def command(world: int, path: Path) -> list[str]:
    """What a person would type."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(world)] if world > 1 else []
    return [sys.executable, *launcher, "-m", "textlatent", "train", str(path)]


def main() -> None:
    """Print what happened."""
    from tests.training.resume import fingerprint

    parser = argparse.ArgumentParser(prog="python -m tests.training.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--steps", type=int, default=40, help="of each of the two stages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder, started = Path(tempfile.mkdtemp(prefix="kills-")), time.monotonic()

    def start(path: Path) -> Command:
        return Command(command(options.processes, path), folder / "log")

    assert not any(start(recipe(folder, steps=options.steps, name="whole")).wait()), (folder / "log").read_text()
    whole, killed, runs = fingerprint(folder / "runs" / "whole"), list[Kill](), 0
    sys.stdout.write("kill  run  step  saved  found\n")
    while len(killed) < options.kills:
        settings = {"steps": options.steps, "kills": options.kills - len(killed), "seed": options.seed + runs}
        found = kill_and_finish(start, folder, name=f"killed-{runs}", **settings)
        same = fingerprint(folder / "runs" / f"killed-{runs}") == whole
        for kill in found:
            killed.append(kill)
            sys.stdout.write(f"{len(killed):4}  {runs:3}  {kill.step:4}  {kill.saved:5}  {kill.found}\n")
        sys.stdout.write(f"run {runs}: {'equal to the run left alone, bit for bit' if same else 'NOT EQUAL'}\n")
        sys.stdout.flush()
        assert same, f"see {folder}"
        runs += 1
    minutes = (time.monotonic() - started) / 60
    sys.stdout.write(f"{len(killed)} kills on {options.processes} process(es), {runs} run(s), {minutes:.1f} minutes\n")


if __name__ == "__main__":
    main()
