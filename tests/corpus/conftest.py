"""Text made here: sentences of a small language with Zipf's word frequencies and the lengths of real text."""

import numpy as np
import pytest


def make_sentences(count: int, *, seed: int = 0, words: int = 400) -> list[str]:
    """`count` sentences of 1 to 60 words, their lengths spread like a newspaper's."""
    rng = np.random.default_rng(seed)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    lexicon = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(words)]
    weights = 1 / np.arange(1, words + 1)
    lengths = np.clip(rng.gamma(4.0, 5.3, count).round().astype(int), 1, 60)
    return [" ".join(rng.choice(lexicon, n, p=weights / weights.sum())) for n in lengths]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    return make_sentences(3000)
