"""Every sentence of a toy language with its probability, in parts that fit the memory."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray as Array
from torch import Tensor

from textlatent.corpus.toy_language import ToyLanguage

ROWS = 20_000
"""Beginnings that are read on together."""


class Support(NamedTuple):
    """Some sentences of a language.

    Attributes:
        tokens: words as numbers, EOS after each sentence [n, T].
        lengths: words of each, EOS counted [n].
        probability: P(y), float64 [n].
    """

    tokens: Tensor
    lengths: Tensor
    probability: Tensor


def every_sentence(language: ToyLanguage, number: Mapping[str, int], *, eos: int) -> Iterator[Support]:
    """The sentences of P > 0, each once, as numbers.

    Args:
        language: whose sentences.
        number: word -> number.
        eos: the number after the last word.

    Raises:
        ValueError: a word has no number.
    """
    if missing := [word for word in language.vocabulary if word not in number]:
        raise ValueError(
            f"{len(missing)} words of {language.name} have no number, first {missing[0]!r}; give them one."
        )
    for skeleton in language._skeletons:
        alive = skeleton.joint > 0
        tables = [
            (np.array([number[w] for w in table]), np.stack([row[alive] for row in table.values()]))
            for table in skeleton.words
        ]
        empty = np.zeros((1, 0), dtype=np.int64)
        for words, probability in _read_on(empty, skeleton.joint[alive][None], tables):
            ends = np.full((len(words), 1), eos)
            tokens = torch.from_numpy(np.concatenate([words, ends], 1))
            yield Support(tokens, torch.full((len(words),), tokens.shape[1]), torch.from_numpy(probability))


def _read_on(
    words: Array, joint: Float64[Array, "n C"], tables: list[tuple[Array, Float64[Array, "W C"]]]
) -> Iterator[tuple[Array, Float64[Array, " n"]]]:
    """The beginnings with every way to go on; those no class allows are left out."""
    if not tables:
        yield words, joint.sum(1)
        return
    (numbers, rows), *rest = tables
    for begin in range(0, len(words), max(1, ROWS // len(numbers))):
        some = slice(begin, begin + max(1, ROWS // len(numbers)))
        longer = (joint[some, None] * rows).reshape(-1, joint.shape[1])
        beginnings = np.repeat(words[some], len(numbers), 0)
        ending = np.tile(numbers, len(words[some]))[:, None]
        alive = longer.any(1)
        yield from _read_on(np.concatenate([beginnings, ending], 1)[alive], longer[alive], rest)
