"""SIGTERM means: finish this step, save, leave with code 143."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGTERM_EXIT = 128 + signal.SIGTERM


class TrainingStopped(SystemExit):
    """SIGTERM came and a checkpoint was written; the same command goes on from there."""


@contextmanager
def on_sigterm(terminated: threading.Event) -> Iterator[None]:
    """Set the event when SIGTERM comes; outside the main thread signals are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_signal: int, _frame: FrameType | None) -> None:
        terminated.set()

    previous = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
