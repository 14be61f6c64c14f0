"""Channels as tables: closed forms against Newton's certified answer, the split of a rate against its definition."""

import math

import pytest
import torch
from torch import Tensor

from textlatent.nats import channel as channels
from textlatent.nats.capacity import channel_capacity
from textlatent.nats.channel import binary_entropy, channel_information, rate_split
from textlatent.nats.discrete import kl, mutual_information
from textlatent.nats.rate_distortion import rate_at, rate_at_slope

CHANCES = (0.0, 0.01, 0.11, 0.3, 0.5, 0.9, 1.0)


def table(*shape: int, seed: int) -> Tensor:
    drawn = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.sum(-1, keepdim=True)


def holds(channel: Tensor, capacity: float) -> None:
    """The closed form lies between the certified bounds, which are 1e-10 apart."""
    found = channel_capacity(channel)
    assert found.gap <= 1e-10
    assert found.lower - 1e-14 <= capacity <= found.upper + 1e-14


@pytest.mark.parametrize("p", CHANCES)
def test_binary_symmetric(p: float) -> None:
    assert channels.binary_symmetric_capacity(p) == pytest.approx(math.log(2) - binary_entropy(p), abs=1e-15)
    holds(channels.binary_symmetric(p), channels.binary_symmetric_capacity(p))


def test_a_fair_flip_tells_nothing_and_a_sure_one_everything() -> None:
    assert channels.binary_symmetric_capacity(0.5) == pytest.approx(0.0, abs=1e-15)
    assert channels.binary_symmetric_capacity(1.0) == channels.binary_symmetric_capacity(0.0) == math.log(2)


@pytest.mark.parametrize("p", CHANCES)
@pytest.mark.parametrize("inputs", [2, 5])
def test_erasure(p: float, inputs: int) -> None:
    assert channels.erasure_capacity(p, inputs=inputs) == (1 - p) * math.log(inputs)
    holds(channels.erasure(p, inputs=inputs), channels.erasure_capacity(p, inputs=inputs))


@pytest.mark.parametrize("p", CHANCES)
def test_z_channel(p: float) -> None:
    holds(channels.z_channel(p), channels.z_channel_capacity(p))


def test_the_z_channel_at_one_half_sends_ln_five_quarters() -> None:
    assert channels.z_channel_capacity(0.5) == pytest.approx(0.223143551314, abs=1e-12)


@pytest.mark.parametrize("p", CHANCES)
@pytest.mark.parametrize("inputs", [2, 3, 7])
def test_q_ary_symmetric(p: float, inputs: int) -> None:
    closed = math.log(inputs) - binary_entropy(p) - p * math.log(inputs - 1)
    assert channels.q_ary_symmetric_capacity(p, inputs=inputs) == pytest.approx(closed, abs=1e-15)
    holds(channels.q_ary_symmetric(p, inputs=inputs), closed)


@pytest.mark.parametrize("keys", [2, 3, 4, 26])
def test_noisy_typewriter_sends_half_its_keys(keys: int) -> None:
    typewriter = channels.noisy_typewriter(keys)
    assert channels.weakly_symmetric_capacity(typewriter) == pytest.approx(math.log(keys / 2), abs=1e-15)
    holds(typewriter, math.log(keys / 2))


def test_weakly_symmetric() -> None:
    """Cover & Thomas 2006, section 7.2: no row or column sum but these is needed."""
    rows = torch.tensor([[1 / 3, 1 / 6, 1 / 2], [1 / 3, 1 / 2, 1 / 6]], dtype=torch.float64)
    holds(rows, channels.weakly_symmetric_capacity(rows))
    with pytest.raises(ValueError, match="weakly symmetric"):
        channels.weakly_symmetric_capacity(channels.z_channel(0.5))


def test_a_deterministic_channel_sends_the_log_of_its_outputs() -> None:
    holds(torch.eye(5, dtype=torch.float64)[[0, 2, 2, 4, 0, 4, 4]], math.log(3))


def test_a_cascade_is_the_product_of_the_tables() -> None:
    p, q = 0.1, 0.23
    both = channels.binary_symmetric(p) @ channels.binary_symmetric(q)
    assert float(both[0, 1]) == pytest.approx(channels.cascade(p, q), abs=1e-16)
    assert channels.cascade(p, q) == pytest.approx(p * (1 - q) + q * (1 - p), abs=1e-16)


