"""Sentences -> token ids and back: a sentencepiece model worn as a transformers tokenizer."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sentencepiece import SentencePieceProcessor
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from textlatent.corpus.vocabulary import BOS, EOS, MARKER, PAD, UNK, is_lossy, lossy_fault, train_model

Tokenizer: TypeAlias = PreTrainedTokenizerBase


class SentenceTokenizer(SentencePieceBackend):
    """A sentencepiece model as a transformers tokenizer: pad 0, bos 1, eos 2, unk 3.

    unigram and bpe are lossless (bytes stand in for rare characters). word takes a sentence as its whitespace words,
    each one token, so that neighbouring unknown words stay as many tokens. Text is never read as a special token.
    Called like any transformers tokenizer it appends EOS; `encode_sentences` does not.

    Attributes:
        algorithm: unigram, bpe or word.
    """

    def __init__(self, vocab_file: str, *, algorithm: str = "unigram", **kwargs: Any):
        model = SentencePieceProcessor(model_file=vocab_file)
        pieces = {
            f"{n}_token": model.id_to_piece(i) for n, i in (("pad", PAD), ("bos", BOS), ("eos", EOS), ("unk", UNK))
        }
        defaults = {"split_special_tokens": True, "special_tokens_pattern": "eos", "padding_side": "right"}
        super().__init__(vocab_file=vocab_file, algorithm=algorithm, **(defaults | pieces | kwargs))
        self.algorithm = algorithm
        # sentencepiece's own word type would make one unknown token of neighbouring unknown words
        words = range(UNK + 1, model.get_piece_size()) if algorithm == "word" else ()
        self._words = {model.id_to_piece(i).removeprefix(MARKER): i for i in words}

    @property
    def sha256(self) -> str:
        """The sha256 of the sentencepiece model file (hexadecimal)."""
        return hashlib.sha256(self.sp_model.serialized_model_proto()).hexdigest()

    def encode_sentences(self, sentences: Sequence[str]) -> list[list[int]]:
        """The token ids of each sentence, without BOS and EOS.

        Raises:
            ValueError: a sentence that unigram or bpe could not give back.
        """
        if self.algorithm == "word":
            words = self._words
            return [[words.get(word, UNK) for word in sentence.split()] for sentence in sentences]
        if (lossy := first_lossy(self, sentences)) is not None:
            raise ValueError(lossy_fault(f"sentence {lossy + 1}", sentences[lossy]))
        return self.sp_model.encode(list(sentences))

    def decode_sentences(self, ids: Iterable[Sequence[int]]) -> list[str]:
        """The sentence of each row of ids: up to its first EOS, without BOS and padding."""
        rows = [_body(row, eos=EOS, drop={PAD, BOS}) for row in ids]
        if self.algorithm != "word":
            return [self.sp_model.decode(row) for row in rows]
        return [self.convert_tokens_to_string(self.convert_ids_to_tokens(row)) for row in rows]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """The text of these pieces."""
        if self.algorithm == "word":
            return " ".join(token.removeprefix(MARKER) for token in tokens)
        return self.sp_model.decode_pieces(tokens)

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        if self.algorithm == "word":
            return [MARKER + word for word in text.split()]
        if is_lossy(text):
            raise ValueError(lossy_fault("the text", text))
        return self.sp_model.encode(text, out_type=str)


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
        vocabulary: of unigram and bpe, the number of tokens, four special ones and 256 bytes included; of word, how
            many of the most frequent words are tokens beside the special ones (None, or more than there are: all).
        unknown: how the unknown token is written; None: <unk>, or another name where the text holds <unk>.
        seed: draws the sample that unigram and bpe take of more than 200,000 sentences.

    Raises:
        ValueError: no text, a vocabulary that does not fit it, a character or a name that cannot be taken.
    """
    model = train_model(sentences, type=type, vocabulary=vocabulary, unknown=unknown, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.model"
        path.write_bytes(model)
        return SentenceTokenizer(str(path), algorithm=type)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """A tokenizer saved by `save_pretrained`, or any transformers tokenizer by local path or hub name.

    One without pad, BOS or EOS is given them, which a warning says: EOS from SEP, BOS from CLS or EOS, pad from EOS.

    Raises:
        ValueError: no tokenizer can be loaded from there, or it has no token to end a sentence with.
    """
    folder = Path(path)
    on_disk = folder.is_absolute() or str(path).count("/") > 1 or (folder.parent != Path() and folder.parent.is_dir())
    if on_disk and not folder.is_dir():
        raise ValueError(f"no tokenizer at {path}: there is no such folder; give one, or a name on the hub.")
    try:
        if _is_ours(folder / "tokenizer_config.json"):
            return SentenceTokenizer.from_pretrained(str(path))
        tokenizer = AutoTokenizer.from_pretrained(str(path))
    except (OSError, ValueError, ImportError, RuntimeError, TypeError, LookupError) as fault:
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0].rstrip(".:")
        raise ValueError(
            f"no tokenizer could be loaded from {path} ({first}); give a whole folder written by save_pretrained, or a "
            f"name on the hub."
        ) from fault
    return _with_ends(tokenizer, str(path))


