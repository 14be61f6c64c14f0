"""A file, a folder or a hub dataset -> three splits of sentences, and an account of what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset

from textlatent.corpus.place import find_files, is_hub_name, read_hub, require_file
from textlatent.corpus.rows import Tally, file_format, read_rows
from textlatent.corpus.splits import SPLITS, content_sha256, digests, duplicates, hash_split, overlaps


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
        notes: what was left out, split or repeated, one sentence each.
        counts: the same as numbers.
        files: the file each split was read from.
    """

    train: Dataset
    valid: Dataset
    test: Dataset
    label_names: tuple[str, ...]
    sha256: str
    source: str
    notes: list[str]
    counts: dict[str, int]
    files: dict[str, str]


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
        path: a folder with train, valid (or validation, dev) and test files, one file, or the name of a hub dataset. A split
            that is not given is cut off the training sentences by a hash of the sentence: duplicates never cross.
        train: the training file, instead of `path`.
        valid: the validation file.
        test: the test file.
        format: auto (by the file's ending), text, jsonl, csv, tsv, parquet or hub.
        config: the hub dataset's configuration.
        column: the column to read; an integer (or digits) is a position in a csv or tsv file without header.
        label: the column to keep as a label.
        valid_fraction: share of the training sentences cut off for validation, where no validation split is given.
        test_fraction: the same for the test split.
        split_seed: another seed, another cut.
        on_bad_row: error (raise at the first bad row) or skip (leave it out and count it).
    Raises:
        ValueError: a fault in the files or the arguments; the message holds file:line and what to do.
    """
    fractions = _fractions(valid_fraction, test_fraction)
    given = {k: Path(v) for k, v in (("train", train), ("valid", valid), ("test", test)) if v is not None}
    notes: list[str] = []
    counts: dict[str, int] = {"empty": 0, "skipped": 0}
    if path is not None and not given and is_hub_name(str(path), format):
        tables, tallies = read_hub(str(path), config=config, column=column, label=label, on_bad_row=on_bad_row)
        files = {split: f"{path}[{tally.name}]" for split, tally in tallies.items()}
    else:
        if config is not None:
            raise ValueError(f"data.config ({config!r}) is for hub datasets; set data.format: hub, or leave it out.")
        tables, tallies, files = {}, {}, {}
        for split, file in find_files(None if path is None else Path(path), given, format).items():
            tallies[split] = Tally(str(file), on_bad_row)
            tables[split] = read_rows(
                file, tallies[split], format=file_format(file, format), column=column, label=label
            )
            files[split] = str(file)
    for tally in tallies.values():
        notes += tally.notes()
        counts["empty"] += tally.empty
        counts["skipped"] += tally.skipped
    source = str(path) if path is not None else ", ".join(files.values())
    return _assemble(tables, fractions, split_seed, label is not None, source, files, notes, counts)


def read_sentences(
    file: str | Path,
    *,
    column: str | int = "text",
    label: str | int | None = None,
    format: str = "auto",
    on_bad_row: str = "error",
) -> tuple[list[str], list[str] | None, list[str]]:
    """The sentences of one file, their labels (as written; None where not asked for) and notes on what was left out.

    Args:
        file: a text, jsonl, csv, tsv or parquet file.
        column: as in `read_corpus`.
        label: as in `read_corpus`.
        format: as in `read_corpus`.
        on_bad_row: as in `read_corpus`.
    Raises:
        ValueError: a fault in the file; the message holds file:line and what to do.
    """
    path = Path(file)
    require_file(path, "the file")
    tally = Tally(str(file), on_bad_row)
    table = read_rows(path, tally, format=file_format(path, format), column=column, label=label)
    return list(table["text"]), None if label is None else list(table["label"]), tally.notes()


def _fractions(valid: float, test: float) -> dict[str, float]:
    for name, value in (("valid_fraction", valid), ("test_fraction", test)):
        if not 0 < value < 1:
            raise ValueError(f"data.{name} must be between 0 and 1, got {value}; 0.1 is usual.")
    if valid + test >= 1:
        raise ValueError(f"data.valid_fraction + data.test_fraction must be < 1, got {valid} + {test}; lower one.")
    return {"valid": valid, "test": test}


def _assemble(
    tables: dict[str, Dataset],
    fractions: dict[str, float],
    seed: int,
    labelled: bool,
    source: str,
    files: dict[str, str],
    notes: list[str],
    counts: dict[str, int],
) -> Corpus:
    """The corpus of the tables read: missing splits cut off, labels numbered, everything counted."""
    digest = {split: digests(table) for split, table in tables.items()}
    missing = {split: fraction for split, fraction in fractions.items() if split not in tables}
    if missing:
        cut = hash_split(digest["train"], fractions=missing, seed=seed)
        whole, whole_digest = tables["train"], digest["train"]
        for split, positions in cut.items():
            if not len(positions):
                raise ValueError(
                    f"{source}: the {split} split is empty: {len(whole)} sentences were cut by data.valid_fraction and "
                    f"data.test_fraction; give more sentences, other fractions or another data.split_seed."
                )
            tables[split], digest[split] = whole.select(positions), whole_digest[positions]
            files[split] = files["train"]
        sizes = ", ".join(f"{split} {len(tables[split]):,}" for split in SPLITS if split in cut)
        notes.append(f"{files['train']}: cut by a hash of the sentence, so that duplicates never cross: {sizes}.")
    names: tuple[str, ...] = ()
    labels: dict[str, np.ndarray] = {}
    if labelled:
        names, labels = _number_labels(tables, notes)
        tables = {s: t.remove_columns("label").add_column("label", labels[s]) for s, t in tables.items()}
    _count(tables, digest, notes, counts)
    return Corpus(
        train=tables["train"],
        valid=tables["valid"],
        test=tables["test"],
        label_names=names,
        sha256=content_sha256(digest, labels, names),
        source=source,
        notes=notes,
        counts=counts,
        files={split: files[split] for split in SPLITS},
    )


def _number_labels(tables: dict[str, Dataset], notes: list[str]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The sorted names of the training labels (integers by value) and every label as a number, -1 for one not among them."""
    raw = {split: list(table["label"]) for split, table in tables.items()}
    names = sorted_names(raw["train"])
    numbers = {name: i for i, name in enumerate(names)}
    labels = {split: np.array([numbers.get(name, -1) for name in column], np.int64) for split, column in raw.items()}
    for split, column in labels.items():
        if unseen := int((column < 0).sum()):
            which = sorted({name for name in raw[split] if name not in numbers})
            notes.append(
                f"{split}: {unseen:,} sentences have a label that the training split lacks ({', '.join(which[:5])}): kept as "
                f"unlabelled."
            )
    return names, labels


def sorted_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The different labels, sorted; by value where all are integers."""
    names = set(labels)
    integers = all(name.removeprefix("-").isdecimal() for name in names)
    return tuple(sorted(names, key=lambda name: (int(name), name) if integers else name))


def _count(tables: dict[str, Dataset], digest: dict[str, np.ndarray], notes: list[str], counts: dict[str, int]) -> None:
    """Adds sizes, duplicates and overlaps to notes and counts."""
    for split in SPLITS:
        counts[split] = len(tables[split])
        counts[f"{split}_duplicates"] = repeated = duplicates(digest[split])
        if repeated:
            notes.append(f"{split}: {repeated:,} of {len(tables[split]):,} sentences repeat an earlier one.")
    for (one, other), common in overlaps(digest).items():
        counts[f"{one}_in_{other}"] = common
        if common:
            notes.append(f"{one}: {common:,} of {len(tables[one]):,} sentences also occur in {other}.")