@pytest.mark.parametrize("p", [0.5, 0.3, 0.05])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 1.0])
def test_a_coins_rate(p: float, share: float) -> None:
    wanted = share * p
    found = rate_at(torch.tensor([p, 1 - p], dtype=torch.float64), 1 - torch.eye(2, dtype=torch.float64), wanted)
    assert found.gap <= 1e-9
    closed = channels.bernoulli_rate(p, wanted)
    assert found.lower - 1e-14 <= closed <= found.rate + 1e-14
    assert closed == pytest.approx(max(binary_entropy(p) - binary_entropy(wanted), 0.0), abs=1e-15)


@pytest.mark.parametrize("slope", [0.5, 1.0, 4.0])
def test_a_coins_distortion_at_a_slope(slope: float) -> None:
    found = rate_at_slope(torch.tensor([0.45, 0.55]).double(), 1 - torch.eye(2).double(), slope)
    assert found.distortion == pytest.approx(1 / (1 + math.exp(slope)), abs=1e-6)


@pytest.mark.parametrize("symbols", [2, 3, 10])
@pytest.mark.parametrize("slope", [0.3, 1.0, 5.0])
def test_uniform_symbols_at_a_slope(symbols: int, slope: float) -> None:
    hamming = 1 - torch.eye(symbols, dtype=torch.float64)
    found = rate_at_slope(torch.full((symbols,), 1 / symbols, dtype=torch.float64), hamming, slope)
    wanted = (symbols - 1) / (symbols - 1 + math.exp(slope))
    assert channels.uniform_distortion(symbols, slope) == wanted == pytest.approx(found.distortion, abs=1e-12)
    closed = math.log(symbols) - binary_entropy(wanted) - wanted * math.log(symbols - 1)
    assert channels.uniform_rate(symbols, wanted) == pytest.approx(closed, abs=1e-15)
    assert found.rate == pytest.approx(closed, abs=1e-12)


def test_a_rate_that_may_lose_everything_is_none() -> None:
    assert channels.uniform_rate(4, 0.75) == channels.uniform_rate(4, 1.0) == channels.bernoulli_rate(0.2, 0.2) == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_is_information_and_mismatch(seed: int) -> None:
    """THEORY T6 by its definition, each sum written out."""
    encoder, weight, prior = table(4, 3, seed=seed), table(4, seed=seed + 50), table(3, seed=seed + 90)
    split = rate_split(encoder, weight, prior)
    aggregate = [sum(float(weight[x] * encoder[x, z]) for x in range(4)) for z in range(3)]
    pairs = [
        (float(weight[x]), float(encoder[x, z]), aggregate[z], float(prior[z])) for x in range(4) for z in range(3)
    ]
    assert split.rate == pytest.approx(sum(w * e * math.log(e / q) for w, e, _, q in pairs), abs=1e-14)
    assert split.information == pytest.approx(sum(w * e * math.log(e / a) for w, e, a, _ in pairs), abs=1e-14)
    assert split.mismatch == pytest.approx(float(kl(torch.tensor(aggregate, dtype=torch.float64), prior)), abs=1e-14)
    assert split.rate == pytest.approx(split.information + split.mismatch, abs=1e-14)


def test_the_aggregate_is_the_cheapest_prior() -> None:
    encoder, weight = table(5, 4, seed=1), table(5, seed=2)
    tight = rate_split(encoder, weight, weight @ encoder)
    assert tight.rate == pytest.approx(tight.information, abs=1e-15)
    assert tight.mismatch == 0.0
    for seed in range(50):
        assert rate_split(encoder, weight, table(4, seed=seed)).rate > tight.rate


def test_information_sent_is_that_of_the_joint_table() -> None:
    channel, weight = table(5, 4, seed=3), table(5, seed=4)
    joint = mutual_information(channel * weight[:, None])
    assert float(channel_information(channel, weight)) == pytest.approx(float(joint), abs=1e-15)
    unused = torch.cat([weight[:4] / weight[:4].sum(), torch.zeros(1, dtype=torch.float64)])
    assert float(channel_information(channel, unused)) == pytest.approx(
        float(channel_information(channel[:4], unused[:4])), abs=1e-15
    )


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: binary_entropy(1.1), "p must be a probability"),
        (lambda: channels.erasure(0.1, inputs=0), "1 or more inputs"),
        (lambda: channels.q_ary_symmetric(0.1, inputs=1), "2 or more inputs"),
        (lambda: channels.check_channel(torch.ones(3) / 3), "a row per input"),
        (lambda: channels.check_channel(torch.ones(2, 2)), "row 0 sums to 2"),
        (lambda: channels.check_channel(torch.tensor([[0.5, 0.5], [1.5, -0.5]])), "row 1"),
        (lambda: channels.check_channel(torch.tensor([[math.nan, 0.5]])), "row 0"),
    ],
)
def test_what_is_no_channel(call, match: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=match):
        call()
