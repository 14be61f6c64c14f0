import pytest
import torch
from datasets import Dataset

from textlatent.corpus import encoding
from textlatent.corpus.encoding import encode_split
from textlatent.corpus.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def unigram(sentences):
    return train_tokenizer(sentences, vocabulary=500)


@pytest.fixture(scope="module")
def word(sentences):
    return train_tokenizer(sentences, type="word")


def table(*texts, **columns):
    return Dataset.from_dict({"text": list(texts), **columns})


def rows(split):
    return [split.tokens[a:b].tolist() for a, b in zip(split.offsets[:-1], split.offsets[1:], strict=True)]


@pytest.mark.parametrize("chunk", [7, 20_000])
def test_rows_are_the_sentences_tokens_and_eos(monkeypatch, unigram, sentences, chunk):
    monkeypatch.setattr(encoding, "CHUNK", chunk)
    texts = sentences[:100]
    split = encode_split(table(*texts), unigram, max_tokens=1000)
    expected = [[*row, 2] for row in unigram.encode_sentences(texts)]
    assert rows(split) == expected
    assert len(split) == 100
    assert split.lengths.tolist() == [len(row) for row in expected]
    assert split.words.tolist() == [len(text.split()) for text in texts]
    assert split.characters.tolist() == [len(text) for text in texts]
    assert split.label.tolist() == [-1] * 100
    assert split.index.tolist() == list(range(100))
    assert split.tokens.dtype == torch.int32
    assert split.texts([3, 99, 3]) == [texts[3], texts[99], texts[3]]
    assert split.texts(torch.tensor([5])) == [texts[5]]
    assert split.notes == []


def test_labels_come_along(unigram):
    assert encode_split(table("a", "b", label=[1, 0]), unigram, max_tokens=9).label.tolist() == [1, 0]


LONG = ["ba", "ba be bi bo bu", "be", "bu bu bu bu bu bu bu bu"]


def test_too_long_is_an_error_that_says_where(unigram):
    longest = max(len(row) for row in unigram.encode_sentences(LONG)) + 1
    match = (
        r"test split, row 2 \(corpus/t\.txt:12\) has \d+ tokens with EOS, over data\.max_tokens 6 \(so have 2 of the 4 "
        rf"sentences around it, at most {longest}\); raise data\.max_tokens, or set data\.too_long: skip or truncate\. "
        r"It begins 'ba be bi"
    )
    with pytest.raises(ValueError, match=match):
        encode_split(table(*LONG, row=[11, 12, 13, 14]), unigram, max_tokens=6, name="test", path="corpus/t.txt")
    with pytest.raises(ValueError, match=r"test split, row 2 \(t\.txt\) has"):
        encode_split(table(*LONG), unigram, max_tokens=6, name="test", path="t.txt")
    with pytest.raises(ValueError, match=r"test split, row 2 has"):
        encode_split(table(*LONG), unigram, max_tokens=6, name="test")
    assert len(encode_split(table(*LONG), unigram, max_tokens=longest)) == 4


def test_too_long_sentences_skipped_keep_the_others_names(monkeypatch, word):
    monkeypatch.setattr(encoding, "CHUNK", 2)
    split = encode_split(table(*LONG, label=[0, 1, 2, 3]), word, max_tokens=5, too_long="skip", name="train")
    assert split.index.tolist() == [0, 2]
    assert split.label.tolist() == [0, 2]
    assert split.texts([1]) == ["be"]
    assert (
        split.notes[0] == "train: 2 of 4 sentences were over data.max_tokens 5 and were left out; 15 tokens are lost."
    )


def test_too_long_sentences_truncated_are_counted_as_what_they_become(sentences):
    tokenizer = train_tokenizer(LONG, type="word")
    split = encode_split(table(*LONG), tokenizer, max_tokens=5, too_long="truncate", name="train")
    assert split.lengths.tolist() == [2, 5, 2, 5]
    assert split.tokens[split.offsets[1:] - 1].tolist() == [2] * 4
    assert split.texts(range(4)) == ["ba", "ba be bi bo", "be", "bu bu bu bu"]
    assert split.words.tolist() == [1, 4, 1, 4]
    assert split.characters.tolist() == [2, 11, 2, 11]
    assert split.notes == [
        "train: 2 of 4 sentences were over data.max_tokens 5 and were cut to 5 tokens; 5 tokens are lost."
    ]


def test_unknown_tokens_and_lost_spaces_are_counted():
    tokenizer = train_tokenizer(["a b"], type="word")
    split = encode_split(table("a x y", "b", "a  b"), tokenizer, max_tokens=9, name="test")
    assert split.notes == [
        "test: 2 of 6 tokens (33.33 %) are unknown to the tokenizer.",
        "test: 1 sentences lose spaces that are not single (tokenizer.type word).",
    ]
    assert rows(split) == [[4, 3, 3, 2], [5, 2], [4, 5, 2]]


def test_text_that_cannot_be_given_back_says_where(unigram):
    with pytest.raises(ValueError, match=r"valid split, row 2 \(v\.txt:8\) holds U\+2581 .*replace it"):
        encode_split(table("a", "b\u2581c", row=[7, 8]), unigram, max_tokens=99, name="valid", path="v.txt")


FAULTS = [
    ({"max_tokens": 1}, r"data\.max_tokens must be >= 2 .*got 1"),
    ({"max_tokens": 9, "too_long": "cut"}, r"data\.too_long must be error, skip or truncate, got 'cut'"),
    (
        {"max_tokens": 2, "too_long": "skip"},
        r"the test split is empty: 2 of its 2 sentences are over data\.max_tokens 2",
    ),
]


@pytest.mark.parametrize(("options", "match"), FAULTS)
def test_faults(word, options, match):
    with pytest.raises(ValueError, match=match):
        encode_split(table("a b", "c d e"), word, name="test", **options)


def test_an_empty_dataset(word):
    with pytest.raises(ValueError, match=r"the test split is empty: 0 of its 0 sentences"):
        encode_split(Dataset.from_dict({"text": []}), word, max_tokens=9, name="test")
