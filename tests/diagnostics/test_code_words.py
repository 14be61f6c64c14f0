"""What a code says, on sentences where it is known."""

from itertools import combinations

import pytest
import torch

from textlatent.diagnostics.code_words import _by_chance, _largest_chance, what_codes_say
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


@pytest.mark.parametrize(("codes", "positions"), [(8, 2), (64, 1), (512, 8)])
def test_codes_that_mean_nothing_say_nothing(codes: int, positions: int) -> None:
    """Words by Zipf's law, codes drawn apart from them; most words have one sentence, and so some code for certain.

    Of words told by chance alone a table is empty with chance 0.95 at least (Benjamini & Hochberg): two are allowed.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(1.0 / torch.arange(1.0, 2001.0), 300 * 12, replacement=True, generator=generator)
    texts = [" ".join(f"w{word}" for word in row) for row in drawn.view(300, 12).tolist()]
    said = what_codes_say(texts, torch.randint(codes, (300, positions), generator=generator), Alphabet(codes))
    assert sum(len(each.words) for each in said) <= 2


def test_the_chance_of_so_many_is_that_of_every_way_to_deal() -> None:
    """7 sentences, 3 with the word, 4 with the code: P(n_kw >= a) by all 35 ways to choose the 4."""
    ways = [sum(place < 3 for place in chosen) for chosen in combinations(range(7), 4)]
    for both in range(1, 4):
        expected = sum(found >= both for found in ways) / len(ways)
        assert _by_chance(both, 4, 3, 7) == pytest.approx(expected, rel=1e-12)


def test_the_largest_chance_by_hand() -> None:
    """0.05 i / 10 is 0.005, 0.01, 0.015, 0.02: the third is within, though the second alone is not."""
    assert _largest_chance([0.5, 0.014, 0.001, 0.011], tests=10) == 0.014
    assert _largest_chance([0.5], tests=10) < 0


def test_books_name_their_codes() -> None:
    said = what_codes_say(TEXTS, CODES, Alphabet(4, books=2))
    assert {each.name for each in said} == {"0:0", "0:1", "1:2", "1:3"}


def test_not_one_row_for_each_text() -> None:
    with pytest.raises(ValueError, match="needs a row of codes, got 120"):
        what_codes_say(TEXTS[:3], CODES, Alphabet(8))
