import json
import subprocess
import sys
import warnings
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from textlatent.corpus.tokenizer import (
    SentenceTokenizer,
    decode_sentences,
    encode_sentences,
    first_lossy,
    load_tokenizer,
    tokenizer_sha256,
    train_tokenizer,
)

ODD = [
    "a\x00b",
    "line\u2028break",
    "<s> and </s> <unk> <pad>",
    " two  spaces ",
    "tab\tnew\nline",
    "\ufeffé\U0001f600\u4e00",
    "",
]
TYPES = [("unigram", 500), ("bpe", 500), ("word", None)]


@pytest.fixture(scope="module")
def trained(sentences):
    return {type: train_tokenizer(sentences, type=type, vocabulary=size) for type, size in TYPES}


@pytest.mark.parametrize("type", ["unigram", "bpe", "word"])
def test_ids_and_sentences(trained, sentences, type):
    tokenizer = trained[type]
    ids = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id)
    assert ids == (0, 1, 2, 3)
    rows = tokenizer.encode_sentences(sentences)
    assert min(map(min, rows)) > 3
    assert max(map(max, rows)) < len(tokenizer)
    assert tokenizer.decode_sentences(rows) == sentences
    assert rows == [tokenizer(text, add_special_tokens=False)["input_ids"] for text in sentences[:20]] + rows[20:]


@pytest.mark.parametrize("type", ["unigram", "bpe"])
@pytest.mark.parametrize("text", ODD)
def test_odd_text_survives(trained, type, text):
    tokenizer = trained[type]
    [row] = tokenizer.encode_sentences([text])
    assert not {0, 1, 2, 3} & set(row)
    assert tokenizer.decode_sentences([row]) == [text]
    assert tokenizer(text)["input_ids"] == [*row, 2]
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_unicode_text_survives_or_is_refused(trained, text):
    for type in ("unigram", "bpe"):
        tokenizer = trained[type]
        if "\u2581" in text:
            with pytest.raises(ValueError, match="holds U"):
                tokenizer.encode_sentences([text])
        else:
            assert tokenizer.decode_sentences(tokenizer.encode_sentences([text])) == [text]
    assert trained["word"].encode_sentences([text]) == [[3] * len(text.split())] or text.split()


def test_penn_treebank_count_rule():
    """Each whitespace word is one token, <unk> is a word like any other, and neighbours are never merged."""
    texts = ["the <unk> <unk> <unk> N years", "<unk> N <unk>", "the the"]
    tokenizer = train_tokenizer(texts, type="word", vocabulary=10_000)
    rows = tokenizer.encode_sentences(texts)
    assert [len(row) for row in rows] == [len(text.split()) for text in texts]
    assert sum(len(row) + 1 for row in rows) == 11 + 3  # the published count: words and one EOS a line
    assert len(tokenizer) == 4 + len({"the", "<unk>", "N", "years"})
    assert tokenizer.unk_token == "<|unk|>"
    assert 3 not in sum(rows, [])
    assert Counter(sum(rows, []))[tokenizer._words["<unk>"]] == 5
    assert tokenizer.decode_sentences(rows) == texts


def test_unknown_neighbours_stay_apart(trained):
    tokenizer = train_tokenizer(["a b"], type="word", unknown="<oov>")
    assert tokenizer.encode_sentences(["a x y b z"]) == [[4, 3, 3, 5, 3]]
    assert tokenizer("a x y b z")["input_ids"] == [4, 3, 3, 5, 3, 2]
    assert tokenizer.decode_sentences([[4, 3, 3, 5, 3]]) == ["a <oov> <oov> b <oov>"]


def test_special_tokens_in_text_are_words_of_type_word():
    tokenizer = train_tokenizer(["a <s> b </s> <pad>"], type="word")
    rows = tokenizer.encode_sentences(["<s> <pad> </s>"])
    assert not {0, 1, 2, 3} & set(rows[0])
    assert tokenizer.decode_sentences(rows) == ["<s> <pad> </s>"]
    assert tokenizer("<s> <pad> </s>")["input_ids"] == [*rows[0], 2]


def test_decoding_stops_at_eos_and_drops_bos_and_padding(trained):
    for tokenizer in trained.values():
        [row] = tokenizer.encode_sentences(["hello"])
        assert tokenizer.decode_sentences([[1, *row, 0, 2, *row, 0], [2], []]) == [
            tokenizer.decode_sentences([row])[0],
            "",
            "",
        ]


def test_no_sentences(trained):
    for tokenizer in trained.values():
        assert tokenizer.encode_sentences([]) == []
        assert tokenizer.decode_sentences([]) == []


