"""Token accuracy and BLEU by hand."""

import math

import pytest

from textlatent.diagnostics.reconstruction import bleu, token_accuracy


def test_token_accuracy_by_hand() -> None:
    """3 of 3; 1 of 3 (another place does not count); 2 of 4 (the longer one's places count); 0 of 2; two empty ones."""
    originals = ["a b c", "a b c", "a b c d", "", ""]
    rebuilt = ["a b c", "a c b", "a b", "x y", ""]
    estimate = token_accuracy(originals, rebuilt)
    shares = [1.0, 1 / 3, 0.5, 0.0, 1.0]
    mean = sum(shares) / 5
    assert estimate.value == pytest.approx(mean, abs=1e-15)
    assert estimate.se == pytest.approx(math.sqrt(sum((s - mean) ** 2 for s in shares) / 4 / 5), abs=1e-15)
    assert estimate.count == 5


def test_too_long_costs_as_much_as_too_short() -> None:
    assert token_accuracy(["a b"], ["a b c d"]).value == token_accuracy(["a b c d"], ["a b"]).value == 0.5


def test_bleu_by_hand() -> None:
    """a b c d e for a b c d f: precisions 4/5, 3/4, 2/3, 1/2, no brevity penalty: 100 * (1/5)^(1/4)."""
    assert bleu(["a b c d f"], ["a b c d e"]) == pytest.approx(100 * 0.2**0.25, abs=1e-9)


def test_bleu_punishes_brevity() -> None:
    """All n-grams right, 4 words for 5: e^(1 - 5/4)."""
    assert bleu(["a b c d e"], ["a b c d"]) == pytest.approx(100 * math.exp(1 - 5 / 4), abs=1e-9)


def test_bleu_of_a_corpus_pools_its_counts() -> None:
    """Of two sentences: n-grams 8/10, 6/8, 4/6, 2/4 pooled, not a mean of two scores."""
    originals, rebuilt = ["a b c d e", "f g h i j"], ["a b c d x", "f g h i y"]
    assert bleu(originals, rebuilt) == pytest.approx(100 * (0.8 * 0.75 * (4 / 6) * 0.5) ** 0.25, abs=1e-9)


def test_a_perfect_copy() -> None:
    text = ["the cat sat on the mat .", "it 's a dog , n't it ?"]
    assert bleu(text, text) == pytest.approx(100.0, abs=1e-9)
    assert token_accuracy(text, text).value == 1.0


def test_words_are_taken_as_they_stand() -> None:
    """No tokenising of ours or sacrebleu's: `mat.` is one word, and case counts."""
    assert token_accuracy(["the mat."], ["the mat ."]).value == pytest.approx(1 / 3)
    assert bleu(["a b c d mat."], ["a b c d mat ."]) < 100.0
    assert bleu(["A B C D"], ["a b c d"]) == 0.0


@pytest.mark.parametrize("measure", [token_accuracy, bleu])
def test_faults(measure: object) -> None:
    with pytest.raises(ValueError, match="as many reconstructions as originals, and at least one: got 2 and 1"):
        measure(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="at least one: got 0 and 0"):
        measure([], [])
