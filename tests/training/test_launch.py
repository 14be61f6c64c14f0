"""Accelerate's view of the machine; its launcher is used in test_kills."""

import pytest
import torch

from textlatent.training.launch import deterministic, launch, threads


def test_precision_and_accumulation_are_the_loops_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher that says otherwise neither casts nor divides behind the loop's back."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    accelerator = launch()
    assert accelerator.mixed_precision == "no"
    assert accelerator.gradient_accumulation_steps == 1, "backward() would divide by it"


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads(None):
        assert torch.get_num_threads() == before


def _fail() -> None:
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyError


def test_deterministic_algorithms_are_given_back() -> None:
    """A notebook's own setting survives a run with or without ours, and a run that fails."""
    with pytest.raises(KeyError):
        _fail()
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()


def test_a_tracker_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match="training.trackers: nowhere is not installed, .* installed are .*tensorboard"):
        launch(trackers=["tensorboard", "nowhere"])
