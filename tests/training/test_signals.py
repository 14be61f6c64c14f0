"""SIGTERM sets a flag while the context lasts, in the main thread alone."""

import signal
import threading

import pytest

from textlatent.training.signals import SIGTERM_EXIT, TrainingStopped, on_sigterm


def test_the_flag_is_set_and_the_process_lives() -> None:
    flag = threading.Event()
    with on_sigterm(flag):
        assert not flag.is_set()
        signal.raise_signal(signal.SIGTERM)
        assert flag.is_set()


def test_the_former_handler_comes_back_even_after_an_error() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with on_sigterm(threading.Event()):
            assert signal.getsignal(signal.SIGTERM) is not before
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert signal.getsignal(signal.SIGTERM) is before


def test_another_thread_leaves_signals_alone() -> None:
    """A notebook may train in a thread, where Python allows no handler."""
    before, seen = signal.getsignal(signal.SIGTERM), list[object]()

    def work() -> None:
        with on_sigterm(threading.Event()):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_leaving_is_no_error_that_a_command_line_would_print() -> None:
    assert SIGTERM_EXIT == 143
    stop = TrainingStopped(SIGTERM_EXIT)
    assert stop.code == 143
    assert not isinstance(stop, Exception)