def encode_sentences(tokenizer: Tokenizer, sentences: Sequence[str]) -> list[list[int]]:
    """The token ids of each sentence, without special tokens, by any transformers tokenizer."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.encode_sentences(sentences)
    if not sentences:
        return []
    return tokenizer(list(sentences), add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]


def decode_sentences(tokenizer: Tokenizer, ids: Iterable[Sequence[int]]) -> list[str]:
    """The sentence of each row of ids, up to its EOS and without special tokens, by any transformers tokenizer."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.decode_sentences(ids)
    drop = {tokenizer.pad_token_id, tokenizer.bos_token_id}
    rows = [_body(row, eos=tokenizer.eos_token_id, drop=drop) for row in ids]
    return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows]


def first_lossy(tokenizer: Tokenizer, sentences: Sequence[str]) -> int | None:
    """The position of the first sentence that a sentencepiece tokenizer could not give back (it holds U+2581)."""
    if not isinstance(tokenizer, SentenceTokenizer) or tokenizer.algorithm == "word":
        return None
    return next((i for i, sentence in enumerate(sentences) if is_lossy(sentence)), None)


def tokenizer_sha256(tokenizer: Tokenizer) -> str:
    """The sha256 (hexadecimal) of what decides the ids: sentencepiece model, Rust state, or else vocabulary."""
    if isinstance(tokenizer, SentenceTokenizer):
        return tokenizer.sha256
    rust = getattr(tokenizer, "backend_tokenizer", None)
    state = rust.to_str() if rust is not None else json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return hashlib.sha256(state.encode("utf-8")).hexdigest()


def _body(row: Sequence[int], *, eos: int | None, drop: set[int | None]) -> list[int]:
    """The ids before the first EOS, without those to drop; a tensor's row will do."""
    ids = [int(i) for i in (row.tolist() if hasattr(row, "tolist") else row)]
    end = ids.index(eos) if eos in ids else len(ids)
    return [i for i in ids[:end] if i not in drop]


def _is_ours(config: Path) -> bool:
    return (
        config.is_file() and json.loads(config.read_text("utf-8")).get("tokenizer_class") == SentenceTokenizer.__name__
    )


def _with_ends(tokenizer: Tokenizer, path: str) -> Tokenizer:
    """The tokenizer with EOS, BOS and pad."""
    given = []
    if tokenizer.eos_token is None:
        if tokenizer.sep_token is None:
            raise ValueError(
                f"the tokenizer of {path} has neither EOS nor SEP, so no sentence could end; take another."
            )
        tokenizer.eos_token = tokenizer.sep_token
        given.append(f"EOS = {tokenizer.eos_token} (its SEP)")
    if tokenizer.bos_token is None:
        source = "CLS" if tokenizer.cls_token is not None else "EOS"
        tokenizer.bos_token = tokenizer.cls_token or tokenizer.eos_token
        given.append(f"BOS = {tokenizer.bos_token} (its {source})")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        given.append(f"padding = {tokenizer.pad_token} (its EOS)")
    if given:
        warnings.warn(f"the tokenizer of {path} lacks tokens that a sentence needs: {', '.join(given)}.", stacklevel=3)
    return tokenizer
