"""Sentences -> token ids and back: a sentencepiece model worn as a transformers tokenizer."""

import hashlib
import io
import json
import re
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

PAD, BOS, EOS, UNK = range(4)
MARKER = "\u2581"  # sentencepiece writes a space as this character, so text cannot hold it
TYPES = ("unigram", "bpe", "word")
SENTENCE_LIMIT = 1_000_000  # more sentences than this teach a vocabulary nothing; a seeded sample of them is used
_NOT_IN_A_WORD = re.compile("[\0\u2581\u2585]")  # sentencepiece drops or splits what holds one of these


class SentenceTokenizer(SentencePieceBackend):
    """A sentencepiece model as a transformers tokenizer: pad 0, bos 1, eos 2, unk 3.

    unigram and bpe are lossless (bytes stand in for rare characters); word takes a sentence as its whitespace words, each
    one token, so neighbouring unknown words stay as many tokens. Text is never read as a special token. Called as any
    transformers tokenizer it appends EOS; `encode_sentences` does not.
    """

    def __init__(self, vocab_file: str, *, algorithm: str = "unigram", **kwargs: Any):
        model = sentencepiece.SentencePieceProcessor(model_file=vocab_file)
        pieces = {f"{n}_token": model.id_to_piece(i) for i, n in enumerate(("pad", "bos", "eos", "unk"))}
        defaults = {"split_special_tokens": True, "special_tokens_pattern": "eos", "padding_side": "right"}
        super().__init__(vocab_file=vocab_file, algorithm=algorithm, **(defaults | pieces | kwargs))
        self.algorithm = algorithm
        self._words = _word_ids(model) if algorithm == "word" else {}

    @property
    def sha256(self) -> str:
        """The sha256 of the sentencepiece model file (hexadecimal)."""
        return hashlib.sha256(self.sp_model.serialized_model_proto()).hexdigest()

    def encode_sentences(self, sentences: Sequence[str]) -> list[list[int]]:
        """The token ids of each sentence, without BOS and EOS.

        Raises:
            ValueError: a sentence that unigram or bpe cannot give back (it holds U+2581).
        """
        if self.algorithm == "word":
            words = self._words
            return [[words.get(word, UNK) for word in sentence.split()] for sentence in sentences]
        check_lossless(sentences, algorithm=self.algorithm)
        return self.sp_model.encode(list(sentences))

    def decode_sentences(self, ids: Iterable[Sequence[int]]) -> list[str]:
        """The sentence of each row of ids: up to its first EOS, without BOS and padding."""
        rows = [_body(row, eos=EOS, drop={PAD, BOS}) for row in ids]
        if self.algorithm == "word":
            pieces = self.sp_model.id_to_piece
            return [" ".join(pieces(i).removeprefix(MARKER) for i in row) for row in rows]
        return self.sp_model.decode(rows)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        if self.algorithm == "word":
            return [MARKER + word for word in text.split()]
        return self.sp_model.encode(text, out_type=str)

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of the pieces."""
        if self.algorithm == "word":
            return " ".join(token.removeprefix(MARKER) for token in tokens)
        return self.sp_model.decode_pieces(tokens)


def train_tokenizer(
    sentences: Iterable[str],
    *,
    type: str = "unigram",
    vocabulary: int | None = 8000,
    unknown: str | None = None,
    seed: int = 0,
) -> SentenceTokenizer:
    """A tokenizer trained on the sentences; the same sentences give the same model, byte for byte.

    Args:
        sentences: the training split's.
        type: unigram, bpe or word.
        vocabulary: number of tokens, the four special ones included, of unigram and bpe; of word: that many of the most
            frequent words (None, or more than there are: all of them) beside the four special tokens.
        unknown: how the token for unknown words is written; by default <unk>, or another name where the text has <unk>.
        seed: draws the sample of sentences where there are more than a million.
    Raises:
        ValueError: no sentences, a vocabulary that does not fit the text, a character that cannot be kept.
    """
    texts = list(sentences)
    _check_training(texts, type=type, vocabulary=vocabulary)
    special = _special_pieces(texts, unknown)
    if type == "word":
        texts = [" ".join(w for w in text.split() if not _NOT_IN_A_WORD.search(w)) for text in texts]
        options = {"vocab_size": 2**30 if vocabulary is None else vocabulary + 4, "hard_vocab_limit": False}
        options |= {"character_coverage": 1.0}
    else:
        options = {"vocab_size": vocabulary, "hard_vocab_limit": True, "byte_fallback": True}
    model = _train(texts, special, {**options, "model_type": type}, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model"
        path.write_bytes(model)
        return SentenceTokenizer(str(path), algorithm=type)


def load_tokenizer(path: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer saved by `save_pretrained`, or any transformers tokenizer by local path or hub name.

    A tokenizer without pad, BOS or EOS is given them (a warning says which): EOS may be its SEP, BOS its CLS, the rest EOS.

    Raises:
        ValueError: nothing loadable there, or a tokenizer without any end token.
    """
    config = Path(path) / "tokenizer_config.json"
    if config.is_file() and json.loads(config.read_text("utf-8")).get("tokenizer_class") == SentenceTokenizer.__name__:
        return SentenceTokenizer.from_pretrained(str(path))
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(path))
    except (OSError, ValueError, ImportError) as fault:
        first = str(fault).strip().splitlines()[0]
        raise ValueError(
            f"no tokenizer could be loaded from {path}: {first} Give a folder written by save_pretrained, or a hub name."
        ) from fault
    return _with_specials(tokenizer, str(path))


