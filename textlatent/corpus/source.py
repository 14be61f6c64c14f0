"""A file, a folder or a hub dataset -> three splits of sentences, and an account of what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from textlatent.corpus.lines import Tally
from textlatent.corpus.place import find_files, is_hub_name, read_hub, require_file
from textlatent.corpus.rows import file_format, read_rows
from textlatent.corpus.splits import SPLITS, content_sha256, digests, duplicates, hash_split, overlap


@dataclass(frozen=True)
class Corpus:
    """Three splits of sentences.

    Attributes:
        train: columns text (string), row (its line in its file, from 1) and, where asked for, label (integer).
        valid: the same.
        test: the same.
        label_names: the name of each label, sorted; () without labels.
        sha256: of the sentences, labels and splits (hexadecimal).
        source: where it came from, as given.
        files: the file each split was read from.
        notes: what was left out, cut off or repeated, one sentence each.
        counts: the same as numbers, and the sizes of the splits.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    label_names: tuple[str, ...]
    sha256: str
    source: str
    files: dict[str, str]
    notes: list[str]
    counts: dict[str, int]


def read_corpus(
    path: str | Path | None = None,
    *,
    train: str | Path | None = None,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    format: str = "auto",
    config: str | None = None,
    column: str | int = "text",
    label: str | int | None = None,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
    on_bad_row: str = "error",
) -> Corpus:
    """The corpus at a path: three splits, spaces around each sentence stripped, empty rows left out and counted.

    Args:
        path: a folder with train, valid (or validation, dev) and test files, one file, or the name of a hub dataset. A
            split that is not there is cut off the training sentences by a hash of the sentence: duplicates never cross.
        train: the training file, instead of `path`.
        valid: the validation file.
        test: the test file.
        format: auto (by the file's ending), text, jsonl, csv, tsv (quotation marks are text), parquet or hub.
        config: the hub dataset's configuration.
        column: the column to read; an integer (or digits) is a position from 0 in a csv or tsv file without header.
        label: the column to keep as a label.
        valid_fraction: share of the training sentences cut off for validation, where no validation split is there.
        test_fraction: the same for the test split.
        split_seed: another seed, another cut.
        on_bad_row: error (raise at the first bad row) or skip (leave it out and count it).

    Raises:
        ValueError: a fault in the files or the arguments; the message holds file:line and what to do.
    """
    fractions = _fractions(valid_fraction, test_fraction)
    given = {k: Path(v) for k, v in (("train", train), ("valid", valid), ("test", test)) if v is not None}
    if path is not None and not given and is_hub_name(str(path), format):
        tables, tallies = read_hub(str(path), config=config, column=column, label=label, on_bad_row=on_bad_row)
    else:
        if config is not None:
            raise ValueError(f"data.config ({config!r}) is for hub datasets; set data.format: hub, or leave it out.")
        files = find_files(None if path is None else Path(path), given, format)
        tallies = {split: Tally(str(file), on_bad_row) for split, file in files.items()}
        tables = {
            split: read_rows(file, tallies[split], format=file_format(file, format), column=column, label=label)
            for split, file in files.items()
        }
    source = str(path) if path is not None else ", ".join(tally.name for tally in tallies.values())
    digest = {split: digests(table) for split, table in tables.items()}
    notes = [note for tally in tallies.values() for note in tally.notes()]
    if missing := {split: share for split, share in fractions.items() if split not in tables}:
        notes += _cut_off(missing, split_seed, tables, digest, source)
    counts = {name: sum(getattr(tally, name) for tally in tallies.values()) for name in ("empty", "skipped")}
    names = _files(tallies)
    return _counted(tables, digest, labelled=label is not None, source=source, files=names, notes=notes, counts=counts)


def read_file(
    file: str | Path,
    *,
    column: str | int = "text",
    label: str | int | None = None,
    format: str = "auto",
    on_bad_row: str = "error",
) -> tuple[Dataset, list[str]]:
    """One file as a dataset with columns text, row (line number) and, if asked for, label (string); and notes.

    Args:
        file: a text, jsonl, csv, tsv or parquet file.
        column: as in `read_corpus`.
        label: as in `read_corpus`.
        format: as in `read_corpus`, but not hub.
        on_bad_row: as in `read_corpus`.

    Raises:
        ValueError: a fault in the file; the message holds file:line and what to do.
    """
    path = Path(file)
    require_file(path, "the file")
    tally = Tally(str(file), on_bad_row)
    return read_rows(path, tally, format=file_format(path, format), column=column, label=label), tally.notes()


