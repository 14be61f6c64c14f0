"""A CPU's memory: in processes of their own, because the settings cannot be taken back."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest
import torch

from textlatent.training import memory

# Page faults of filling 64 MiB twenty times over, each time anew: 16 thousand a time where pages are given back.
COUNT = """
import resource
from textlatent.training.memory import keep_freed_memory
told = {} and keep_freed_memory()
for _ in range(2):
    bytearray(b"x") * (64 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(b"x") * (64 << 20)
print(told, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

# MiB in use after bf16 products of a hundred shapes, and after as many others.
GROWTH = """
import ctypes, sys
import torch
from textlatent.training.memory import forget_old_shapes
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena o s h hblkhd us fs used free keep".split()]
libc = ctypes.CDLL("libc.so.6")
libc.mallinfo2.restype = Info
if {}:
    forget_old_shapes()
torch.set_num_threads(1)
layer = torch.nn.Linear(256, 256).bfloat16()
def use(first):
    for rows in range(first, first + 300):
        layer(torch.zeros(rows, 256, dtype=torch.bfloat16)).sum().backward()
    info = libc.mallinfo2()
    return info.used + info.hblkhd
use(200)
print(use(500), use(800))
"""


def _page_faults(keep: bool) -> tuple[str, int]:
    done = subprocess.run([sys.executable, "-c", COUNT.format(keep)], capture_output=True, text=True, check=True)
    told, faults = done.stdout.split()
    return told, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is the one that is told")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    told, kept = _page_faults(keep=True)
    assert told == "True"
    assert kept < 1000
    _, returned = _page_faults(keep=False)
    assert returned > 20 * 4000, "without the setting each of the 20 faults anew: otherwise this test shows nothing"


def _growth(forget: bool) -> float:
    """MiB by which 300 new shapes add to what is in use."""
    own = {name: value for name, value in os.environ.items() if "CACHE_CAPACITY" not in name}  # a launch here sets them
    done = subprocess.run(
        [sys.executable, "-c", GROWTH.format(forget)], capture_output=True, text=True, check=True, env=own
    )
    before, after = map(int, done.stdout.split())
    return (after - before) / 2**20


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc 2.33 counts it"
)
def test_shapes_that_do_not_come_back_are_forgotten() -> None:
    if not torch.backends.mkldnn.is_available():
        pytest.skip("oneDNN keeps them")
    remembered = _growth(forget=False)
    if remembered < 4.0:
        pytest.skip(f"this CPU's products keep {remembered:.1f} MiB for 300 shapes: there is nothing to forget")
    assert _growth(forget=True) < 0.25 * remembered


def test_a_capacity_that_is_set_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    memory.forget_old_shapes()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == "128"


@pytest.mark.parametrize(("system", "libc"), [("Darwin", ""), ("Windows", ""), ("Linux", ""), ("Linux", "musl")])
def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch, system: str, libc: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail(f"{name} was loaded"))
    assert memory.keep_freed_memory() is False


def test_a_refusal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def mallopt(self, name: int, value: int) -> int:
            return 0

    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: Refusing())
    assert memory.keep_freed_memory() is False
