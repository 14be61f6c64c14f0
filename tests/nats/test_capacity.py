"""Capacity: brute force over inputs, the promises of the iteration, 200 random channels, what changes nothing."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from textlatent.nats.capacity import blahut_arimoto, channel_capacity, longest_step, solve_positive
from textlatent.nats.channel import binary_symmetric, channel_information, divergences, erasure, z_channel
from textlatent.nats.discrete import entropy

F64 = torch.float64


def random_channel(inputs: int, outputs: int, *, seed: int, power: float = 1.0, zeros: bool = False) -> Tensor:
    """Rows of powers of uniform numbers; with `zeros`, half of the entries are 0."""
    source = torch.Generator().manual_seed(seed)
    table = torch.rand(inputs, outputs, generator=source, dtype=F64).pow(power)
    if zeros:
        table *= torch.rand(inputs, outputs, generator=source) > 0.5
        table[torch.arange(inputs), torch.randint(outputs, (inputs,), generator=source)] += 0.1
    return table / table.sum(1, keepdim=True)


def test_brute_force_over_three_inputs() -> None:
    """No distribution on a grid of step 1/200 sends more than the upper bound; the best sends nearly the lower one."""
    channel = random_channel(3, 3, seed=5, power=3.0)
    found = channel_capacity(channel)
    steps = [(i, j, 200 - i - j) for i, j in itertools.product(range(201), repeat=2) if i + j <= 200]
    inputs = torch.tensor(steps, dtype=F64) / 200
    sent = float((entropy(inputs @ channel) - inputs @ entropy(channel)).max())  # H(y) - H(y|x)
    assert found.lower - 1e-4 < sent <= found.upper


@pytest.mark.parametrize("batch", range(4))
def test_two_hundred_random_channels(batch: int) -> None:
    """Up to 60 x 20, smooth and peaked, with zeros and without: the gap is certified at 1e-9 nats and below."""
    sizes = torch.Generator().manual_seed(batch)
    for i in range(50):
        inputs, outputs = (int(torch.randint(2, most + 1, (1,), generator=sizes)) for most in (60, 20))
        inputs, outputs = (60, 20) if i % 4 == 0 else (inputs, outputs)
        channel = random_channel(inputs, outputs, seed=1000 * batch + i, power=[1, 0.3, 4, 12][i % 4], zeros=i % 5 == 0)
        found = channel_capacity(channel)
        assert 0.0 <= found.gap <= 1e-10
        assert found.lower <= found.value <= found.upper
        assert found.lower <= math.log(min(inputs, outputs)) + 1e-14
        assert found.lower == pytest.approx(float(channel_information(channel, found.input)), abs=1e-14)


def test_the_certificate_holds_where_plain_iteration_is_still_open() -> None:
    channel = random_channel(60, 20, seed=0)
    found = channel_capacity(channel, tolerance=1e-12)
    after = next(itertools.islice(blahut_arimoto(channel), 300, None))
    assert found.gap <= 1e-12
    assert after.gap > 1e-5
    assert after.lower <= found.upper
    assert after.upper >= found.lower


@pytest.mark.parametrize("seed", range(3))
def test_the_iterations_bounds_hold_at_every_step(seed: int) -> None:
    """I_t never falls, C lies between the bounds, and C - I_t <= ln X / t."""
    channel = random_channel(6, 4, seed=seed, power=2.0)
    truth = channel_capacity(channel, tolerance=1e-12)
    before = 0.0
    for t, step in enumerate(itertools.islice(blahut_arimoto(channel), 200)):
        assert before - 1e-15 <= step.lower <= truth.upper
        assert step.upper >= truth.lower
        if t:
            assert truth.lower - step.lower <= math.log(6) / t
        before = step.lower


def test_the_input_meets_the_conditions_of_kuhn_and_tucker() -> None:
    """KL(W_x || q) = C on the support and <= C off it; some inputs are not used."""
    channel = random_channel(12, 5, seed=3, power=2.0)
    found = channel_capacity(channel, tolerance=1e-12)
    kl = divergences(channel, (found.input @ channel).log())
    assert 1 < int(found.support.sum()) <= 5
    assert torch.allclose(kl[found.support], torch.full_like(kl[found.support], found.value), atol=1e-6)
    assert bool((kl <= found.value + 1e-9).all())
    assert bool((kl[~found.support] < found.value - 1e-6).all())
    assert float(found.input[~found.support].sum()) < 1e-6


CHANNEL = random_channel(5, 4, seed=9, power=2.0)
CAPACITY = channel_capacity(CHANNEL, tolerance=1e-12).value


def test_permuted_and_doubled_inputs_and_outputs_change_nothing() -> None:
    for same in (
        CHANNEL[[4, 2, 0, 1, 3]],
        CHANNEL[:, [3, 1, 0, 2]],
        CHANNEL[[0, 1, 2, 3, 4, 4, 0]],  # an input twice
        torch.cat([CHANNEL[:, :1] * 0.3, CHANNEL[:, :1] * 0.7, CHANNEL[:, 1:]], 1),  # an output split in proportion
        torch.cat([CHANNEL, torch.zeros(5, 2, dtype=F64)], 1),  # outputs that never come
        torch.cat([CHANNEL, CHANNEL[:2].mean(0, keepdim=True)]),  # an input that mixes two others
    ):
        assert channel_capacity(same, tolerance=1e-12).value == pytest.approx(CAPACITY, abs=2e-12)


def test_two_channels_used_together_add() -> None:
    other = z_channel(0.3)
    both = torch.kron(CHANNEL, other)
    total = CAPACITY + channel_capacity(other, tolerance=1e-12).value
    assert channel_capacity(both, tolerance=1e-11).value == pytest.approx(total, abs=1e-11)


def test_a_choice_of_channels_adds_what_they_tell_apart() -> None:
    other = binary_symmetric(0.2)
    both = torch.block_diag(CHANNEL, other)
    one, two = CAPACITY, channel_capacity(other, tolerance=1e-12).value
    assert channel_capacity(both, tolerance=1e-12).value == pytest.approx(
        math.log(math.exp(one) + math.exp(two)), abs=2e-12
    )


def test_a_worse_line_sends_less() -> None:
    noise = random_channel(4, 6, seed=1)
    assert channel_capacity(CHANNEL @ noise).upper < CAPACITY
    assert channel_capacity(random_channel(7, 5, seed=2) @ CHANNEL).upper < CAPACITY


def test_capacity_is_convex_in_the_channel() -> None:
    other = random_channel(5, 4, seed=8)
    middle = channel_capacity(0.5 * CHANNEL + 0.5 * other).lower
    assert middle <= 0.5 * CAPACITY + 0.5 * channel_capacity(other).upper


def test_channels_at_the_edge() -> None:
    assert channel_capacity(torch.ones(1, 1)).value == 0.0
    assert channel_capacity(torch.tensor([[1.0, 0.0], [1.0, 0.0]])).value == 0.0
    assert channel_capacity(torch.full((3, 4), 0.25)).value == pytest.approx(0.0, abs=1e-15)
    nearly = channel_capacity(erasure(1e-12, inputs=3))
    assert nearly.value == pytest.approx((1 - 1e-12) * math.log(3), abs=1e-14)


def test_a_gap_that_is_not_reached_is_an_error() -> None:
    with pytest.raises(ValueError, match="above the tolerance 1e-10; raise iterations"):
        channel_capacity(CHANNEL, iterations=3)


def test_a_table_that_is_no_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="sums to 2"):
        channel_capacity(torch.ones(2, 2))
    with pytest.raises(ValueError, match="sums to 2"):
        next(blahut_arimoto(torch.ones(2, 2)))


def test_steps_end_at_the_nearest_wall() -> None:
    assert longest_step(torch.tensor([1.0, 2.0]), torch.tensor([-0.5, -4.0])) == 0.5
    assert longest_step(torch.tensor([1.0]), torch.tensor([1.0])) == math.inf


def test_solving_a_badly_scaled_system() -> None:
    """Diagonal scaling: entries from 1e-12 to 1e12 cost no digits; a singular system still has an answer."""
    scale = torch.tensor([1e-12, 1.0, 1e12], dtype=F64)
    core = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]], dtype=F64)
    truth = torch.tensor([1.0, -2.0, 3.0], dtype=F64) / scale
    matrix = core * scale[:, None] * scale
    assert torch.allclose(solve_positive(matrix, matrix @ truth), truth, rtol=1e-12)
    singular = torch.ones(2, 2, dtype=F64)
    assert torch.allclose(singular @ solve_positive(singular, singular[0]), singular[0], atol=1e-6)
