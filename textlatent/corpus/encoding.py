"""A split's sentences -> one flat array of tokens, and an account of what was cut, left out or unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from jaxtyping import Int
from torch import Tensor

from textlatent.corpus.tokenizer import (
    SentenceTokenizer,
    Tokenizer,
    decode_sentences,
    encode_sentences,
    first_lossy,
    lossy_fault,
)

CHUNK = 20_000


@dataclass(frozen=True)
class EncodedSplit:
    """One split as token ids.

    Attributes:
        tokens: every sentence's tokens, EOS after each, one sentence after the other (int32).
        offsets: where each sentence begins in `tokens`, and the end of the last.
        words: whitespace words of each sentence, EOS not counted.
        characters: Unicode characters of each sentence, EOS not counted.
        label: class of each sentence, -1 for none.
        index: each sentence's position in the split's dataset, its name for good.
        notes: what was cut, left out or unknown, one sentence each.
        dataset: the split's dataset.
        cut: the texts of truncated sentences, by index.
    """

    tokens: Int[Tensor, " n"]
    offsets: Int[Tensor, " N+1"]
    words: Int[Tensor, " N"]
    characters: Int[Tensor, " N"]
    label: Int[Tensor, " N"]
    index: Int[Tensor, " N"]
    notes: list[str]
    dataset: Dataset
    cut: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of sentences."""
        return self.offsets.numel() - 1

    @property
    def lengths(self) -> Int[Tensor, " N"]:
        """Tokens of each sentence, EOS counted."""
        return self.offsets.diff()

    def texts(self, positions: Sequence[int] | Tensor) -> list[str]:
        """The sentences at these positions as they were encoded (a truncated one is its truncated text)."""
        indices = self.index[torch.as_tensor(positions, dtype=torch.long)].tolist()
        return [self.cut.get(i, text) for i, text in zip(indices, self.dataset[indices]["text"], strict=True)]


def encode_split(
    dataset: Dataset,
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
    too_long: str = "error",
    name: str = "split",
    path: str | None = None,
) -> EncodedSplit:
    """The split as token ids, EOS appended to each sentence.

    Args:
        dataset: columns text and, where there are, label (integer) and row (line of the file).
        tokenizer: any transformers tokenizer with an EOS.
        max_tokens: the longest sentence taken, EOS counted.
        too_long: error, skip (leave it out) or truncate (cut it to max_tokens, EOS included), both counted in notes.
        name: the split's name, for messages.
        path: the file it came from, for messages.

    Raises:
        ValueError: a sentence over max_tokens under "error", one the tokenizer cannot give back, nothing left.
    """
    if too_long not in ("error", "skip", "truncate"):
        raise ValueError(f"data.too_long must be error, skip or truncate, got {too_long!r}.")
    if max_tokens < 2:
        raise ValueError(f"data.max_tokens must be >= 2 (EOS is one of them), got {max_tokens}.")
    encoder = _Encoder(tokenizer, max_tokens, too_long, name, path)
    for begin in range(0, len(dataset), CHUNK):
        encoder.add(dataset[begin : begin + CHUNK], begin)
    return encoder.finish(dataset)


