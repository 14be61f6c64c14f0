"""Free nats on a table of two sentences by three dimensions: values and gradients by hand."""

import pytest
import torch
from torch import Tensor

from textlatent.objective.floor import FLOORS, floored_rate

KL = torch.tensor([[0.1, 0.5, 2.0], [0.3, 0.2, 0.0]], dtype=torch.float64)
ONES, ZEROS = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]


def charged(free_nats: float, on: str, running: list[float] | None = None) -> tuple[list[float], list[list[float]]]:
    """The charge of each sentence, and d(sum of charges)/dKL."""
    kl = KL.clone().requires_grad_()
    mean = None if running is None else torch.tensor(running, dtype=torch.float64)
    rate = floored_rate(kl, free_nats=free_nats, on=on, running_kl=mean)
    total: Tensor = rate.sum()
    if not total.requires_grad:
        return rate.tolist(), [ZEROS, ZEROS]
    total.backward()
    assert kl.grad is not None
    return rate.tolist(), kl.grad.tolist()


def test_dimension() -> None:
    """max(0.25, kl) of each entry: 0.25 + 0.5 + 2 and 0.3 + 0.25 + 0.25."""
    rate, gradient = charged(0.25, "dimension")
    assert rate == pytest.approx([2.75, 0.8], abs=1e-15)
    assert gradient == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]


def test_sentence() -> None:
    """max(1, sum): 2.6 and 1."""
    rate, gradient = charged(1.0, "sentence")
    assert rate == pytest.approx([2.6, 1.0], abs=1e-15)
    assert gradient == [ONES, ZEROS]


def test_batch_dimension() -> None:
    """Running means 0.1, 0.4, 0.9 against 0.25: the first dimension is charged 0.25 flat, the others their KL."""
    rate, gradient = charged(0.25, "batch_dimension", [0.1, 0.4, 0.9])
    assert rate == pytest.approx([0.25 + 0.5 + 2.0, 0.25 + 0.2 + 0.0], abs=1e-15)
    assert gradient == [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("running", "rate", "gradient"),
    [([0.1, 0.4, 0.9], [2.6, 0.5], [ONES, ONES]), ([0.1, 0.4, 0.4], [1.0, 1.0], [ZEROS, ZEROS])],
)
def test_batch(running: list[float], rate: list[float], gradient: list[list[float]]) -> None:
    """A running mean of 1.4 lies above 1 nat: charged as it is. One of 0.9 below: 1 nat each, flat."""
    ours, slopes = charged(1.0, "batch", running)
    assert ours == pytest.approx(rate, abs=1e-15)
    assert slopes == gradient


@pytest.mark.parametrize(("on", "rate"), [("batch_dimension", [0.75, 0.75]), ("batch", [0.25, 0.25])])
def test_before_the_first_step_nothing_is_charged(on: str, rate: list[float]) -> None:
    assert charged(0.25, on) == (rate, [ZEROS, ZEROS])


@pytest.mark.parametrize("on", FLOORS)
def test_without_free_nats_the_rate_is_the_rate(on: str) -> None:
    rate, gradient = charged(0.0, on, [0.0, 0.0, 0.0])
    assert rate == pytest.approx([2.6, 0.5], abs=1e-15)
    assert gradient == [ONES, ONES]


@pytest.mark.parametrize("on", FLOORS)
def test_a_sentence_is_charged_the_same_in_any_batch(on: str) -> None:
    """The floor on the mean looks at past steps: cutting a batch in two changes nothing, to the bit."""
    running = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    whole = floored_rate(KL, free_nats=0.25, on=on, running_kl=running)
    parts = [floored_rate(KL[row : row + 1], free_nats=0.25, on=on, running_kl=running) for row in (0, 1)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("on", FLOORS)
def test_never_less_than_what_is_free(on: str) -> None:
    """On average over sentences for the floors on the mean, where the running mean is the batch's own."""
    free = 0.25 * (3 if "dimension" in on else 1)
    rate = floored_rate(KL, free_nats=0.25, on=on, running_kl=KL.mean(0))
    assert (rate.mean() if on.startswith("batch") else rate.min()) >= free - 1e-15