def encode_sentences(tokenizer: PreTrainedTokenizerBase, sentences: Sequence[str]) -> list[list[int]]:
    """The token ids of each sentence, without special tokens, by any transformers tokenizer."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.encode_sentences(sentences)
    if not sentences:
        return []
    return tokenizer(list(sentences), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def decode_sentences(tokenizer: PreTrainedTokenizerBase, ids: Iterable[Sequence[int]]) -> list[str]:
    """The sentence of each row of ids, up to its first EOS and without special tokens, by any transformers tokenizer."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.decode_sentences(ids)
    drop = {tokenizer.pad_token_id, tokenizer.bos_token_id}
    rows = [_body(row, eos=tokenizer.eos_token_id, drop=drop) for row in ids]
    return [tokenizer.decode(row, skip_special_tokens=True) if row else "" for row in rows]


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """The sha256 of what the tokenizer does: its sentencepiece model, its Rust state, or else its vocabulary."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.sha256
    rust = getattr(tokenizer, "backend_tokenizer", None)
    state = rust.to_str() if rust is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256(state.encode("utf-8")).hexdigest()


def check_lossless(sentences: Sequence[str], *, algorithm: str) -> None:
    """Nothing, if every sentence can be given back.

    Raises:
        ValueError: one holds U+2581, sentencepiece's mark for a space.
    """
    for i, sentence in enumerate(sentences):
        if MARKER in sentence:
            raise ValueError(
                f"sentence {i + 1} holds U+2581 ({MARKER}), with which sentencepiece writes a space: {algorithm} would not "
                f"give it back. Replace that character in the text, or set tokenizer.type: word. The sentence: "
                f"{sentence[:60]!r}"
            )


def _body(row: Sequence[int], *, eos: int | None, drop: set[int | None]) -> list[int]:
    ids = [int(i) for i in row]
    end = ids.index(eos) if eos in ids else len(ids)
    return [i for i in ids[:end] if i not in drop]


def _word_ids(model: sentencepiece.SentencePieceProcessor) -> dict[str, int]:
    return {model.id_to_piece(i).removeprefix(MARKER): i for i in range(UNK + 1, model.get_piece_size())}


def _check_training(texts: list[str], *, type: str, vocabulary: int | None) -> None:
    if type not in TYPES:
        raise ValueError(f"tokenizer.type must be one of {', '.join(TYPES)}, got {type!r}.")
    if not any(text.strip() for text in texts):
        raise ValueError(f"a tokenizer needs text to train on, got {len(texts)} sentences without any.")
    if vocabulary is None and type != "word":
        raise ValueError(f"tokenizer.vocabulary must be a number of tokens for type {type}, got None; 8000 is usual.")
    if vocabulary is not None and vocabulary < 1:
        raise ValueError(f"tokenizer.vocabulary must be >= 1, got {vocabulary}.")
    for i, text in enumerate(texts):
        if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError(f"sentence {i + 1} holds a lone surrogate, half of a character; remove it: {text[:60]!a}")
    if type != "word":
        check_lossless(texts, algorithm=type)


def _special_pieces(texts: list[str], unknown: str | None) -> dict[str, str]:
    """How the special tokens are written: in a way that the text does not use."""

    def free(piece: str) -> bool:
        return not any(piece in text for text in texts)

    if unknown is not None and (not unknown or not free(unknown)):
        raise ValueError(
            f"tokenizer.unknown must be a name that the text does not hold, got {unknown!r}; choose another."
        )
    names = {"pad": "pad", "bos": "s", "eos": "/s", "unk": "unk"}
    special = {}
    for name, word in names.items():
        candidates = [f"<{word}>", f"<|{word}|>", *(f"<|{word}{n}|>" for n in range(1, 1000))]
        special[f"{name}_piece"] = unknown if name == "unk" and unknown else next(c for c in candidates if free(c))
    return special


def _train(texts: list[str], special: dict[str, str], options: dict[str, Any], seed: int) -> bytes:
    """The bytes of a sentencepiece model."""
    out = io.BytesIO()
    sentencepiece.set_random_generator_seed(seed)
    longest = max(len(text.encode("utf-8")) for text in texts)
    if len(texts) > SENTENCE_LIMIT:
        options = options | {"input_sentence_size": SENTENCE_LIMIT, "shuffle_input_sentence": True}
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
            max_sentence_length=longest + 1,  # its default drops longer sentences without a word
            num_threads=4,  # part of the result's definition, not the machine's: sums are taken per thread
            minloglevel=2,
            **special,
            **options,
        )
    except RuntimeError as fault:
        raise ValueError(_training_fault(str(fault), options)) from fault
    return out.getvalue()


def _training_fault(message: str, options: dict[str, Any]) -> str:
    """What sentencepiece's own message means for the recipe."""
    asked = options["vocab_size"]
    if found := re.search(r"Please set it to a value <= (\d+)", message):
        return (
            f"tokenizer.vocabulary {asked} is too large for this text: {options['model_type']} finds at most {found[1]} "
            f"tokens in it; set tokenizer.vocabulary: {found[1]} or less, or give more text."
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"tokenizer.vocabulary {asked} is too small for this text: its characters, 256 bytes and the special tokens "
            f"alone are {found[1]}; set tokenizer.vocabulary: {int(found[1]) + 1} or more."
        )
    return f"sentencepiece could not train a {options['model_type']} tokenizer of {asked} tokens: {message}"


def _with_specials(tokenizer: PreTrainedTokenizerBase, path: str) -> PreTrainedTokenizerBase:
    """The tokenizer with pad, BOS and EOS."""
    if tokenizer.eos_token is None and tokenizer.sep_token is None:
        raise ValueError(
            f"the tokenizer of {path} has no EOS and no SEP token, so no sentence could end; choose another."
        )
    given = []
    if tokenizer.eos_token is None:
        tokenizer.eos_token = tokenizer.sep_token
        given.append(f"EOS = {tokenizer.eos_token} (its SEP)")
    if tokenizer.bos_token is None:
        tokenizer.bos_token = tokenizer.cls_token or tokenizer.eos_token
        given.append(f"BOS = {tokenizer.bos_token} (its {'CLS' if tokenizer.cls_token else 'EOS'})")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        given.append(f"padding = {tokenizer.eos_token} (its EOS; padding is never scored)")
    if given:
        warnings.warn(f"the tokenizer of {path} lacks special tokens; set: {', '.join(given)}.", stacklevel=3)
    return tokenizer
