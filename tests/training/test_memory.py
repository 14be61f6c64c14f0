"""Freed memory that is kept: in a process of its own, because the setting cannot be taken back."""

import platform
import subprocess
import sys

import pytest

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
