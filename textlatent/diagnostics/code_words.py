"""What each code says: the words that sentences with it have more often than others, and examples."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from textlatent.diagnostics.codes import Alphabet
from textlatent.nats.bounds import NINETY_FIVE

WORDS, EXAMPLES = 6, 3
FALSE = 0.05
"""Of all words told of all codes, the share that may go with their code by chance alone."""


@dataclass(frozen=True)
class Word:
    """A word that goes with a code.

    Attributes:
        word: as it is written.
        lift: P(word | code) / P(word), of sentences that hold it (no unit).
        sentences: how many hold both.
    """

    word: str
    lift: float
    sentences: int


@dataclass(frozen=True)
class CodeSays:
    """One code.

    Attributes:
        symbol: its number among all codes of all books.
        name: as one writes it.
        sentences: how many have it.
        positions: how often it stands at each position.
        words: by the lower end of their lift's 95 % interval, those that chance does not explain (`what_codes_say`).
        examples: sentences that hold most of such words, distinct.
    """

    symbol: int
    name: str
    sentences: int
    positions: tuple[int, ...]
    words: tuple[Word, ...]
    examples: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "code": self.name,
            "sentences": self.sentences,
            "positions": list(self.positions),
            "words": [{"word": w.word, "lift": w.lift, "sentences": w.sentences} for w in self.words],
            "examples": list(self.examples),
        }


def what_codes_say(
    texts: Sequence[str],
    codes: Int[Tensor, "N P"],
    alphabet: Alphabet,
    *,
    words: int = WORDS,
    examples: int = EXAMPLES,
) -> list[CodeSays]:
    """Every code that a sentence has, the commonest first.

    A word counts once for a sentence. Lift is n_kw N / (n_k n_w); the words are sorted by the lower end of its
    interval, ln lift - 1.96 sqrt(1/n_kw - 1/n_k + 1/n_w - 1/N), those below 1 left out.

    Many words meet many codes, and a word of one sentence has some code for certain. So those words alone are told
    whose n_kw chance does not explain: by Fisher's exact test of all pairs, such that on average at most one in twenty
    of the words told goes with its code by chance.

    Raises:
        ValueError: not one row of codes for each text.

    Source: Katz et al. 1978 (the interval of a ratio of shares); Benjamini & Hochberg 1995, section 3.1.
    """
    if len(texts) != len(codes):
        raise ValueError(f"each of the {len(texts)} texts needs a row of codes, got {len(codes)} rows.")
    symbols = alphabet.symbols(codes)
    held = [sorted(set(text.split())) for text in texts]
    everywhere = Counter(word for each in held for word in each)
    number = torch.bincount(symbols.flatten())
    order = [symbol for symbol in number.argsort(descending=True, stable=True).tolist() if number[symbol]]
    having = [(symbols == symbol).any(1).nonzero().squeeze(1).tolist() for symbol in order]
    found = [
        _lifts(Counter(word for row in rows for word in held[row]), everywhere, len(rows), len(texts))
        for rows in having
    ]
    limit = _largest_chance((each[2] for lifts in found for each in lifts), tests=len(everywhere) * len(order))
    said = []
    for symbol, rows, every in zip(order, having, found, strict=True):
        lifts = [(word, low) for word, low, chance in every if chance <= limit]
        said.append(
            CodeSays(
                symbol,
                alphabet.name(symbol),
                len(rows),
                tuple((symbols == symbol).sum(0).tolist()),
                tuple(word for word, _ in lifts[:words]),
                _examples([texts[row] for row in rows], dict((word.word, low) for word, low in lifts), examples),
            )
        )
    return said


def _lifts(here: Counter[str], everywhere: Counter[str], sentences: int, total: int) -> list[tuple[Word, float, float]]:
    """Words whose interval is above 1, with ln of its lower end and how likely chance makes so many; surest first."""
    found = []
    for word, both in here.items():
        lift = both * total / (sentences * everywhere[word])
        spread = 1.0 / both - 1.0 / sentences + 1.0 / everywhere[word] - 1.0 / total
        low = math.log(lift) - NINETY_FIVE * math.sqrt(max(spread, 0.0))
        if low > 0.0:
            found.append((Word(word, lift, both), low, _by_chance(both, sentences, everywhere[word], total)))
    return sorted(found, key=lambda each: (-each[1], each[0].word))


def _by_chance(both: int, sentences: int, holding: int, total: int) -> float:
    """P(n_kw >= both) where the `sentences` with the code are drawn from all `total`, of which `holding` have the word.

    Source: Fisher 1935 (the exact test, one-sided): the tail of the hypergeometric law.
    """
    term = math.exp(
        _log_choose(holding, both) + _log_choose(total - holding, sentences - both) - _log_choose(total, sentences)
    )
    chance = term
    for more in range(both, min(sentences, holding)):
        odds = (holding - more) * (sentences - more) / ((more + 1) * (total - holding - sentences + more + 1))
        term *= odds
        chance += term
    return min(chance, 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _largest_chance(chances: Iterable[float], *, tests: int) -> float:
    """The largest p_(i) <= FALSE i / tests, the chances sorted; below 0 where there is none."""
    passed = [p for i, p in enumerate(sorted(chances), 1) if p <= FALSE * i / tests]
    return passed[-1] if passed else -1.0


def _examples(texts: list[str], lows: dict[str, float], most: int) -> tuple[str, ...]:
    """The sentences whose words go with the code most, on average over their words."""

    def typical(text: str) -> float:
        words = text.split()
        return sum(lows.get(word, 0.0) for word in words) / max(len(words), 1)

    return tuple(sorted(dict.fromkeys(texts), key=lambda text: (-typical(text), text))[:most])
