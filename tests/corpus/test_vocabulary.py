import pytest
import sentencepiece

from textlatent.corpus import vocabulary
from textlatent.corpus.vocabulary import is_lossy, lossy_fault, special_pieces, train_model


def pieces(model):
    model = sentencepiece.SentencePieceProcessor(model_proto=model)
    return [model.id_to_piece(i) for i in range(model.get_piece_size())]


def words(model):
    return {piece.removeprefix("\u2581") for piece in pieces(model)[4:]}


@pytest.mark.parametrize(("type", "size"), [("unigram", 500), ("bpe", 500), ("word", None)])
def test_the_same_sentences_give_the_same_bytes(sentences, type, size):
    one = train_model(sentences, type=type, vocabulary=size)
    assert one == train_model(iter(sentences), type=type, vocabulary=size)
    assert one != train_model(sentences[:-200], type=type, vocabulary=size)
    assert pieces(one)[:4] == ["<pad>", "<s>", "</s>", "<unk>"]
    assert len(pieces(one)) == (size or 4 + len({word for text in sentences for word in text.split()}))


def test_word_takes_the_most_frequent_words():
    texts = ["a a a b b c", "b d"]
    assert words(train_model(texts, type="word", vocabulary=2)) == {"a", "b"}
    assert words(train_model(texts, type="word", vocabulary=None)) == {"a", "b", "c", "d"}
    assert words(train_model(texts, type="word", vocabulary=10_000)) == {"a", "b", "c", "d"}


def test_word_takes_every_word_of_the_text():
    """The traps of sentencepiece's word type: meta pieces, long lines, rare characters, reserved ones, odd spaces."""
    texts = [
        "<unk> <unk> <s> </s> <pad> \u2047",
        "x" * 6000 + " \u4e00 long",
        "tab\tand\u2028line",
        "a\0b c\u2585d e\u2581f good",
    ]
    texts += ["common word"] * 5000
    expected = {word for text in texts for word in text.split()}
    assert words(train_model(texts, type="word", vocabulary=None)) == expected - {"a\0b", "c\u2585d", "e\u2581f"}


def test_special_pieces_are_not_in_the_text():
    assert list(special_pieces(["a b"], None).values()) == ["<pad>", "<s>", "</s>", "<unk>"]
    found = special_pieces(["the <unk> and<s>", "<|unk|>"], None)
    assert list(found.values()) == ["<pad>", "<|s|>", "</s>", "<|unk1|>"]
    assert special_pieces(["a <unk>"], "<oov>")["unk"] == "<oov>"


@pytest.mark.parametrize("unknown", ["<unk>", "two words", "", "<s>"])
def test_a_name_that_cannot_be_taken(unknown):
    with pytest.raises(
        ValueError, match=r"tokenizer\.unknown must be one word that the text does not hold.*<\|unk\|> is free"
    ):
        special_pieces(["a <unk> b"], unknown)


@pytest.mark.parametrize("type", ["unigram", "bpe"])
def test_too_large_a_vocabulary_says_the_largest(sentences, type):
    few = sentences[:30]
    with pytest.raises(
        ValueError, match=r"tokenizer\.vocabulary 8000 is too large for this text.*or give more text"
    ) as fault:
        train_model(few, type=type, vocabulary=8000)
    largest = int(str(fault.value).split("tokenizer.vocabulary: ")[1].split()[0])
    assert len(pieces(train_model(few, type=type, vocabulary=largest))) == largest  # the advice works
    with pytest.raises(ValueError, match=r"is too large"):
        train_model(few, type=type, vocabulary=largest + 1)


@pytest.mark.parametrize("type", ["unigram", "bpe"])
def test_too_small_a_vocabulary_says_the_smallest(sentences, type):
    with pytest.raises(
        ValueError, match=r"tokenizer\.vocabulary 100 is too small for this text: its characters"
    ) as fault:
        train_model(sentences[:300], type=type, vocabulary=100)
    smallest = int(str(fault.value).split("tokenizer.vocabulary: ")[1].split()[0])
    assert len(pieces(train_model(sentences[:300], type=type, vocabulary=smallest))) == smallest


FAULTS = [
    (["a"], {"type": "char", "vocabulary": 9}, r"tokenizer\.type must be one of unigram, bpe, word, got 'char'"),
    (["a"], {"type": "bpe", "vocabulary": None}, r"tokenizer\.vocabulary must be a number for type bpe, got None"),
    (["a"], {"type": "word", "vocabulary": 0}, r"tokenizer\.vocabulary must be >= 1, got 0"),
    ([], {"type": "word", "vocabulary": 9}, r"a tokenizer needs text to be trained on, got 0 sentences"),
    (["", " "], {"type": "bpe", "vocabulary": 9}, r"a tokenizer needs text to be trained on, got 2 sentences"),
    (
        ["a", "b\u2581"],
        {"type": "bpe", "vocabulary": 9},
        r"sentence 2 holds U\+2581 .*replace it.*tokenizer\.type: word",
    ),
    (["a", "b\ud800"], {"type": "unigram", "vocabulary": 9}, r"sentence 2 holds a lone surrogate \(U\+D800\)"),
    (["b\udfff"], {"type": "word", "vocabulary": 9}, r"sentence 1 holds a lone surrogate \(U\+DFFF\)"),
]


@pytest.mark.parametrize(("texts", "options", "match"), FAULTS)
def test_faults(texts, options, match):
    with pytest.raises(ValueError, match=match):
        train_model(texts, **options)


def test_other_faults_of_the_trainer_are_passed_on():
    with pytest.raises(ValueError, match=r"sentencepiece could not train a word tokenizer of 4 tokens: .*INTERNAL"):
        train_model(["\u2585 \u2585"], type="word", vocabulary=5)  # nothing is left of this text


def test_what_is_lossy():
    assert [is_lossy(text) for text in ("abc", "é\0\u2028<s>", "a\u2581", "\udc00")] == [False, False, True, True]
    assert "sentence 7 holds U+2581" in lossy_fault("sentence 7", "a\u2581")


def test_a_sample_of_very_many_sentences(monkeypatch, sentences):
    monkeypatch.setattr(vocabulary, "SENTENCE_LIMIT", 500)
    one = train_model(sentences, type="unigram", vocabulary=400)
    assert one == train_model(iter(sentences), type="unigram", vocabulary=400)
    assert one != train_model(sentences, type="unigram", vocabulary=400, seed=1)
    monkeypatch.setattr(vocabulary, "SENTENCE_LIMIT", 5000)
    assert one != train_model(sentences, type="unigram", vocabulary=400)
    monkeypatch.setattr(vocabulary, "SENTENCE_LIMIT", 5)  # every word counts, however many sentences there are
    assert len(words(train_model(sentences, type="word", vocabulary=None))) == len(set(" ".join(sentences).split()))
