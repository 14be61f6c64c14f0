"""Sentences -> flat token arrays -> the order of an epoch -> padded batches."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import torch
from datasets import Dataset
from jaxtyping import Int
from torch import Tensor

from textlatent.corpus.tokenizer import MARKER, SentenceTokenizer, decode_sentences, encode_sentences

CHUNK = 20_000
WINDOW_STEPS = 64  # sentences are sorted by length inside a shuffled window of about this many steps


class Batch(TypedDict):
    """A padded batch: one row per sentence, w_1..w_n EOS PAD...; BOS is the model's to add."""

    tokens: Int[Tensor, "B T"]
    lengths: Int[Tensor, " B"]
    index: Int[Tensor, " B"]
    words: Int[Tensor, " B"]
    characters: Int[Tensor, " B"]
    label: Int[Tensor, " B"]


@dataclass(frozen=True)
class EncodedSplit:
    """One split as token ids.

    Attributes:
        tokens: every sentence's tokens, EOS after each, one after the other (int32).
        offsets: [N+1] where each sentence begins in `tokens`.
        words: [N] whitespace words, EOS not counted.
        characters: [N] Unicode characters, EOS not counted.
        label: [N] class of the sentence, -1 for none.
        index: [N] the sentence's position in the split's dataset, its name for good.
        notes: what was cut, left out or unknown, one sentence each.
        dataset: the split's dataset.
        cut: texts of the truncated sentences, by index.
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
        indices = [int(i) for i in self.index[torch.as_tensor(positions, dtype=torch.long)]]
        return [self.cut.get(i, text) for i, text in zip(indices, self.dataset[indices]["text"], strict=True)]


def encode_split(
    dataset: Dataset,
    tokenizer: Any,
    *,
    max_tokens: int,
    too_long: str = "error",
    name: str = "split",
    path: str | None = None,
) -> EncodedSplit:
    """The split as token ids, EOS appended to each sentence.

    Args:
        dataset: columns text and, where there are, label (int) and row (line of the file).
        tokenizer: any transformers tokenizer with an EOS.
        max_tokens: the longest sentence taken, EOS counted.
        too_long: "error", "skip" (left out) or "truncate" (cut to max_tokens, EOS included); both are counted in notes.
        name: the split's name, for messages.
        path: the file it came from, for messages.
    Raises:
        ValueError: a sentence over max_tokens under "error", one the tokenizer cannot give back, nothing left.
    """
    if too_long not in ("error", "skip", "truncate"):
        raise ValueError(f"data.too_long must be error, skip or truncate, got {too_long!r}.")
    if max_tokens < 2:
        raise ValueError(f"data.max_tokens must be >= 2 (EOS counts as one), got {max_tokens}.")
    encoder = _Encoder(tokenizer, max_tokens, too_long, _Place(name, path, "row" in dataset.column_names))
    begin = 0
    for columns in dataset.iter(batch_size=CHUNK):
        encoder.add(columns, begin)
        begin += len(columns["text"])
    return encoder.finish(dataset)


@dataclass(frozen=True)
class _Place:
    """Where a sentence stands, for messages."""

    name: str
    path: str | None
    has_rows: bool

    def of(self, position: int, rows: Sequence[int] | None, local: int) -> str:
        where = f"{self.name} split, row {position + 1}"
        if self.path is not None and rows is not None:
            where += f" ({self.path}:{rows[local]})"
        elif self.path is not None:
            where += f" ({self.path})"
        return where


class _Encoder:
    """Gathers the chunks of one split."""

    def __init__(self, tokenizer: Any, max_tokens: int, too_long: str, place: _Place):
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.too_long = too_long
        self.place = place
        self.chunks: list[dict[str, np.ndarray]] = []
        self.cut: dict[int, str] = {}
        self.over = 0
        self.tokens_left_out = 0
        self.unknown = 0
        self.uneven = 0

    def add(self, columns: dict[str, list[Any]], begin: int) -> None:
        """One chunk of rows, the first of them at position `begin` of the dataset."""
        texts, rows = columns["text"], columns.get("row")
        self._check(texts, rows, begin)
        ids = encode_sentences(self.tokenizer, texts)
        keep = list(range(len(texts)))
        over = [i for i, row in enumerate(ids) if len(row) >= self.max_tokens]
        if over:
            texts, ids = list(texts), list(ids)
            keep = self._too_long(over, texts, ids, rows, begin)
        labels = columns.get("label") or [-1] * len(texts)
        words = [texts[i].split() for i in keep]
        if isinstance(self.tokenizer, SentenceTokenizer) and self.tokenizer.algorithm == "word":
            self.uneven += sum(" ".join(w) != texts[i] for w, i in zip(words, keep, strict=True))
        flat = np.fromiter((t for i in keep for t in ids[i]), np.int32)
        if (unk := self.tokenizer.unk_token_id) is not None and unk != self.tokenizer.eos_token_id:
            self.unknown += int((flat == unk).sum())
        self.chunks.append(
            {
                "tokens": flat,
                "lengths": np.array([len(ids[i]) for i in keep], np.int64),
                "words": np.array([len(w) for w in words], np.int64),
                "characters": np.array([len(texts[i]) for i in keep], np.int64),
                "label": np.array([labels[i] for i in keep], np.int64),
                "index": np.array(keep, np.int64) + begin,
            }
        )

    def _check(self, texts: list[str], rows: list[int] | None, begin: int) -> None:
        """Refuses what the tokenizer would not give back, and says where it stands."""
        if not isinstance(self.tokenizer, SentenceTokenizer) or self.tokenizer.algorithm == "word":
            return
        for i, text in enumerate(texts):
            if MARKER in text:
                raise ValueError(
                    f"{self.place.of(begin + i, rows, i)} holds U+2581 ({MARKER}), with which sentencepiece writes a space: "
                    f"{self.tokenizer.algorithm} would not give it back. Replace it in the text, or set tokenizer.type: word."
                )

    def _too_long(
        self, over: list[int], texts: list[str], ids: list[list[int]], rows: list[int] | None, begin: int
    ) -> list[int]:
        """The rows kept, after the policy for sentences over max_tokens."""
        if self.too_long == "error":
            i = over[0]
            more = f" ({len(over)} such in the rows read so far)" if len(over) > 1 else ""
            raise ValueError(
                f"{self.place.of(begin + i, rows, i)} has {len(ids[i]) + 1} tokens with EOS, more than data.max_tokens "
                f"{self.max_tokens}{more}; set data.max_tokens: {len(ids[i]) + 1} or more, or data.too_long: skip or truncate. "
                f"It begins {texts[i][:60]!r}."
            )
        self.over += len(over)
        if self.too_long == "skip":
            self.tokens_left_out += sum(len(ids[i]) + 1 for i in over)
            gone = set(over)
            return [i for i in range(len(texts)) if i not in gone]
        for i in over:
            self.tokens_left_out += len(ids[i]) + 1 - self.max_tokens
            ids[i] = ids[i][: self.max_tokens - 1]
        for i, text in zip(over, decode_sentences(self.tokenizer, [ids[i] for i in over]), strict=True):
            texts[i] = self.cut[begin + i] = text
        return list(range(len(texts)))

    def finish(self, dataset: Dataset) -> EncodedSplit:
        """The whole split."""
        joined = {key: np.concatenate([c[key] for c in self.chunks]) for key in self.chunks[0]} if self.chunks else {}
        if not joined or not len(joined["index"]):
            raise ValueError(
                f"the {self.place.name} split is empty: {self.over} of its {len(dataset)} sentences are over data.max_tokens "
                f"{self.max_tokens}; raise it."
            )
        count = len(joined["index"])
        offsets = np.concatenate([[0], np.cumsum(joined["lengths"] + 1)])
        tokens = np.full(offsets[-1], self.tokenizer.eos_token_id, np.int32)
        keep = np.ones(offsets[-1], bool)
        keep[offsets[1:] - 1] = False
        tokens[keep] = joined["tokens"]
        fields = {key: torch.from_numpy(joined[key]) for key in ("words", "characters", "label", "index")}
        return EncodedSplit(
            tokens=torch.from_numpy(tokens),
            offsets=torch.from_numpy(offsets),
            notes=self._notes(len(joined["tokens"]), count),
            dataset=dataset,
            cut=self.cut,
            **fields,
        )

    def _notes(self, tokens: int, count: int) -> list[str]:
        name, notes = self.place.name, []
        if self.over:
            done = "left out" if self.too_long == "skip" else f"cut to {self.max_tokens} tokens"
            notes.append(
                f"{name}: {self.over:,} of {count + (self.over if self.too_long == 'skip' else 0):,} sentences were longer than "
                f"data.max_tokens {self.max_tokens} and {done} ({self.tokens_left_out:,} tokens lost)."
            )
        if self.unknown:
            share = 100 * self.unknown / tokens
            notes.append(f"{name}: {self.unknown:,} of {tokens:,} tokens ({share:.2f} %) are unknown to the tokenizer.")
        if self.uneven:
            notes.append(
                f"{name}: {self.uneven:,} sentences have spaces other than single ones, which type word does not keep."
            )
        return notes


def plan_epoch(lengths: Int[Tensor, " N"], *, tokens_per_step: int, seed: int, epoch: int) -> list[Int[Tensor, " n"]]:
    """The optimiser steps of one epoch: positions in the split, every sentence once; a function of the arguments alone.

    All sentences are shuffled and cut into windows of about 64 steps; a window is sorted by length and cut into steps; the
    steps of all windows are shuffled.

    Args:
        lengths: tokens of each sentence, EOS counted.
        tokens_per_step: bound on sentences x longest sentence of a step (a single longer sentence is a step of its own).
        seed: the run's seed.
        epoch: number of the epoch from 0.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch])))
    size = np.asarray(lengths, dtype=np.int64)
    _check_budget(size, tokens_per_step, "tokens_per_step")
    order = rng.permutation(len(size))
    window = max(1, round(WINDOW_STEPS * tokens_per_step / size.mean()))
    steps = []
    for begin in range(0, len(order), window):
        inside = order[begin : begin + window]
        steps += _cut(inside[np.argsort(size[inside], kind="stable")], size, tokens_per_step)
    return [torch.from_numpy(steps[i]) for i in rng.permutation(len(steps))]


