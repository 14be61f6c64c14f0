"""The order of an epoch, a rank's share of a step, and padded batches."""

import bisect
from collections.abc import Iterator
from typing import TypedDict, cast

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from textlatent.corpus.encoding import EncodedSplit, encode_split
from textlatent.corpus.vectors import VectorSplit

__all__ = [
    "Batch",
    "EncodedSplit",
    "Split",
    "collate",
    "encode_split",
    "evaluation_batches",
    "mean_sentences_per_step",
    "plan_epoch",
    "share",
]

Split = EncodedSplit | VectorSplit
"""What a split may be: sentences, or rows of numbers, each of which counts as one token."""

WINDOW_STEPS = 64  # sentences are sorted by length inside shuffled windows of about this many steps


class Batch(TypedDict):
    """A padded batch, one row per sentence: w_1..w_n EOS PAD...; BOS is the model's to add.

    lengths count EOS; index, words, characters and label are EncodedSplit's.
    """

    tokens: Int[Tensor, "B T"]
    lengths: Int[Tensor, " B"]
    index: Int[Tensor, " B"]
    words: Int[Tensor, " B"]
    characters: Int[Tensor, " B"]
    label: Int[Tensor, " B"]


def plan_epoch(lengths: Int[Tensor, " N"], *, tokens_per_step: int, seed: int, epoch: int) -> list[Int[Tensor, " n"]]:
    """The optimiser steps of one epoch: positions in the split, each once; a function of the arguments alone.

    All sentences are shuffled and cut into windows of about 64 steps; each window is sorted by length (ties as
    shuffled) and cut into steps; the steps of all windows are shuffled. Padding is then below 5 % on real text, except
    where an epoch has fewer than about forty steps.

    Args:
        lengths: tokens of each sentence, EOS counted.
        tokens_per_step: bound on sentences x longest sentence of a step (a longer sentence is a step of its own).
        seed: the run's seed.
        epoch: the epoch's number from 0.

    Raises:
        ValueError: no sentences, or no room for a token.
    """
    size = _sizes(lengths, tokens_per_step, "tokens_per_step")
    # raw words of the generator: numpy promises that these, unlike permutation(), never change between versions
    random = np.random.Philox(np.random.SeedSequence([seed, epoch]))
    order = np.argsort(random.random_raw(len(size)), kind="stable")
    window = max(1, round(WINDOW_STEPS * tokens_per_step / size.mean()))
    steps: list[np.ndarray] = []
    for begin in range(0, len(order), window):
        inside = order[begin : begin + window]
        steps += _cut(inside[np.argsort(size[inside], kind="stable")], size, tokens_per_step)
    return [torch.from_numpy(steps[i]) for i in np.argsort(random.random_raw(len(steps)), kind="stable")]


def mean_sentences_per_step(lengths: Int[Tensor, " N"], *, tokens_per_step: int, seed: int) -> float:
    """The mean number of sentences in a step of epoch 0: the constant by which every step's sums are divided.

    Args:
        lengths: as in `plan_epoch`.
        tokens_per_step: as in `plan_epoch`.
        seed: as in `plan_epoch`.
    """
    return len(lengths) / len(plan_epoch(lengths, tokens_per_step=tokens_per_step, seed=seed, epoch=0))


def evaluation_batches(lengths: Int[Tensor, " N"], *, tokens_per_batch: int) -> list[Int[Tensor, " n"]]:
    """Positions sorted by length and cut into batches with sentences x longest sentence <= tokens_per_batch.

    Args:
        lengths: tokens of each sentence, EOS counted.
        tokens_per_batch: the bound; a single longer sentence is a batch of its own.

    Raises:
        ValueError: no sentences, or no room for a token.
    """
    size = _sizes(lengths, tokens_per_batch, "tokens_per_batch")
    return [torch.from_numpy(batch) for batch in _cut(np.argsort(size, kind="stable"), size, tokens_per_batch)]


def share(step: Int[Tensor, " n"], *, parts: int, part: int) -> Int[Tensor, " m"]:
    """One rank's or micro-batch's part of a step: every `parts`-th position, so that each gets long and short ones.

    Args:
        step: positions; there may be fewer than parts, and then some parts are empty.
        parts: how many parts there are.
        part: which one, from 0.

    Raises:
        ValueError: no such part.
    """
    if not 0 <= part < parts:
        raise ValueError(f"part must be 0 <= part < parts, got part {part} of {parts} parts.")
    return step[part::parts]


def collate(split: Split, positions: Int[Tensor, " B"], *, pad_id: int = 0) -> Batch:
    """The sentences at these positions, padded on the right to the longest of them; or the rows of numbers.

    Args:
        split: where they are.
        positions: positions in the split.
        pad_id: what stands after the EOS of a shorter sentence.
    """
    if isinstance(split, VectorSplit):
        return cast(Batch, split.collate(positions))
    # In numpy, whose operations start several times faster than torch's: a small model's step shows it.
    rows, offsets = positions.numpy(), split.offsets.numpy()
    begin, end = offsets[rows], offsets[rows + 1]
    places = begin[:, None] + np.arange((end - begin).max(initial=0))  # [B, T]
    tokens = split.tokens.numpy().take(places, mode="clip").astype(np.int64)
    tokens[places >= end[:, None]] = pad_id
    return Batch(
        tokens=torch.from_numpy(tokens),
        lengths=torch.from_numpy(end - begin),
        index=split.index[positions],
        words=split.words[positions],
        characters=split.characters[positions],
        label=split.label[positions],
    )


def _sizes(lengths: Tensor, budget: int, name: str) -> np.ndarray:
    """The lengths as an array, if batches can be made of them."""
    size = np.asarray(lengths, dtype=np.int64)
    if not len(size):
        raise ValueError("there are no sentences to make batches of; give a split with at least one.")
    if budget < 1:
        raise ValueError(f"{name} must be >= 1, got {budget}.")
    return size


def _cut(order: np.ndarray, size: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Runs of `order` (positions from short to long), each as long as count x longest <= budget allows."""
    ascending = size[order].tolist()
    begin = 0
    while begin < len(order):

        def padded(end: int, begin: int = begin) -> int:
            return (end - begin) * ascending[end - 1]

        fit = bisect.bisect_right(range(begin + 1, len(order) + 1), budget, key=padded)
        end = begin + max(fit, 1)
        yield order[begin:end].copy()
        begin = end
