"""Channels as tables P(y|x), a row per input: what they send, and those whose capacity or R(D) has a closed form.

An encoder over a finite z is such a table too, so a rate splits here as it does anywhere (THEORY T6). Everything is in
nats; h(p) = -p ln p - (1 - p) ln(1 - p).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.nats.discrete import kl, mutual_information


def check_channel(channel: Tensor) -> Tensor:
    """The channel in float64, each row summing to 1 to the last digit.

    Raises:
        ValueError: no matrix, or a row that is no distribution.
    """
    if channel.ndim != 2 or not channel.numel():
        raise ValueError(f"a channel is a matrix P(y|x) with a row per input, got shape {tuple(channel.shape)}.")
    channel = channel.detach().to(torch.float64)
    wrong = ~channel.isfinite().all(1) | (channel < 0).any(1) | ((channel.sum(1) - 1).abs() > 1e-6)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise ValueError(f"each row of a channel must be >= 0 and sum to 1; row {row} sums to {channel[row].sum():g}.")
    return channel / channel.sum(1, keepdim=True)


def divergences(channel: Float[Tensor, "X Y"], log_output: Float[Tensor, " Y"]) -> Float[Tensor, " X"]:
    """KL(channel_x || output) of each input, nats; an output of probability 0 that x can reach makes it infinite."""
    reached = channel > 0
    terms = channel * torch.where(reached, log_output, 0.0)
    return channel.xlogy(channel).sum(1) - terms.sum(1)


def channel_information(channel: Float[Tensor, "X Y"], weight: Float[Tensor, " X"]) -> Float[Tensor, ""]:
    """I(p, W) = sum_x p_x KL(W_x || pW), nats: what an input distribution sends."""
    used = weight > 0
    return weight[used] @ divergences(channel[used], (weight @ channel).log())


@dataclass(frozen=True)
class RateSplit:
    """A rate on tables, nats: rate = information + mismatch.

    Attributes:
        rate: E KL(channel_x || prior).
        information: I(x, y) = KL(joint || product).
        mismatch: KL(aggregate || prior), the aggregate being E channel_x.
    """

    rate: float
    information: float
    mismatch: float


def rate_split(channel: Float[Tensor, "X Y"], weight: Float[Tensor, " X"], prior: Float[Tensor, " Y"]) -> RateSplit:
    """What a code y of x costs under a prior, and how much of it is information, nats.

        E KL(channel_x || prior) = I(x, y) + KL(aggregate || prior)         for every prior

    so I is the least rate over all priors, reached by the aggregate alone. Each of the three is computed by itself.

    Source: THEORY T6; Hoffman & Johnson 2016, ELBO surgery.
    """
    channel, weight = check_channel(channel), weight.to(torch.float64)
    used = weight > 0
    information = mutual_information(channel * weight[:, None])
    rate = weight[used] @ kl(channel[used], prior)
    return RateSplit(float(rate), float(information), float(kl(weight @ channel, prior)))


def binary_entropy(p: float) -> float:
    """h(p) of a coin, nats, exactly 0 at both ends.

    Raises:
        ValueError: no probability.
    """
    _check_probability("p", p)
    return -sum(x * math.log(x) for x in (p, 1.0 - p) if x > 0.0)


def binary_symmetric(flip: float) -> Float[Tensor, "2 2"]:
    """A bit that arrives turned over with probability `flip`."""
    return q_ary_symmetric(flip)


def binary_symmetric_capacity(flip: float) -> float:
    """ln 2 - h(flip), nats: ln 2 at 0 and at 1 (the receiver hears the complement), 0 at 1/2.

    Source: THEORY T15.
    """
    return q_ary_symmetric_capacity(flip)


def erasure(erased: float, *, inputs: int = 2) -> Float[Tensor, "X Y"]:
    """A symbol that arrives or is lost, and the receiver sees which; the last output is the loss.

    Raises:
        ValueError: no probability, or no inputs.
    """
    _check_probability("erased", erased)
    _check_count(inputs, 1)
    kept = (1.0 - erased) * torch.eye(inputs, dtype=torch.float64)
    return torch.cat([kept, kept.new_full((inputs, 1), erased)], 1)


def erasure_capacity(erased: float, *, inputs: int = 2) -> float:
    """(1 - erased) ln inputs, nats."""
    _check_probability("erased", erased)
    return (1.0 - erased) * math.log(inputs)


def z_channel(flip: float) -> Float[Tensor, "2 2"]:
    """A 0 that arrives safely and a 1 that becomes a 0 with probability `flip`."""
    _check_probability("flip", flip)
    return torch.tensor([[1.0, 0.0], [flip, 1.0 - flip]], dtype=torch.float64)


def z_channel_capacity(flip: float) -> float:
    """ln(1 + (1 - p) p^(p / (1 - p))), nats; ln 1.25 at p = 1/2, 0 at p = 1."""
    _check_probability("flip", flip)
    if flip == 1.0:
        return 0.0
    return math.log1p((1.0 - flip) * flip ** (flip / (1.0 - flip)))


def q_ary_symmetric(error: float, *, inputs: int = 2) -> Float[Tensor, "q q"]:
    """A symbol that becomes any of the q - 1 others with probability `error` in all.

    Raises:
        ValueError: no probability, or fewer than two inputs.
    """
    _check_probability("error", error)
    _check_count(inputs, 2)
    table = torch.full((inputs, inputs), error / (inputs - 1), dtype=torch.float64)
    return table.fill_diagonal_(1.0 - error)


def q_ary_symmetric_capacity(error: float, *, inputs: int = 2) -> float:
    """ln q - h(error) - error ln(q - 1), nats."""
    _check_count(inputs, 2)
    return math.log(inputs) - binary_entropy(error) - error * math.log(inputs - 1)


def noisy_typewriter(inputs: int) -> Float[Tensor, "V V"]:
    """A key that types itself or its right neighbour, each with probability 1/2, around a ring of keys.

    Raises:
        ValueError: fewer than two keys.
    """
    _check_count(inputs, 2)
    keys = torch.eye(inputs, dtype=torch.float64)
    return 0.5 * keys + 0.5 * keys.roll(1, 1)


def weakly_symmetric_capacity(channel: Float[Tensor, "X Y"]) -> float:
    """ln |Y| - H(row), nats, of a channel whose rows are permutations of one another and whose columns sum alike.

    Raises:
        ValueError: no such channel.
    """
    channel = check_channel(channel)
    rows, columns = channel.sort(1).values, channel.sum(0)
    if not (torch.allclose(rows, rows[:1], rtol=0, atol=1e-12) and torch.allclose(columns, columns[:1], atol=1e-12)):
        raise ValueError("a weakly symmetric channel has rows that are permutations of one another and equal columns.")
    return math.log(channel.shape[1]) + float(channel[0].xlogy(channel[0]).sum())


def cascade(flip: float, other: float) -> float:
    """The flip probability of two binary symmetric channels in a row: p (1 - q) + q (1 - p)."""
    return flip * (1.0 - other) + other * (1.0 - flip)


def bernoulli_rate(p: float, distortion: float) -> float:
    """R(D) = h(p) - h(D) of a coin under the share of wrong bits, nats; 0 from D = min(p, 1 - p) on."""
    _check_probability("distortion", distortion)
    if distortion >= min(p, 1.0 - p):
        return 0.0
    return binary_entropy(p) - binary_entropy(distortion)


def uniform_rate(symbols: int, distortion: float) -> float:
    """R(D) = ln q - h(D) - D ln(q - 1) of q equal symbols under the share of wrong ones, nats."""
    _check_count(symbols, 2)
    if distortion >= 1.0 - 1.0 / symbols:
        return 0.0
    return q_ary_symmetric_capacity(distortion, inputs=symbols)


def uniform_distortion(symbols: int, slope: float) -> float:
    """The D at which R(D) of q equal symbols has this slope: (q - 1) / (q - 1 + e^slope)."""
    return (symbols - 1) / (symbols - 1 + math.exp(slope))


def _check_probability(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {p}.")


def _check_count(inputs: int, least: int) -> None:
    if inputs < least:
        raise ValueError(f"a channel like this has {least} or more inputs, got {inputs}.")