def mean_sentences_per_step(lengths: Int[Tensor, " N"], *, tokens_per_step: int, seed: int) -> float:
    """The mean number of sentences in a step of epoch 0: the constant by which every step's sums are divided."""
    return len(lengths) / len(plan_epoch(lengths, tokens_per_step=tokens_per_step, seed=seed, epoch=0))


def evaluation_batches(lengths: Int[Tensor, " N"], *, tokens_per_batch: int) -> list[Int[Tensor, " n"]]:
    """Positions sorted by length and cut so that sentences x longest sentence <= tokens_per_batch."""
    size = np.asarray(lengths, dtype=np.int64)
    _check_budget(size, tokens_per_batch, "tokens_per_batch")
    return [torch.from_numpy(b) for b in _cut(np.argsort(size, kind="stable"), size, tokens_per_batch)]


def share(step: Int[Tensor, " n"], *, parts: int, part: int) -> Int[Tensor, " m"]:
    """Every `parts`-th position from `part` on: one rank's or micro-batch's share of a step (may be empty)."""
    if not 0 <= part < parts:
        raise ValueError(f"part must be in 0..parts-1, got part {part} of {parts}.")
    return step[part::parts]


def collate(split: EncodedSplit, positions: Int[Tensor, " B"], *, pad_id: int = 0) -> Batch:
    """The sentences at these positions, padded to the longest of them."""
    begin, lengths = split.offsets[positions], split.lengths[positions]
    longest = int(lengths.max()) if len(positions) else 0
    column = torch.arange(longest)
    inside = column < lengths[:, None]  # [B, T]
    tokens = torch.full((len(positions), longest), pad_id, dtype=torch.long)
    tokens[inside] = split.tokens[(begin[:, None] + column)[inside]].long()
    return Batch(
        tokens=tokens,
        lengths=lengths,
        index=split.index[positions],
        words=split.words[positions],
        characters=split.characters[positions],
        label=split.label[positions],
    )


def _check_budget(size: np.ndarray, budget: int, name: str) -> None:
    if not len(size):
        raise ValueError("there are no sentences to make batches of.")
    if budget < 1:
        raise ValueError(f"{name} must be >= 1, got {budget}.")


def _cut(order: np.ndarray, size: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Positions, sorted by length, cut into runs of count x longest <= budget."""
    ascending = size[order].tolist()
    begin = 0
    while begin < len(order):

        def padded(end: int, begin: int = begin) -> int:
            return (end - begin) * ascending[end - 1]

        end = bisect.bisect_right(range(begin + 1, len(order) + 1), budget, key=padded) + begin
        end = max(end, begin + 1)
        yield order[begin:end].copy()
        begin = end
