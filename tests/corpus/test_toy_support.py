"""Oracle: the language's own sums: entropy, size, and the probability of each sentence."""

import math

import pytest

from textlatent.corpus.toy import english
from textlatent.corpus.toy_grammar import Slot, Template
from textlatent.corpus.toy_language import ToyLanguage
from textlatent.corpus.toy_support import every_sentence


def _small() -> ToyLanguage:
    return ToyLanguage(
        name="small",
        factors={"topic": {"sea": 2.0, "farm": 1.0}},
        slots={"NOUN": Slot(("topic",), {("sea",): {"sail": 1.0, "it": 3.0}, ("farm",): {"cow": 1.0, "it": 1.0}})},
        templates=(Template("a NOUN NOUN .", 1.0, {}), Template("a NOUN .", 3.0, {})),
    )


def test_every_sentence_comes_once_with_its_probability() -> None:
    language = _small()
    number = {word: i + 3 for i, word in enumerate(language.vocabulary)}
    word = {i: w for w, i in number.items()}
    found = {}
    for tokens, lengths, p in every_sentence(language, number, eos=2):
        for row, length, each in zip(tokens.tolist(), lengths.tolist(), p.tolist(), strict=True):
            assert row[length - 1] == 2
            text = " ".join(word[i] for i in row[: length - 1])
            assert text not in found
            found[text] = each
    assert len(found) == language.support_size()
    assert sum(found.values()) == pytest.approx(1.0, abs=1e-14)
    for text, p in found.items():
        assert language.log_probability(text) == pytest.approx(math.log(p), abs=1e-12)


def test_a_word_without_a_number() -> None:
    with pytest.raises(ValueError, match="5 words of small have no number, first '.'"):
        next(every_sentence(_small(), {}, eos=0))


@pytest.mark.slow
def test_the_english_sums_to_its_entropy() -> None:
    language = english()
    number = {word: i for i, word in enumerate(language.vocabulary)}
    count, mass, entropy = 0, 0.0, 0.0
    for _, _, p in every_sentence(language, number, eos=len(number)):
        count, mass = count + len(p), mass + float(p.sum())
        entropy -= float((p * p.log()).sum())
    assert count == language.support_size()
    assert mass == pytest.approx(1.0, abs=1e-12)
    assert entropy == pytest.approx(language.entropy(), abs=1e-9)
