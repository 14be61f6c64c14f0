"""Every sentence up to a length, and every beginning of a longer one."""

from itertools import product

from torch import Tensor

from tests.tiny import EOS, batch


def outcomes(vocabulary: int, words: int) -> tuple[Tensor, Tensor]:
    """All that a decoder can write, cut at `words`: sentences of fewer words with EOS, and beginnings of that many.

    Exactly one of these happens, so their probabilities sum to 1. Tokens [N, words] padded, and lengths [N].
    """
    others = [token for token in range(vocabulary) if token != EOS]
    ended = [[*row, EOS] for length in range(words) for row in product(others, repeat=length)]
    begun = [list(row) for row in product(others, repeat=words)]
    rows = batch(ended + begun)
    return rows["tokens"], rows["lengths"]
