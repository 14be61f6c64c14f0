"""What a code says, on sentences where it is known."""

import pytest
import torch

from textlatent.diagnostics.code_words import what_codes_say
from textlatent.diagnostics.codes import Alphabet

TEXTS = ["a cat sleeps", "a dog sleeps"] * 30 + ["the cat runs", "the dog runs"] * 30
CODES = torch.tensor([[0, 2], [1, 2]] * 30 + [[0, 3], [1, 3]] * 30)


def test_codes_that_mean_a_word_say_it() -> None:
    said = {each.symbol: each for each in what_codes_say(TEXTS, CODES, Alphabet(8))}
    assert sorted(said) == [0, 1, 2, 3]  # code 4 to 7 are nobody's
    assert {word.word for word in said[0].words} == {"cat"}
    assert {word.word for word in said[2].words} == {"a", "sleeps"}
    assert said[2].positions == (0, 60)
    assert said[2].sentences == 60
    assert all(word.lift == 2.0 for word in said[2].words)  # always there, in half of all sentences
    assert set(said[2].examples) == {"a cat sleeps", "a dog sleeps"}
    assert said[0].to_dict()["code"] == "0"


def test_a_rare_word_does_not_win_by_chance() -> None:
    """A word that one sentence has is 120 times 1/60 as likely under its code: a lift of 2, and no evidence."""
    texts = ["once " + TEXTS[0], *TEXTS[1:]]
    said = next(each for each in what_codes_say(texts, CODES, Alphabet(8)) if each.symbol == 0)
    assert "once" not in {word.word for word in said.words}


def test_books_name_their_codes() -> None:
    said = what_codes_say(TEXTS, CODES, Alphabet(4, books=2))
    assert {each.name for each in said} == {"0:0", "0:1", "1:2", "1:3"}


def test_not_one_row_for_each_text() -> None:
    with pytest.raises(ValueError, match="needs a row of codes, got 120"):
        what_codes_say(TEXTS[:3], CODES, Alphabet(8))
