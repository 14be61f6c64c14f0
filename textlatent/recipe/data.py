"""The sections that say which text is read, and how it becomes tokens."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.section import Conflict, Section


class Data(Section):
    """Which text to read."""

    path: str | None = None
    """A folder with train, valid and test files, one file (split by hash of the sentence), or a hub name."""
    train: str | None = None
    """The training file, where the three are given one by one."""
    valid: str | None = None
    """The validation file."""
    test: str | None = None
    """The test file."""
    format: Literal["auto", "text", "jsonl", "csv", "tsv", "parquet", "hub"] = "auto"
    """What the files are; auto reads it from their names."""
    config: str | None = None
    """The configuration's name, for a hub corpus that has several."""
    column: str | int = "text"
    """The column that holds the sentence; a position, from 0, where a csv or tsv file names none."""
    label: str | int | None = None
    """The column to keep as a label; null for none."""
    valid_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the sentences held out for validation, where one file is given."""
    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the sentences held out for the test, where one file is given."""
    split_seed: int = 0
    """Changes which sentences are held out, and which `sentences` are taken."""
    sentences: int | None = Field(None, ge=1)
    """How many training sentences to learn from, the tokenizer seeing all of them; null takes all."""
    on_bad_row: Literal["error", "skip"] = "error"
    """A row that cannot be read stops the run, or is left out and counted."""
    max_tokens: int = Field(64, ge=2)
    """The longest sentence, in tokens with the end token."""
    too_long: Literal["error", "skip", "truncate"] = "error"
    """A longer sentence stops the run, is left out and counted, or is cut and counted."""

    def conflicts(self) -> Iterator[Conflict]:
        """A corpus has one origin."""
        if self.path is None and self.train is None:
            yield "path", "must name a folder, a file or a hub corpus; or give data.train, data.valid and data.test."
        if self.path is not None and (given := [k for k in ("train", "valid", "test") if getattr(self, k) is not None]):
            yield "path", f"cannot stand beside data.{given[0]}; keep the one you mean."
        if self.valid_fraction + self.test_fraction >= 1:
            yield (
                "valid_fraction",
                (
                    f"plus data.test_fraction must be < 1, got {self.valid_fraction} + {self.test_fraction}; "
                    "leave sentences to train on."
                ),
            )


class Tokenizer(Section):
    """How text becomes tokens."""

    type: Literal["unigram", "bpe", "word"] = "unigram"
    """The pieces: unigram and bpe lose no character, word keeps whitespace words (the Penn Treebank's way)."""
    vocabulary: int | None = Field(8000, ge=5)
    """How many pieces to train; null for every word of the training split (word only)."""
    unknown: str | None = None
    """How the token for unknown words is written; null is <unk>, or another name where the text has that word."""
    path: str | None = None
    """A ready tokenizer's folder or hub name; then none is trained."""

    def conflicts(self) -> Iterator[Conflict]:
        """Only whitespace words can be counted out."""
        if self.vocabulary is None and self.type != "word" and self.path is None:
            yield "vocabulary", f"must be a number for type {self.type}; null (every word) goes with type: word."