@dataclass
class _Encoder:
    """Gathers the chunks of one split and what happened to its sentences."""

    tokenizer: Tokenizer
    max_tokens: int
    too_long: str
    name: str
    path: str | None
    chunks: list[dict[str, np.ndarray]] = field(default_factory=list)
    cut: dict[int, str] = field(default_factory=dict)
    over: int = 0  # sentences over max_tokens
    lost: int = 0  # tokens of theirs that are gone
    unknown: int = 0  # tokens that are the unknown token
    respaced: int = 0  # sentences whose spaces type word does not keep

    def add(self, columns: dict[str, list[Any]], begin: int) -> None:
        """One chunk of rows, the first of them at position `begin` of the dataset."""
        texts, rows = list(columns["text"]), columns.get("row")
        if (lossy := first_lossy(self.tokenizer, texts)) is not None:
            raise ValueError(lossy_fault(self._where(begin + lossy, rows, lossy), texts[lossy]))
        ids = encode_sentences(self.tokenizer, texts)
        keep = self._fit(texts, ids, rows, begin)
        words = [texts[i].split() for i in keep]
        if isinstance(self.tokenizer, SentenceTokenizer) and self.tokenizer.algorithm == "word":
            self.respaced += sum(" ".join(parts) != texts[i] for parts, i in zip(words, keep, strict=True))
        flat = np.fromiter(chain.from_iterable(ids[i] for i in keep), np.int32)
        if self.tokenizer.unk_token_id not in (None, self.tokenizer.eos_token_id):
            self.unknown += int((flat == self.tokenizer.unk_token_id).sum())
        labels = columns.get("label")
        of_row = {
            "lengths": [len(ids[i]) for i in keep],
            "words": [len(parts) for parts in words],
            "characters": [len(texts[i]) for i in keep],
            "label": [-1 if labels is None else labels[i] for i in keep],
            "index": [begin + i for i in keep],
        }
        self.chunks.append({"tokens": flat} | {key: np.array(column, np.int64) for key, column in of_row.items()})

    def _where(self, position: int, rows: list[int] | None, local: int) -> str:
        where = f"{self.name} split, row {position + 1}"
        if self.path is None:
            return where
        return f"{where} ({self.path}{'' if rows is None else f':{rows[local]}'})"

    def _fit(self, texts: list[str], ids: list[list[int]], rows: list[int] | None, begin: int) -> list[int]:
        """The rows kept after the policy for sentences over max_tokens, which "truncate" cuts in place."""
        over = [i for i, row in enumerate(ids) if len(row) >= self.max_tokens]
        if over and self.too_long == "error":
            i, longest = over[0], max(len(ids[i]) for i in over) + 1
            raise ValueError(
                f"{self._where(begin + i, rows, i)} has {len(ids[i]) + 1} tokens with EOS, over data.max_tokens "
                f"{self.max_tokens} (so have {len(over)} of the {len(texts)} sentences around it, at most {longest}); "
                f"raise data.max_tokens, or set data.too_long: skip or truncate. It begins {texts[i][:60]!r}."
            )
        self.over += len(over)
        if self.too_long == "skip":
            self.lost += sum(len(ids[i]) + 1 for i in over)
            gone = set(over)
            return [i for i in range(len(texts)) if i not in gone]
        for i in over:
            self.lost += len(ids[i]) + 1 - self.max_tokens
            ids[i] = ids[i][: self.max_tokens - 1]
        for i, text in zip(over, decode_sentences(self.tokenizer, [ids[i] for i in over]), strict=True):
            texts[i] = self.cut[begin + i] = text
        return list(range(len(texts)))

    def finish(self, dataset: Dataset) -> EncodedSplit:
        """The whole split."""
        if not any(len(chunk["index"]) for chunk in self.chunks):
            raise ValueError(
                f"the {self.name} split is empty: {self.over} of its {len(dataset)} sentences are over data.max_tokens "
                f"{self.max_tokens}; raise it, or give other text."
            )
        joined = {key: np.concatenate([chunk[key] for chunk in self.chunks]) for key in self.chunks[0]}
        offsets = np.concatenate([[0], np.cumsum(joined.pop("lengths") + 1)])
        tokens = np.full(offsets[-1], self.tokenizer.eos_token_id, np.int32)
        inside = np.ones(offsets[-1], bool)
        inside[offsets[1:] - 1] = False
        tokens[inside] = joined.pop("tokens")
        return EncodedSplit(
            tokens=torch.from_numpy(tokens),
            offsets=torch.from_numpy(offsets),
            notes=self._notes(int(inside.sum()), len(dataset)),
            dataset=dataset,
            cut=self.cut,
            **{key: torch.from_numpy(column) for key, column in joined.items()},
        )

    def _notes(self, tokens: int, sentences: int) -> list[str]:
        notes = []
        if self.over:
            done = "left out" if self.too_long == "skip" else f"cut to {self.max_tokens} tokens"
            notes.append(
                f"{self.name}: {self.over:,} of {sentences:,} sentences were over data.max_tokens {self.max_tokens} "
                f"and were {done}; {self.lost:,} tokens are lost."
            )
        if self.unknown:
            share = f"{100 * self.unknown / tokens:.2f} %"
            notes.append(f"{self.name}: {self.unknown:,} of {tokens:,} tokens ({share}) are unknown to the tokenizer.")
        if self.respaced:
            notes.append(
                f"{self.name}: {self.respaced:,} sentences lose spaces that are not single (tokenizer.type word)."
            )
        return notes