def read_sentences(
    file: str | Path,
    *,
    column: str | int = "text",
    label: str | int | None = None,
    format: str = "auto",
    on_bad_row: str = "error",
) -> tuple[list[str], list[str] | None, list[str]]:
    """The sentences of one file, their labels as written (None where not asked for), and notes; `read_file` as lists.

    Args:
        file: as in `read_file`.
        column: as in `read_file`.
        label: as in `read_file`.
        format: as in `read_file`.
        on_bad_row: as in `read_file`.

    Raises:
        ValueError: a fault in the file; the message holds file:line and what to do.
    """
    table, notes = read_file(file, column=column, label=label, format=format, on_bad_row=on_bad_row)
    return list(table["text"]), None if label is None else list(table["label"]), notes


def sorted_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels, sorted; by value where all are integers."""
    names = set(labels)
    if all(name.removeprefix("-").isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


def _fractions(valid: float, test: float) -> dict[str, float]:
    for name, value in (("valid_fraction", valid), ("test_fraction", test)):
        if not 0 < value < 1:
            raise ValueError(f"data.{name} must be between 0 and 1, got {value}; 0.1 is usual.")
    if valid + test >= 1:
        raise ValueError(f"data.valid_fraction + data.test_fraction must be < 1, got {valid} + {test}; lower one.")
    return {"valid": valid, "test": test}


def _files(tallies: dict[str, Tally]) -> dict[str, str]:
    """The file of each split; one that was cut off the training sentences came from theirs."""
    return {split: tallies[split if split in tallies else "train"].name for split in SPLITS}


def _cut_off(
    missing: dict[str, float], seed: int, tables: dict[str, Dataset], digest: dict[str, np.ndarray], source: str
) -> list[str]:
    """Moves the missing splits out of `tables["train"]`; says so."""
    cut = hash_split(digest["train"], fractions=missing, seed=seed)
    whole, whole_digest = tables["train"], digest["train"]
    for split, positions in cut.items():
        if not len(positions):
            raise ValueError(
                f"{source}: the {split} split is empty, as {len(whole)} sentences were cut by data.valid_fraction and "
                f"data.test_fraction; give more sentences, other fractions or another data.split_seed."
            )
        tables[split], digest[split] = whole.select(positions), whole_digest[positions]
    sizes = ", ".join(f"{split} {len(tables[split]):,}" for split in SPLITS if split in cut)
    return [f"{source}: cut by a hash of the sentence, so that duplicates never cross: {sizes} sentences."]


def _number_labels(tables: dict[str, Dataset], notes: list[str]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The sorted names of the training labels, and every split's labels as numbers (-1: not among them)."""
    raw = {split: list(table["label"]) for split, table in tables.items()}
    names = sorted_names(raw["train"])
    numbers = {name: i for i, name in enumerate(names)}
    labels = {split: np.array([numbers.get(name, -1) for name in column], np.int64) for split, column in raw.items()}
    for split, column in labels.items():
        if unseen := int((column < 0).sum()):
            which = ", ".join(sorted(set(raw[split]) - set(names))[:5])
            notes.append(f"{split}: {unseen:,} sentences have a label unknown in train ({which}): kept as unlabelled.")
    return names, labels


def _counted(
    tables: dict[str, Dataset],
    digest: dict[str, np.ndarray],
    *,
    labelled: bool,
    source: str,
    files: dict[str, str],
    notes: list[str],
    counts: dict[str, int],
) -> Corpus:
    """The corpus of three tables: labels numbered, sizes, duplicates and overlaps counted and noted."""
    names, labels = _number_labels(tables, notes) if labelled else ((), {})
    for split, column in labels.items():
        tables[split] = tables[split].remove_columns("label").add_column("label", column)
    for split in SPLITS:
        counts[split] = len(tables[split])
        counts[f"{split}_duplicates"] = repeated = duplicates(digest[split])
        if repeated:
            notes.append(f"{split}: {repeated:,} of {len(tables[split]):,} rows repeat an earlier one.")
    for one, other in (("valid", "train"), ("test", "train"), ("test", "valid")):
        common, rows = overlap(digest[one], digest[other])
        counts[f"{one}_in_{other}"], counts[f"{one}_rows_in_{other}"] = common, rows
        if common:
            size = f"{rows:,} of {len(tables[one]):,} rows"
            notes.append(f"{one}: {common:,} different sentences also occur in {other} ({size} of {one}).")
    sha256 = content_sha256(digest, labels, names)
    return Corpus(**tables, label_names=names, sha256=sha256, source=source, files=files, notes=notes, counts=counts)
