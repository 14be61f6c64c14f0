"""Measurements in a Python process of their own: as a user runs the package, without pytest's type checks.

    python -m tests.benchmarks.fresh module:function '[argument, ...]'

calls the function and prints its result (JSON) on the last line.
"""

import importlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]


def measure(benchmark: Any, call: str, *arguments: Any, cuda: bool = False) -> dict[str, Any]:
    """What "module:function" of `arguments` (JSON) returns in a fresh process; kept in the benchmark's extra_info.

    pytest-benchmark's own clock sees the process from start to end; the numbers of interest are in the result, because
    peers take turns inside one run.
    """
    result = benchmark.pedantic(in_process, args=(call, *arguments), kwargs={"cuda": cuda}, rounds=1)
    benchmark.extra_info.update(result)
    return result


def in_process(call: str, *arguments: Any, cuda: bool = False) -> dict[str, Any]:
    """The call's result from a fresh process, with a GPU in sight or without."""
    hidden = {} if cuda else {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.fresh", call, json.dumps(arguments)],
        cwd=ROOT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1", **hidden},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine() -> str:
    """Processor or GPU, threads, torch's version and the load before anything was measured."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.exists() else []
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return f"{name}, {threads} threads of {os.cpu_count()} cores, torch {torch.__version__}, load {load:.1f}"


def _main() -> None:
    module, function = sys.argv[1].split(":")
    about = machine()
    result = getattr(importlib.import_module(module), function)(*json.loads(sys.argv[2]))
    sys.stdout.write("\n" + json.dumps({"machine": about, **result}) + "\n")


if __name__ == "__main__":
    _main()
