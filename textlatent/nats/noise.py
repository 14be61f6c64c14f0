"""Random numbers that belong to a sentence: functions of (seed, epoch, sentence, sample, element), never of a batch.

A counter is hashed instead of a stream being advanced, so the noise of a sentence is the same whichever batch, rank or
resumed run it meets. `stream` separates the uses (latent noise, word dropout, ...) of one sentence.
"""

from math import prod

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

LATENT, WORD_DROPOUT, PRIOR_DRAW, DENOISING, PRIOR_COMPONENT, REFINEMENT, REVIVAL = 0, 1, 2, 3, 4, 5, 6
"""Streams in use: one number per purpose, so that two purposes never share their noise."""

_INCREMENT = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _signed(x: int) -> int:
    x &= _MASK
    return x - (1 << 64) if x >= 1 << 63 else x


_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def _mix_word(x: int) -> int:
    """As `_mix`, of one word without a tensor: on a GPU each operation on a tensor is a kernel to start."""
    x &= _MASK
    x = (x ^ (x >> 30)) * (_FIRST & _MASK) & _MASK
    x = (x ^ (x >> 27)) * (_SECOND & _MASK) & _MASK
    return _signed(x ^ (x >> 31))


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _xor_shifted(x: Tensor, bits: int) -> Tensor:
    return _shift_right(x, bits).bitwise_xor_(x)


def _mix(x: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """The finaliser of splitmix64: a bijection of 64-bit words (int64 arithmetic wraps).

    Source: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, figure 14.
    """
    x = _xor_shifted(x, 30).mul_(_FIRST)
    x = _xor_shifted(x, 27).mul_(_SECOND)
    return _xor_shifted(x, 31)


def uniform(
    index: Int[Tensor, " B"],
    *,
    seed: int,
    epoch: int = 0,
    shape: tuple[int, ...],
    stream: int,
    samples: int = 1,
    first_sample: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Float[Tensor, "..."]:
    """Uniform numbers in (0, 1), [S, B, *shape]; sample s of this call is the sentence's sample first_sample + s.

    Args:
        index: the sentences' identifiers.
        seed: the run's seed.
        epoch: 0 in evaluation.
        shape: elements per sentence and sample. An element's number depends on its flat position, so that a longer
            shape begins with the same numbers as a shorter one; fewer than 2^32 of them.
        stream: which use of randomness this is.
        samples: S.
        first_sample: where a chunk of a longer run of samples starts.
        dtype: of the result; the numbers are made in float64.
    """
    device = index.device
    key = 0
    for word in (seed, epoch, stream):
        key = _mix_word(key + _INCREMENT * (word + 1))
    words = _mix(key + (index + 1) * _signed(_INCREMENT))  # [B]
    draw = torch.arange(first_sample, first_sample + samples, device=device) << 32
    place = draw[:, None] + torch.arange(1, prod(shape) + 1, device=device)  # [S, prod(shape)]
    words = _mix(words[:, None] + (place * _signed(_INCREMENT))[:, None])  # [S, B, prod(shape)]
    numbers = ((_shift_right(words, 11).to(torch.float64) + 0.5) * 2.0**-53).to(dtype)
    limits = torch.finfo(dtype)  # the ends are left out after rounding too
    return numbers.clamp(limits.tiny, 1.0 - limits.eps / 2).reshape(samples, index.shape[0], *shape)


def normal(
    index: Int[Tensor, " B"],
    *,
    seed: int,
    epoch: int = 0,
    shape: tuple[int, ...],
    stream: int = LATENT,
    samples: int = 1,
    first_sample: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "..."]:
    """Standard normal numbers, [S, B, *shape], by the inverse distribution function of `uniform`."""
    numbers = uniform(
        index, seed=seed, epoch=epoch, shape=shape, stream=stream, samples=samples, first_sample=first_sample
    )
    return torch.special.ndtri(numbers).to(dtype)


def chosen(
    index: Int[Tensor, " B"], *, share: float, seed: int, epoch: int, width: int, stream: int
) -> Bool[Tensor, "B T"]:
    """Which of a sentence's first `width` words a coin of this share falls on: its own words, whatever the batch.

    Args:
        index: the sentences' identifiers.
        share: the chance of each word, between 0 and 1.
        seed: the run's seed.
        epoch: every epoch throws anew.
        width: T; a wider batch begins with the same throws.
        stream: which use of randomness this is.
    """
    return uniform(index, seed=seed, epoch=epoch, shape=(width,), stream=stream)[0] < share
