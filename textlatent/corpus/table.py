"""Rows <-> `datasets.Dataset`: what a row must be, parquet, and large corpora on disk instead of in memory."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Features, IterableDataset, Value, concatenate_datasets, load_dataset
from datasets import load_from_disk as map_from_disk
from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from textlatent.corpus.lines import Tally, nearest

CHUNK = 100_000  # rows
IN_MEMORY = 2**29  # characters of one file held in memory; what comes after is memory-mapped from disk

Row = tuple[int, str, str]  # line (or row) number from 1, text, label ("" without one)


@contextmanager
def quiet() -> Iterator[None]:
    """A block in which `datasets` draws no progress bars."""
    shown = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            enable_progress_bar()


def require_columns(names: list[str], where: str, column: str, label: str | None, *, hint: str = "") -> None:
    """Nothing, if the columns are there.

    Raises:
        ValueError: one is missing; the message holds the nearest name, all names and the hint.
    """
    for wanted, key in (("column", column), ("label", label)):
        if key is not None and key not in names:
            have = ", ".join(names)
            raise ValueError(
                f"{where}: no column {key!r} (data.{wanted}){nearest(key, names)}; there are: {have}{hint}."
            )


def row_of(record: dict[str, Any], number: int, tally: Tally, column: str, label: str | None) -> Row | None:
    """One record as a row, its text stripped of outer spaces; None where it is empty or bad, which the tally notes."""
    text, mark = record[column], "" if label is None else record[label]
    if not isinstance(text, str):
        tally.bad_row(number, f"column {column!r} must hold a string, got {_kind(text)}")
        return None
    text = text.strip()
    if not text:
        tally.empty += 1
        return None
    if not text.isascii() and (fault := _lone_surrogate(text)):
        tally.bad_row(number, fault)
        return None
    if mark is None or (label is not None and mark == ""):
        tally.bad_row(number, f"the label is missing (data.label: {label})")
        return None
    if not isinstance(mark, str | int) or isinstance(mark, bool):
        tally.bad_row(number, f"the label {label!r} must be a string or an integer, got {_kind(mark)}")
        return None
    return number, text, str(mark)


def _kind(value: Any) -> str:
    """The type of a value in JSON's words, and its beginning."""
    kinds = {bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    return "null" if value is None else f"the {kinds.get(type(value), type(value).__name__)} {str(value)[:40]}"


def _lone_surrogate(text: str) -> str | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as fault:
        code = ord(text[fault.start])
        return f"character {fault.start + 1} is a lone surrogate (\\u{code:04x}): half a character, which is no text"
    return None


def to_dataset(rows: Iterator[Row], tally: Tally, *, labelled: bool) -> Dataset:
    """The rows as a dataset with columns text, row and, if asked for, label; in memory, a large remainder on disk.

    What is on disk is memory-mapped from a temporary folder that is already removed (its bytes live as long as the
    dataset), so nothing is left behind.

    Raises:
        ValueError: there is no row.
    """
    columns = {"row": Value("int64"), "text": Value("string"), "label": Value("string")}
    chunks: list[Dataset] = []
    held = 0
    with tempfile.TemporaryDirectory(prefix="textlatent-") as folder, quiet():
        while some := list(itertools.islice(rows, CHUNK)):
            values = dict(zip(columns, map(list, zip(*some, strict=True)), strict=True))
            features = Features({name: columns[name] for name in ("text", "row", *(("label",) if labelled else ()))})
            chunk = Dataset.from_dict({name: values[name] for name in features}, features=features)
            held += sum(len(text) for _, text, _ in some)
            if held > IN_MEMORY:
                place = str(Path(folder) / str(len(chunks)))
                chunk.save_to_disk(place)
                chunk = map_from_disk(place)
            chunks.append(chunk)
        if not chunks:
            why = " ".join(("", *tally.notes()))
            raise ValueError(f"{tally.name}: it holds no sentence; give a file with at least one.{why}")
        return concatenate_datasets(chunks)


def read_parquet(path: Path) -> IterableDataset:
    """The rows of a parquet file, read as they are asked for.

    Raises:
        ValueError: it is no parquet file.
    """
    try:
        return load_dataset("parquet", data_files=str(path), split="train", streaming=True)
    except Exception as fault:  # the readers below `datasets` share no class of error
        raise ValueError(
            f"{path}: cannot be read as parquet ({first_line(fault)}); check the file or data.format."
        ) from fault


def first_line(fault: Exception) -> str:
    """The first line of an error's message, or its name."""
    return (str(fault).strip() or type(fault).__name__).splitlines()[0].rstrip(".")


def table_rows(table: Dataset | IterableDataset, tally: Tally, column: str, label: str | None) -> Iterator[Row]:
    """Rows of a dataset that `datasets` has read (parquet, hub), numbered from 1; a ClassLabel gives its names."""
    require_columns(table.column_names, tally.name, column, label)
    wanted = [column] if label is None else [column, label]
    kind = table.features[label] if label is not None else None
    number = 0
    for batch in table.select_columns(list(dict.fromkeys(wanted))).with_format("arrow").iter(batch_size=10_000):
        for record in batch.to_pylist():
            number += 1
            if isinstance(kind, ClassLabel) and record[label] is not None:
                record[label] = kind.int2str(record[label]) if record[label] >= 0 else None
            if row := row_of(record, number, tally, column, label):
                yield row
