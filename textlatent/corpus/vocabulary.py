"""Sentences -> a sentencepiece model (unigram, bpe or word), trained the same way every time."""

import io
import re
from collections.abc import Iterable, Sized
from itertools import compress
from typing import Any

import numpy as np
import sentencepiece

PAD, BOS, EOS, UNK = range(4)
MARKER = "\u2581"  # how sentencepiece writes a space: text that holds it cannot be given back
TYPES = ("unigram", "bpe", "word")
SENTENCE_LIMIT = 200_000  # of more sentences than this, unigram (20 s then) and bpe are trained on a seeded sample
LOSSY = re.compile(f"[{MARKER}\ud800-\udfff]")
_RESERVED = re.compile(f"[\0{MARKER}\u2585]")  # the trainer drops a sentence, or splits a word, that holds one of these


def train_model(
    sentences: Iterable[str], *, type: str, vocabulary: int | None, unknown: str | None = None, seed: int = 0
) -> bytes:
    """A sentencepiece model file; the same sentences give the same bytes.

    Args:
        sentences: the training split's.
        type: unigram, bpe or word.
        vocabulary: as in `train_tokenizer`.
        unknown: as in `train_tokenizer`.
        seed: draws the sample of sentences.

    Raises:
        ValueError: no text, a vocabulary that does not fit it, a character or a name that cannot be taken.
    """
    if type not in TYPES:
        raise ValueError(f"tokenizer.type must be one of {', '.join(TYPES)}, got {type!r}.")
    if vocabulary is None and type != "word":
        raise ValueError(f"tokenizer.vocabulary must be a number for type {type}, got None; 8000 is usual.")
    if vocabulary is not None and vocabulary < 1:
        raise ValueError(f"tokenizer.vocabulary must be >= 1, got {vocabulary}.")
    texts = list(sentences) if type == "word" else _sample(sentences, seed)
    if not any(text.strip() for text in texts):
        raise ValueError(f"a tokenizer needs text to be trained on, got {len(texts)} sentences without any.")
    for i, text in enumerate(texts):
        if is_lossy(text) and (type != "word" or MARKER not in text):
            raise ValueError(lossy_fault(f"sentence {i + 1}", text))
    options: dict[str, Any] = {f"{name}_piece": piece for name, piece in special_pieces(texts, unknown).items()}
    if type == "word":
        texts = [" ".join(word for word in text.split() if not _RESERVED.search(word)) for text in texts]
        words = len({word for text in texts for word in text.split()})
        size = 4 + (words if vocabulary is None else min(vocabulary, words))
        options |= {"vocab_size": size, "character_coverage": 1.0}
    else:
        options |= {"vocab_size": vocabulary, "byte_fallback": True}
        texts = [_RESERVED.sub(" ", text) for text in texts]  # such characters are written as bytes
    return _train(texts, {"model_type": type, **options})


def is_lossy(text: str) -> bool:
    """Whether sentencepiece could not give this text back."""
    return not text.isascii() and LOSSY.search(text) is not None


def lossy_fault(where: str, text: str) -> str:
    """What is wrong with a text that sentencepiece could not give back, and what to do."""
    found = LOSSY.search(text)
    if found is not None and found[0] != MARKER:
        code = f"U+{ord(found[0]):04X}"
        return f"{where} holds a lone surrogate ({code}), which is half a character; remove it: {text[:60]!a}."
    return (
        f"{where} holds U+2581 ({MARKER}), with which sentencepiece writes a space, so it would come back as one; "
        f"replace it in the text (by _, say), or set tokenizer.type: word. The text begins {text[:60]!r}."
    )


def special_pieces(texts: list[str], unknown: str | None) -> dict[str, str]:
    """How pad, bos, eos and unk are written: <pad> <s> </s> <unk>, or <|...|> where the text holds one of these.

    Args:
        texts: the text.
        unknown: a name for the last; None: as above.

    Raises:
        ValueError: the name asked for is in the text, is taken or is no single word.
    """

    def free(piece: str) -> bool:
        return not any(piece in text for text in texts)

    special = {}
    for name, word in (("pad", "pad"), ("bos", "s"), ("eos", "/s"), ("unk", "unk")):
        candidates = [f"<{word}>", f"<|{word}|>", *(f"<|{word}{n}|>" for n in range(1, 10_000))]
        special[name] = next(piece for piece in candidates if free(piece))
    if unknown is None:
        return special
    if unknown.split() != [unknown] or not free(unknown) or unknown in [special[k] for k in ("pad", "bos", "eos")]:
        raise ValueError(
            f"tokenizer.unknown must be one word that the text does not hold, got {unknown!r}; choose another, or "
            f"leave it out: {special['unk']} is free."
        )
    return special | {"unk": unknown}


def _sample(sentences: Iterable[str], seed: int) -> list[str]:
    """All sentences, or SENTENCE_LIMIT of them in their order."""
    pool = sentences if isinstance(sentences, Sized) else list(sentences)
    if len(pool) <= SENTENCE_LIMIT:
        return list(pool)
    keys = np.random.Philox(np.random.SeedSequence(seed)).random_raw(len(pool))
    chosen = np.zeros(len(pool), bool)
    chosen[np.argpartition(keys, SENTENCE_LIMIT)[:SENTENCE_LIMIT]] = True
    return list(compress(pool, chosen))


def _train(texts: list[str], options: dict[str, Any]) -> bytes:
    """The bytes of a sentencepiece model."""
    out = io.BytesIO()
    longest = max(len(text.encode("utf-8")) for text in texts)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_writer=out,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNK,
            max_sentence_length=max(
                longest + 1, 10
            ),  # longer sentences would be dropped without a word; 10 is its least
            num_threads=4,  # never the machine's own number: sums are taken thread by thread
            minloglevel=2,
            **options,
        )
    except RuntimeError as fault:
        raise ValueError(_fault(str(fault), options)) from fault
    return out.getvalue()


def _fault(message: str, options: dict[str, Any]) -> str:
    """What sentencepiece's own message means for the recipe."""
    asked, type = options["vocab_size"], options["model_type"]
    if found := re.search(r"Please set it to a value <= (\d+)", message):
        return (
            f"tokenizer.vocabulary {asked} is too large for this text, in which {type} finds at most {found[1]} "
            f"tokens; set tokenizer.vocabulary: {found[1]} or less, or give more text."
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"tokenizer.vocabulary {asked} is too small for this text: its characters, the 256 bytes and the special "
            f"tokens alone are {found[1]}; set tokenizer.vocabulary: {found[1]} or more."
        )
    return f"sentencepiece could not train a {type} tokenizer of {asked} tokens: {message}"
