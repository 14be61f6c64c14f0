"""One file -> rows (line, text, label), each fault named by file:line.

`datasets` can read every one of these formats, but names no line for a broken byte, loads `{"text": 3}` without a word,
keeps a BOM as text and turns the sentence "NA" into a missing value. So lines are read here and become a `datasets.Dataset`;
parquet files and hub datasets are read by `datasets` itself.
"""

import codecs
import csv
import gzip
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

from datasets import ClassLabel, Dataset, Features, Value, concatenate_datasets, load_dataset
from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

CHUNK = 100_000
FORMATS = {
    "text": (".txt", ".text"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "parquet": (".parquet", ".pq"),
}

Row = tuple[int, str, str]  # line (or row) number from 1, text, label ("" without one)


@dataclass
class Tally:
    """What was left out of one file, and the rule for bad rows.

    Attributes:
        name: the file as messages name it.
        on_bad_row: "error" raises at the first bad row, "skip" counts it.
        empty: rows without text.
        bom: a byte order mark stood at the head of the file.
        skipped: bad rows left out.
        examples: what was wrong with the first three of them.
    """

    name: str
    on_bad_row: str = "error"
    empty: int = 0
    bom: bool = False
    skipped: int = 0
    examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_bad_row not in ("error", "skip"):
            raise ValueError(f"data.on_bad_row must be error or skip, got {self.on_bad_row!r}.")

    def bad_row(self, line: int, what: str) -> None:
        """Counts one bad row under "skip".

        Raises:
            ValueError: the rule is "error".
        """
        if self.on_bad_row == "error":
            raise ValueError(f"{self.name}:{line}: {what}; repair it, or leave such rows out by data.on_bad_row: skip.")
        self.skipped += 1
        if len(self.examples) < 3:
            self.examples.append(f"{self.name}:{line}: {what}")

    def notes(self) -> list[str]:
        """One sentence for each thing left out of the file."""
        notes = []
        if self.bom:
            notes.append(f"{self.name}: a byte order mark at the head of the file was stripped.")
        if self.empty:
            notes.append(f"{self.name}: {_rows(self.empty, 'empty row')} left out.")
        if self.skipped:
            more = ", ..." if self.skipped > len(self.examples) else ""
            notes.append(f"{self.name}: {_rows(self.skipped, 'bad row')} skipped ({'; '.join(self.examples)}{more}).")
        return notes


def _rows(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def nearest(name: str, names: Iterable[str]) -> str:
    """' (did you mean X?)' for the nearest of `names`, or ''."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def file_format(path: Path, format: str = "auto") -> str:
    """The format of a file: the one given, or the one its name ends in (.gz aside).

    Raises:
        ValueError: the ending is unknown.
    """
    if format != "auto":
        return format
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    for name, suffixes in FORMATS.items():
        if suffix.lower() in suffixes:
            return name
    known = ", ".join(ending for suffixes in FORMATS.values() for ending in suffixes)
    raise ValueError(
        f"{path}: the ending {suffix!r} names no known format ({known}); set data.format to one of {', '.join(FORMATS)}."
    )


def read_rows(path: Path, tally: Tally, *, format: str, column: str | int, label: str | int | None) -> Dataset:
    """The rows of one file: a dataset with columns text, row (line number from 1) and, if asked for, label (string).

    Args:
        path: the file.
        tally: counts what is left out; holds the rule for bad rows.
        format: text, jsonl, csv, tsv or parquet.
        column: the column to read; an integer (or a digit string) is a position in a csv or tsv file without header.
        label: the column to keep as a label.
    Raises:
        ValueError: a bad row under the rule "error", a missing column, no sentence at all.
    """
    if format == "text":
        if column != "text" or label is not None:
            raise ValueError(
                f"{path}: a text file has one sentence a line and no columns, but data.column is {column!r} and data.label "
                f"{label!r}; leave both out, or set data.format to csv, tsv or jsonl."
            )
        rows = _text_rows(path, tally)
    elif format == "jsonl":
        rows = _json_rows(path, tally, str(column), None if label is None else str(label))
    elif format in ("csv", "tsv"):
        records = _csv_records(path, tally) if format == "csv" else _tsv_records(path, tally)
        rows = _field_rows(records, tally, column, label)
    else:
        with quiet():
            table = load_dataset("parquet", data_files=str(path), split="train")
        rows = table_rows(table, tally, column=str(column), label=None if label is None else str(label))
    return to_dataset(rows, tally, labelled=label is not None)


def to_dataset(rows: Iterator[Row], tally: Tally, *, labelled: bool) -> Dataset:
    """Rows with text, as a dataset (built in chunks, so that Python's own strings are never all alive).

    Raises:
        ValueError: no row has text.
    """
    features = Features(
        {"text": Value("string"), "row": Value("int64")} | ({"label": Value("string")} if labelled else {})
    )
    chunks = []
    while chunk := list(itertools.islice(rows, CHUNK)):
        numbers, texts, labels = zip(*chunk, strict=True)
        columns: dict[str, list[Any]] = {"text": list(texts), "row": list(numbers)}
        if labelled:
            columns["label"] = list(labels)
        chunks.append(Dataset.from_dict(columns, features=features))
    if not chunks:
        why = " ".join(tally.notes())
        raise ValueError(f"{tally.name}: no sentence in it; give a file with at least one. {why}".rstrip())
    return concatenate_datasets(chunks) if len(chunks) > 1 else chunks[0]


class quiet:
    """A block in which `datasets` draws no progress bars."""

    def __enter__(self) -> None:
        self.shown = is_progress_bar_enabled()
        disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        if self.shown:
            enable_progress_bar()


def _lines(path: Path, tally: Tally) -> Iterator[tuple[int, str]]:
    """Line number from 1 and text; lines end at \\n only, the BOM is taken off."""
    opened = cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb"))
    with opened as file:
        try:
            for number, raw in enumerate(file, 1):
                if number == 1:
                    raw = _without_bom(raw, tally)
                try:
                    yield number, raw.decode("utf-8")
                except UnicodeDecodeError as fault:
                    byte = f"byte {fault.start + 1} of the line (0x{raw[fault.start]:02x}) is not valid UTF-8"
                    tally.bad_row(number, f"{byte} (a Latin-1 file? convert it: iconv -f latin1 -t utf-8)")
        except (EOFError, gzip.BadGzipFile, OSError) as fault:
            raise ValueError(f"{path}: cannot be read to its end ({fault}); replace the damaged file.") from fault


def _without_bom(raw: bytes, tally: Tally) -> bytes:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{tally.name}:1: the file is UTF-16, UTF-8 is needed; convert it: iconv -f utf-16 -t utf-8.")
    if raw.startswith(codecs.BOM_UTF8):
        tally.bom = True
        return raw[len(codecs.BOM_UTF8) :]
    return raw


def _text_rows(path: Path, tally: Tally) -> Iterator[Row]:
    for number, line in _lines(path, tally):
        if text := line.strip():
            yield number, text, ""
        else:
            tally.empty += 1


def _json_rows(path: Path, tally: Tally, column: str, label: str | None) -> Iterator[Row]:
    for number, line in _lines(path, tally):
        if not line.strip():
            tally.empty += 1
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as fault:
            tally.bad_row(number, f"not a JSON object ({fault})")
            continue
        if not isinstance(record, dict):
            kind = _json_type(record)
            tally.bad_row(number, f'each line must be one JSON object such as {{"{column}": "..."}}, got {kind}')
        elif (row := _checked(record, number, tally, column, label)) is not None:
            yield row


def _checked(record: dict[str, Any], number: int, tally: Tally, column: str, label: str | None) -> Row | None:
    """One record as a row, or None where it is empty or bad."""
    for wanted, key in (("column", column), ("label", label)):
        if key is not None and key not in record:
            have = ", ".join(record) or "none"
            tally.bad_row(number, f"no column {key!r} (data.{wanted}){nearest(key, record)}; the row has: {have}")
            return None
    text, mark = record[column], record[label] if label is not None else ""
    if not isinstance(text, str):
        tally.bad_row(number, f"column {column!r} must hold a string, got {_json_type(text)} {str(text)[:40]}")
        return None
    text = text.strip()
    if not text:
        tally.empty += 1
        return None
    if not text.isascii() and (fault := _surrogate(text)):
        tally.bad_row(number, fault)
        return None
    if label is not None and (mark is None or mark == ""):
        tally.bad_row(number, f"the label (data.label: {label}) is missing")
        return None
    if not isinstance(mark, str | int):
        tally.bad_row(
            number, f"label {label!r} must be a string or an integer, got {_json_type(mark)} {str(mark)[:40]}"
        )
        return None
    return number, text, str(mark)


def _surrogate(text: str) -> str | None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as fault:
        code = ord(text[fault.start])
        return f"character {fault.start + 1} is a lone surrogate (\\u{code:04x}), half of a character, which UTF-8 cannot hold"
    return None


def _json_type(value: Any) -> str:
    kinds = {
        bool: "boolean",
        int: "number",
        float: "number",
        list: "array",
        dict: "object",
        type(None): "null",
        str: "string",
    }
    return kinds.get(type(value), type(value).__name__)


def _tsv_records(path: Path, tally: Tally) -> Iterator[tuple[int, list[str]]]:
    """Tab-separated fields; quotation marks are text."""
    for number, line in _lines(path, tally):
        yield number, line.rstrip("\r\n").split("\t") if line.strip() else []


def _csv_records(path: Path, tally: Tally) -> Iterator[tuple[int, list[str]]]:
    """Comma-separated fields with RFC 4180 quotes, and the line each record begins on."""
    last = 0

    def feed() -> Iterator[str]:
        nonlocal last
        for last, line in _lines(path, tally):  # noqa: B007  # `last` is read outside
            yield line

    limit = csv.field_size_limit(sys.maxsize)  # the default cuts off at 128 KiB
    try:
        reader = csv.reader(feed(), strict=True)
        while True:
            begin = last + 1
            try:
                yield begin, next(reader)
            except StopIteration:
                return
            except csv.Error as fault:
                tally.bad_row(begin, f"not a CSV record ({fault})")
    finally:
        csv.field_size_limit(limit)


def _field_rows(
    records: Iterator[tuple[int, list[str]]], tally: Tally, column: str | int, label: str | int | None
) -> Iterator[Row]:
    """Rows of a csv or tsv file: names are looked up in its header, positions mean that it has none."""
    positional = [str(key).isdecimal() for key in (column, label) if key is not None]
    if any(positional) and not all(positional):
        raise ValueError(
            f"{tally.name}: data.column ({column!r}) and data.label ({label!r}) must both be names (the file has a header) "
            f"or both positions from 0 (it has none)."
        )
    names: list[str] | None = None
    for number, fields in records:
        if not any(fields):
            tally.empty += 1
            continue
        if names is None:
            names = _names(fields, number, tally, column, label, headerless=positional[0])
            if not positional[0]:
                continue
        if len(fields) != len(names):
            tally.bad_row(number, f"the row has {len(fields)} fields where the first has {len(names)}")
            continue
        record = dict(zip(names, fields, strict=True))
        key = None if label is None else str(label)
        if (row := _checked(record, number, tally, str(column), key)) is not None:
            yield row


def _names(
    fields: list[str], number: int, tally: Tally, column: str | int, label: str | int | None, *, headerless: bool
) -> list[str]:
    """The column names: the header's, or the positions."""
    names = [str(i) for i in range(len(fields))] if headerless else [name.strip() for name in fields]
    require_columns(names, f"{tally.name}:{number}", column, label, headerless=headerless)
    return names


def require_columns(
    names: list[str], where: str, column: str | int, label: str | int | None, *, headerless: bool = True
) -> None:
    """Nothing, if the columns are there.

    Raises:
        ValueError: one is missing; the message holds the nearest name and all names.
    """
    for wanted, key in (("column", column), ("label", label)):
        if key is not None and str(key) not in names:
            hint = "" if headerless else f"; if the file has no header, set data.{wanted} to a position from 0"
            raise ValueError(
                f"{where}: no column {str(key)!r} (data.{wanted}){nearest(str(key), names)}; there are: {', '.join(names)}{hint}."
            )


def table_rows(table: Dataset, tally: Tally, *, column: str, label: str | None) -> Iterator[Row]:
    """Rows of a dataset that `datasets` has read (parquet, hub), numbered from 1; a ClassLabel gives its names."""
    require_columns(table.column_names, tally.name, column, label)
    wanted = [column] if label is None else [column, label]
    kind = table.features[label] if label is not None else None
    named: Callable[[int], str] | None = kind.int2str if isinstance(kind, ClassLabel) else None
    number = 0
    for batch in table.select_columns(list(dict.fromkeys(wanted))).iter(batch_size=10_000):
        for values in zip(*(batch[key] for key in wanted), strict=True):
            number += 1
            record = dict(zip(wanted, values, strict=True))
            if named is not None and label is not None and record[label] is not None:
                record[label] = None if record[label] < 0 else named(record[label])
            if (row := _checked(record, number, tally, column, label)) is not None:
                yield row
