"""Real processes at the price of a fork: a server imports the package once and forks what a test asks for.

The server has one thread and never touches a GPU, so its children may use gloo; each has its own memory, signals and
exit code, as if it had been started by a launcher.
"""

import atexit
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds the other ranks get to end after one has failed


class Processes:
    """The server, seen from a test; one job at a time."""

    def __init__(self) -> None:
        self.job: Job | None = None
        quiet = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.processes"],
            cwd=ROOT,
            env={**os.environ, **quiet, "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the server; its children end with it."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.stdout.close()
        self.server.wait()

    def start(self, call: str, *args: Any, world: int = 1, folder: Path) -> "Job":
        """Fork `world` processes that call "module:function" with `args` (JSON) and write in `folder`."""
        if self.job is not None:  # of a test that failed before it waited
            self.job.kill()
            self.job.wait()
        folder.mkdir(parents=True, exist_ok=True)
        self.send({"call": call, "args": args, "world": world, "folder": str(folder)})
        self.job = Job(self, self.receive()["pids"], folder)
        return self.job

    def run(self, call: str, *args: Any, world: int = 1, folder: Path) -> list[Any]:
        """What the function returned on each rank (JSON); a failure of any is a failure of the test."""
        job = self.start(call, *args, world=world, folder=folder)
        codes = job.wait()
        assert codes == [0] * world, f"exit codes {codes}\n{job.errors()}"
        return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(world)]

    def send(self, message: dict[str, Any]) -> None:
        """A line to the server."""
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(message) + "\n")
        self.server.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """A line from the server."""
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        assert line, "the server of tests/processes.py has ended"
        return json.loads(line)


class Job:
    """Processes under way."""

    def __init__(self, processes: Processes, pids: list[int], folder: Path) -> None:
        self.processes = processes
        self.pids = pids
        self.folder = folder

    def wait(self) -> list[int]:
        """The exit code of each rank; minus the signal that killed it."""
        self.processes.job = None
        return self.processes.receive()["codes"]

    def kill(self, number: int = signal.SIGKILL, *, ranks: Sequence[int] | None = None) -> None:
        """Send these ranks (all if not given) a signal; one that has ended already is left alone."""
        for pid in self.pids if ranks is None else [self.pids[rank] for rank in ranks]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def output(self, rank: int = 0) -> str:
        """What a rank printed."""
        return (self.folder / f"rank-{rank}.out").read_text()

    def errors(self) -> str:
        """What all ranks printed on stderr."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("rank-*.err")))


@cache
def the_processes() -> Processes:
    """The one server of this test process, started on first use and closed with it."""
    server = Processes()
    atexit.register(server.close)
    return server


def _serve() -> None:
    """Read jobs from stdin until it closes."""
    import accelerate  # noqa: F401
    import transformers.models.bert.modeling_bert
    import transformers.models.gpt2.modeling_gpt2  # noqa: F401

    import tests.toy_run  # noqa: F401
    import textlatent.cli.main
    import textlatent.run.train  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        pids = [_fork(job, rank, port) for port in [_free_port()] for rank in range(job["world"])]
        _say({"pids": pids})
        _say({"codes": _reap(pids)})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _fork(job: dict[str, Any], rank: int, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        code = _child(job, rank, port)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _child(job: dict[str, Any], rank: int, port: int) -> int:
    """Call the job's function as this rank; the exit code."""
    folder = Path(job["folder"])
    for name, descriptor in (("out", 1), ("err", 2)):
        handle = os.open(folder / f"rank-{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if job["world"] > 1:
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
        ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(job["world"])}
        os.environ.update(address, **ranks)
    module, function = job["call"].split(":")
    try:
        result = getattr(importlib.import_module(module), function)(*job["args"])
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    (folder / f"rank-{rank}.json").write_text(json.dumps(result))
    return 0


def _reap(pids: list[int]) -> list[int]:
    """Wait for all; if one fails, the others have PATIENCE seconds; if the test goes away, none."""
    codes: dict[int, int] = {}
    deadline = float("inf")
    while len(codes) < len(pids):
        for pid in pids:
            if pid not in codes and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                codes[pid] = 0
        left = [pid for pid in pids if pid not in codes]
        gone = bool(select.select([sys.stdin], [], [], 0.002)[0])
        if left and (gone or time.monotonic() > deadline):
            for pid in left:
                os.kill(pid, signal.SIGKILL)
        ended = [os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) for pid in codes]
        if any(each is not None and each.si_status != 0 for each in ended):
            deadline = min(deadline, time.monotonic() + PATIENCE)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def train(recipe: str) -> None:
    """`textlatent train RECIPE` in this process."""
    command_line("train", recipe)


def command_line(*arguments: str) -> None:
    """`textlatent ...` in this process."""
    from textlatent.cli.main import main

    sys.argv = ["textlatent", *arguments]
    main()


if __name__ == "__main__":
    _serve()
