"""What each code says: the words that sentences with it have more often than others, and examples."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from textlatent.diagnostics.codes import Alphabet
from textlatent.nats.bounds import NINETY_FIVE

WORDS, EXAMPLES = 6, 3


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
        words: by the lower end of their lift's 95 % interval, those whose end is above 1.
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
    interval, ln lift - 1.96 sqrt(1/n_kw - 1/n_k + 1/n_w - 1/N), so that a rare word does not win by chance.

    Raises:
        ValueError: not one row of codes for each text.
    """
    if len(texts) != len(codes):
        raise ValueError(f"each of the {len(texts)} texts needs a row of codes, got {len(codes)} rows.")
    symbols = alphabet.symbols(codes)
    held = [sorted(set(text.split())) for text in texts]
    everywhere = Counter(word for each in held for word in each)
    said = []
    for symbol in torch.bincount(symbols.flatten()).argsort(descending=True, stable=True).tolist():
        at = (symbols == symbol).sum(0)
        if not at.any():
            break
        rows = (symbols == symbol).any(1).nonzero().squeeze(1).tolist()
        lifts = _lifts(Counter(word for row in rows for word in held[row]), everywhere, len(rows), len(texts))
        said.append(
            CodeSays(
                symbol,
                alphabet.name(symbol),
                len(rows),
                tuple(at.tolist()),
                tuple(word for word, _ in lifts[:words]),
                _examples([texts[row] for row in rows], dict((word.word, low) for word, low in lifts), examples),
            )
        )
    return said


def _lifts(here: Counter[str], everywhere: Counter[str], sentences: int, total: int) -> list[tuple[Word, float]]:
    """The words whose lift is above 1 for sure, with ln of the lower end of its interval, the surest first."""
    found = []
    for word, both in here.items():
        lift = both * total / (sentences * everywhere[word])
        spread = 1.0 / both - 1.0 / sentences + 1.0 / everywhere[word] - 1.0 / total
        low = math.log(lift) - NINETY_FIVE * math.sqrt(max(spread, 0.0))
        if low > 0.0:
            found.append((Word(word, lift, both), low))
    return sorted(found, key=lambda each: (-each[1], each[0].word))


def _examples(texts: list[str], lows: dict[str, float], most: int) -> tuple[str, ...]:
    """The sentences whose words go with the code most, on average over their words."""

    def typical(text: str) -> float:
        words = text.split()
        return sum(lows.get(word, 0.0) for word in words) / max(len(words), 1)

    return tuple(sorted(dict.fromkeys(texts), key=lambda text: (-typical(text), text))[:most])