@pytest.mark.parametrize("type", ["unigram", "bpe", "word"])
def test_saved_and_loaded(trained, sentences, tmp_path, type):
    tokenizer = trained[type]
    tokenizer.save_pretrained(tmp_path / "one")
    loaded = load_tokenizer(tmp_path / "one")
    assert isinstance(loaded, SentenceTokenizer)
    loaded.save_pretrained(tmp_path / "two")
    again = load_tokenizer(str(tmp_path / "two"))
    for other in (loaded, again):
        assert other.algorithm == type
        assert other.sha256 == tokenizer.sha256 == tokenizer_sha256(other)
        assert other.get_vocab() == tokenizer.get_vocab()
        assert other.encode_sentences(sentences) == tokenizer.encode_sentences(sentences)
        assert other("hello world", padding="max_length", max_length=30) == tokenizer(
            "hello world", padding="max_length", max_length=30
        )
    assert "/tmp" not in (tmp_path / "one" / "tokenizer_config.json").read_text()


def test_protobuf_is_not_needed(trained, tmp_path):
    trained["unigram"].save_pretrained(tmp_path)
    code = (
        "import sys; sys.modules['google.protobuf'] = None\n"
        "from textlatent.corpus.tokenizer import load_tokenizer, train_tokenizer\n"
        "t = load_tokenizer(sys.argv[1]); print(t.decode_sentences(t.encode_sentences(['hello <s>'])))\n"
        "print(train_tokenizer(['a b'], type='word').encode_sentences(['b a']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['hello <s>']", "[[5, 4]]"], done.stderr


def test_text_that_cannot_be_given_back(trained):
    with pytest.raises(
        ValueError, match=r"sentence 2 holds U\+2581 .*replace it in the text.*or set tokenizer\.type: word"
    ):
        trained["unigram"].encode_sentences(["fine", "not \u2581 fine"])
    with pytest.raises(ValueError, match=r"the text holds U\+2581"):
        trained["bpe"]("not \u2581 fine")
    with pytest.raises(ValueError, match=r"sentence 1 holds a lone surrogate \(U\+D800\)"):
        trained["bpe"].encode_sentences(["\ud800"])
    assert first_lossy(trained["bpe"], ["fine", "\u2581"]) == 1
    assert first_lossy(trained["bpe"], ["fine"]) is None
    assert trained["word"].encode_sentences(["\u2581"]) == [[3]]  # unknown, and counted as such


@pytest.fixture
def foreign(tmp_path):
    """Saves a Rust tokenizer with these special tokens, as one finds them on the hub."""

    def save(**special):
        tokens = ["[U]", *special.values(), "the", "cat", "sat"]
        rust = RustTokenizer(
            models.WordLevel({token: i for i, token in enumerate(dict.fromkeys(tokens))}, unk_token="[U]")
        )
        rust.pre_tokenizer = pre_tokenizers.Whitespace()
        PreTrainedTokenizerFast(tokenizer_object=rust, unk_token="[U]", **special).save_pretrained(tmp_path / "foreign")
        return str(tmp_path / "foreign")

    return save


def test_any_transformers_tokenizer(foreign):
    path = foreign(bos_token="[B]", eos_token="[E]", pad_token="[P]")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tokenizer = load_tokenizer(path)
    ids = encode_sentences(tokenizer, ["the cat sat", "sat", "dog"])
    assert tokenizer.convert_ids_to_tokens(ids[0]) == ["the", "cat", "sat"]
    assert ids[2] == [tokenizer.unk_token_id]
    rows = [[tokenizer.bos_token_id, *ids[0], tokenizer.eos_token_id, *ids[1], tokenizer.pad_token_id], ids[1], []]
    assert decode_sentences(tokenizer, rows) == ["the cat sat", "sat", ""]
    assert encode_sentences(tokenizer, []) == []
    assert len(tokenizer_sha256(tokenizer)) == 64


def test_missing_ends_are_set_and_said(foreign):
    with pytest.warns(UserWarning, match=r"lacks tokens .*BOS = \[E\] \(its EOS\), padding = \[E\] \(its EOS\)"):
        tokenizer = load_tokenizer(foreign(eos_token="[E]"))
    assert tokenizer.pad_token_id == tokenizer.bos_token_id == tokenizer.eos_token_id
    with pytest.warns(UserWarning, match=r"EOS = \[S\] \(its SEP\), BOS = \[C\] \(its CLS\), padding = \[S\]"):
        tokenizer = load_tokenizer(foreign(sep_token="[S]", cls_token="[C]"))
    assert tokenizer.eos_token == "[S]"


def test_a_tokenizer_that_cannot_end_a_sentence(foreign):
    with pytest.raises(ValueError, match=r"has neither EOS nor SEP"):
        load_tokenizer(foreign(pad_token="[P]"))


def test_tokenizers_that_cannot_be_loaded(trained, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"no tokenizer at .*missing: there is no such folder"):
        load_tokenizer(tmp_path / "missing")
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(ValueError, match=r"no tokenizer at .*missing: there is no such folder"):
        load_tokenizer(f"{tmp_path.name}/missing")  # looks like a name on the hub
    trained["word"].save_pretrained(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"no tokenizer could be loaded from .*whole folder"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    with pytest.raises(ValueError, match=r"no tokenizer could be loaded from"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"no tokenizer could be loaded from"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "NoSuchTokenizer"}))
    with pytest.raises(ValueError, match=r"no tokenizer could be loaded from"):
        load_tokenizer(tmp_path)
