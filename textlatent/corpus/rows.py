"""One file -> a dataset of rows (text, row, label), each fault named by file:line.

`datasets` reads every one of these formats, but names no line for a broken byte, loads `{"text": 3}` without a word,
keeps a BOM as text and takes the csv sentence "NA" for a missing value. So lines are read here and become a `Dataset`;
parquet files and hub datasets are read by `datasets` itself.
"""

import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset

from textlatent.corpus.lines import Tally, nearest, read_lines
from textlatent.corpus.table import Row, read_parquet, require_columns, row_of, table_rows, to_dataset

FORMATS = {
    "text": (".txt", ".text"),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "parquet": (".parquet", ".pq"),
}

Fields = tuple[int, list[str]]  # line number and the fields on it


def file_format(path: Path, format: str = "auto") -> str:
    """The format of a file: the one given, or the one its name ends in (.gz aside).

    Raises:
        ValueError: an unknown format or ending.
    """
    if format in FORMATS:
        return format
    if format != "auto":
        known = ", ".join(("auto", *FORMATS))
        raise ValueError(f"data.format of a file must be one of {known}, got {format!r}{nearest(format, FORMATS)}.")
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    for name, suffixes in FORMATS.items():
        if suffix.lower() in suffixes:
            return name
    endings = ", ".join(ending for suffixes in FORMATS.values() for ending in suffixes)
    raise ValueError(
        f"{path}: its ending {suffix!r} names no known format ({endings}); set data.format: {' or '.join(FORMATS)}."
    )


def read_rows(path: Path, tally: Tally, *, format: str, column: str | int, label: str | int | None) -> Dataset:
    """The rows of one file: a dataset with columns text, row (line number from 1) and, if asked for, label (string).

    Args:
        path: the file.
        tally: counts what is left out; holds the rule for bad rows.
        format: text, jsonl, csv, tsv or parquet.
        column: the column to read; an integer (or digits) is a position in a csv or tsv file without header.
        label: the column to keep as a label.

    Raises:
        ValueError: a bad row under the rule "error", a missing column, no sentence at all.
    """
    names = (str(column), None if label is None else str(label))
    if format == "text":
        if column != "text" or label is not None:
            raise ValueError(
                f"{path}: a text file has one sentence a line and no columns, but data.column is {column!r} and "
                f"data.label {label!r}; leave both out, or set data.format: csv, tsv or jsonl."
            )
        rows = _text_rows(path, tally)
    elif format == "jsonl":
        rows = _json_rows(path, tally, *names)
    elif format == "parquet":
        rows = table_rows(read_parquet(path), tally, *names)
    else:
        rows = _field_rows(_csv_fields(path, tally) if format == "csv" else _tsv_fields(path, tally), tally, *names)
    return to_dataset(rows, tally, labelled=label is not None)


def _text_rows(path: Path, tally: Tally) -> Iterator[Row]:
    for number, line in read_lines(path, tally):
        if text := line.strip():
            yield number, text, ""
        else:
            tally.empty += 1


def _json_rows(path: Path, tally: Tally, column: str, label: str | None) -> Iterator[Row]:
    for number, line in read_lines(path, tally):
        if not line.strip():
            tally.empty += 1
            continue
        try:
            record = json.loads(line.strip())
        except json.JSONDecodeError as fault:
            tally.bad_row(number, f"not a JSON object ({fault.msg} at character {fault.colno})")
            continue
        except (ValueError, RecursionError) as fault:  # a number of over 4,300 digits, a hundred thousand brackets
            tally.bad_row(number, f"not a JSON object ({fault})")
            continue
        if not isinstance(record, dict):
            example = f'{{"{column}": "..."}}'
            tally.bad_row(number, f"each line must be one JSON object such as {example}, got {line.strip()[:40]}")
        elif row := _json_row(record, number, tally, column, label):
            yield row


def _json_row(record: dict[str, Any], number: int, tally: Tally, column: str, label: str | None) -> Row | None:
    for wanted, key in (("column", column), ("label", label)):
        if key is not None and key not in record:
            have = ", ".join(record) or "none"
            tally.bad_row(number, f"no column {key!r} (data.{wanted}){nearest(key, record)}; the row has: {have}")
            return None
    return row_of(record, number, tally, column, label)


def _tsv_fields(path: Path, tally: Tally) -> Iterator[Fields]:
    """Tab-separated fields; quotation marks are text."""
    for number, line in read_lines(path, tally):
        yield number, line.rstrip("\r\n").split("\t")


def _csv_fields(path: Path, tally: Tally) -> Iterator[Fields]:
    """Comma-separated fields with RFC 4180 quotes, and the line each record begins on."""
    last = 0

    def feed() -> Iterator[str]:
        nonlocal last
        for number, line in read_lines(path, tally):
            last = number
            yield line

    limit = csv.field_size_limit(sys.maxsize)  # the default refuses fields over 128 KiB
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


def _field_rows(records: Iterator[Fields], tally: Tally, column: str, label: str | None) -> Iterator[Row]:
    """Rows of a csv or tsv file: names are looked up in its header, positions mean that it has none."""
    positions = {key.isdecimal() for key in (column, label) if key is not None}
    if len(positions) == 2:
        raise ValueError(
            f"{tally.name}: data.column ({column!r}) and data.label ({label!r}) must both be names (it has a header) "
            f"or both be positions from 0 (it has none)."
        )
    headerless = positions.pop()
    names: list[str] | None = None
    for number, fields in records:
        if not any(field.strip() for field in fields):
            tally.empty += 1
        elif names is None and not headerless:
            names = _header(fields, number, tally, column, label)
        else:
            if names is None:
                names = [str(position) for position in range(len(fields))]
                require_columns(names, f"{tally.name}:{number}", column, label)
            if len(fields) != len(names):
                tally.bad_row(number, f"the row has {len(fields)} fields where the first row has {len(names)}")
            elif row := row_of(dict(zip(names, fields, strict=True)), number, tally, column, label):
                yield row


def _header(fields: list[str], number: int, tally: Tally, column: str, label: str | None) -> list[str]:
    """The column names of a header that has the columns asked for, each once."""
    names, where = [name.strip() for name in fields], f"{tally.name}:{number}"
    hint = "; if the file has no header, set data.column and data.label to positions from 0"
    require_columns(names, where, column, label, hint=hint)
    for key in (column, label):
        if names.count(str(key)) > 1:
            raise ValueError(f"{where}: {names.count(str(key))} columns are named {key!r}; rename all but one.")
    return names
