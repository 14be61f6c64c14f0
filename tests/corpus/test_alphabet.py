"""Sentences as labels and back, what is cut or left out, and what is refused."""

import pytest
from datasets import Dataset

from textlatent.corpus.alphabet import END, OTHER, Alphabet, label_split, train_alphabet

TEXTS = ["abca", "ab", "aabz", "ca"]
DATASET = Dataset.from_dict({"text": TEXTS, "label": [0, 1, 0, 2]})


def _alphabet(*, labels: int = 5, end: bool = True) -> Alphabet:
    return train_alphabet(TEXTS, unit="characters", labels=labels, end=end)


def test_the_most_frequent_symbols_have_a_label() -> None:
    """A occurs 6 times, b 3, c 2, z once."""
    assert _alphabet().symbols == (END, "a", "b", "c", OTHER)
    assert _alphabet(end=False).symbols == ("a", "b", "c", "z", OTHER)
    assert _alphabet(labels=3).symbols == (END, "a", OTHER)
    assert len(_alphabet(labels=40)) == 6


def test_equals_stand_in_their_own_order() -> None:
    assert train_alphabet(["dcb", "bcd"], unit="characters", labels=9, end=False).symbols == ("b", "c", "d", OTHER)


def test_sentences_become_labels_and_labels_text() -> None:
    alphabet = _alphabet()
    assert alphabet.encode(["abz", "c"]) == [[1, 2, 4, 0], [3, 0]]
    assert alphabet.decode([1, 2, 4, 0]) == f"ab{OTHER}{END}"


def test_tags_are_set_off_by_spaces() -> None:
    alphabet = train_alphabet(["DET NOUN VERB", "NOUN  VERB"], unit="words", labels=9, end=False)
    assert alphabet.symbols == ("NOUN", "VERB", "DET", OTHER)
    assert alphabet.encode(["DET VERB ADV"]) == [[2, 1, 3]]
    assert alphabet.decode([2, 1, 3]) == f"DET VERB {OTHER}"


def test_the_texts_own_marks_get_no_second_label() -> None:
    assert train_alphabet([f"a{END}{OTHER}"], unit="characters", labels=9, end=True).symbols == (END, "a", OTHER)


def test_a_split_is_one_flat_array() -> None:
    split = label_split(DATASET, _alphabet(), longest=9, name="train")
    assert split.tokens.tolist() == [1, 2, 3, 1, 0, 1, 2, 0, 1, 1, 2, 4, 0, 3, 1, 0]
    assert split.offsets.tolist() == [0, 5, 8, 13, 16]
    assert split.label.tolist() == [0, 1, 0, 2]
    assert split.characters.tolist() == [4, 2, 4, 2]
    assert split.texts([1, 3]) == ["ab", "ca"]
    assert split.notes == ["train: 1 of 16 labels (6.25 %) are symbols without a label of their own."]


def test_the_first_so_many_labels_of_each() -> None:
    split = label_split(DATASET, _alphabet(), longest=9, sites=4)
    assert split.tokens.reshape(-1, 4).tolist() == [[1, 2, 3, 1], [1, 1, 2, 4]]
    assert split.index.tolist() == [0, 2]
    assert split.texts([0, 1]) == ["abca", f"aab{OTHER}"]
    assert "2 of 4 sentences have fewer than 4 labels and were left out" in split.notes[0]


@pytest.mark.parametrize(
    ("policy", "rows"), [("skip", [[1, 2, 0], [3, 1, 0]]), ("truncate", [[1, 2, 3], [1, 2, 0], [1, 1, 2], [3, 1, 0]])]
)
def test_long_sentences_are_left_out_or_cut(policy: str, rows: list[list[int]]) -> None:
    split = label_split(DATASET, _alphabet(), longest=3, too_long=policy)
    assert split.tokens.reshape(-1, 3).tolist() == rows
    assert "2 of 4 sentences were over 3 labels and were" in split.notes[0]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="unit must be one of characters, words, got 'bytes'"):
        train_alphabet(TEXTS, unit="bytes", labels=9, end=True)
    with pytest.raises(ValueError, match="labels must be >= 3"):
        _alphabet(labels=2)
    with pytest.raises(ValueError, match=r"sentence 1 has 5 labels, over data.max_tokens 3 \(so have 2, at most 5\)"):
        label_split(DATASET, _alphabet(), longest=3)
    with pytest.raises(ValueError, match="sentence 1 has one label .'a'., and a single site has no neighbour"):
        label_split(Dataset.from_dict({"text": ["a"]}), _alphabet(end=False), longest=3)
    with pytest.raises(ValueError, match="the split split is empty"):
        label_split(DATASET, _alphabet(), longest=9, sites=9)
