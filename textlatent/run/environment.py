"""What a run happened on: versions, processors, memory."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from textlatent import __version__

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "sentencepiece", "evaluate", "safetensors", "numpy")


def versions() -> dict[str, str]:
    """The version of textlatent, Python's and those of the packages that numbers depend on; nothing is imported."""
    found = {"textlatent": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def environment() -> dict[str, Any]:
    """What to put beside a number or into a bug report.

    Returns:
        platform, cores (that this process may use), memory_gib, versions, and torch's view: threads, devices (with
        their GiB), bf16 (whether the first device computes in it).
    """
    import torch

    devices = []
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        devices.append(f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    return {
        "platform": platform.platform(),
        "executable": sys.executable,
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "threads": torch.get_num_threads(),
        "devices": devices or ["cpu"],
        "bf16": torch.cuda.is_bf16_supported() if devices else torch.ops.mkldnn._is_mkldnn_bf16_supported(),
        "versions": versions(),
    }


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
