"""How much of a sentence came back: token accuracy and BLEU."""

from collections.abc import Sequence

import torch

from textlatent.nats.montecarlo import Estimate, mean_with_error


def token_accuracy(originals: Sequence[str], reconstructions: Sequence[str]) -> Estimate:
    """Share of word positions that agree, averaged over sentences (no unit, 0 to 1).

    A sentence's positions are those of the longer of the two; two empty sentences agree.

    Raises:
        ValueError: the two lists differ in length, or are empty.
    """
    _check(originals, reconstructions)
    shares = []
    for original, rebuilt in zip(originals, reconstructions, strict=True):
        left, right = original.split(), rebuilt.split()
        longest = max(len(left), len(right))
        agree = sum(a == b for a, b in zip(left, right, strict=False))
        shares.append(agree / longest if longest else 1.0)
    return mean_with_error(torch.tensor(shares, dtype=torch.float64))


def bleu(originals: Sequence[str], reconstructions: Sequence[str]) -> float:
    """Corpus BLEU, 0 to 100, on whitespace words as they stand (sacrebleu, tokenize="none").

    Raises:
        ValueError: the two lists differ in length, or are empty.
    Source: Post 2018, arXiv:1804.08771.
    """
    from sacrebleu.metrics.bleu import BLEU

    _check(originals, reconstructions)
    metric = BLEU(tokenize="none", force=True)
    return metric.corpus_score(list(reconstructions), [list(originals)]).score


def _check(originals: Sequence[str], reconstructions: Sequence[str]) -> None:
    if len(originals) != len(reconstructions) or not originals:
        raise ValueError(
            f"as many reconstructions as originals, and at least one: got {len(originals)} and {len(reconstructions)}."
        )
