"""Where the sentences are: files named, files in a folder, or a dataset of the hub."""

import re
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset

from textlatent.corpus.lines import Tally, nearest
from textlatent.corpus.rows import FORMATS, file_format
from textlatent.corpus.table import first_line, quiet, table_rows, to_dataset

NAMES = {"train": ("train", "training"), "valid": ("valid", "validation", "dev", "val"), "test": ("test",)}


def require_file(path: Path, what: str) -> None:
    """Nothing, if there is a file.

    Raises:
        ValueError: there is none; the message holds the nearest name that exists.
    """
    if path.is_file():
        return
    if path.is_dir():
        raise ValueError(f"{what} {path} is a folder; name one of its files: {_listing(path)}.")
    parent = path.parent
    while not parent.is_dir():
        parent = parent.parent
    names = [entry.name for entry in parent.iterdir()]
    wanted = path.relative_to(parent).parts[0]
    raise ValueError(
        f"{what} {path} does not exist{nearest(wanted, names)}; in {parent} there are: {_listing(parent)}."
    )


def _listing(folder: Path, most: int = 8) -> str:
    names = sorted(entry.name for entry in folder.iterdir())
    return (", ".join(names[:most]) + (", ..." if len(names) > most else "")) or "no files"


def find_files(path: Path | None, given: dict[str, Path], format: str) -> dict[str, Path]:
    """The file of each split found, "train" always among them.

    Raises:
        ValueError: both or neither of `path` and named files, no training file, a missing file, an unknown format.
    """
    if format not in ("auto", *FORMATS):
        known = ", ".join(("auto", *FORMATS, "hub"))
        raise ValueError(f"data.format must be one of {known}, got {format!r}{nearest(format, FORMATS)}.")
    if path is not None and given:
        raise ValueError(f"data.path ({path}) and data.{next(iter(given))} are both given; give the path or the files.")
    if path is None:
        if "train" not in given:
            raise ValueError("no training text: set data.path to a file or a folder, or data.train to a file.")
        for split, file in given.items():
            require_file(file, f"data.{split}")
        return given
    if not path.is_dir():
        require_file(path, "data.path")
        return {"train": path}
    found = {split: match for split, names in NAMES.items() if (match := _in_folder(path, names, format)) is not None}
    if "train" not in found:
        raise ValueError(
            f"{path}: no training file such as train.txt or train.jsonl in it; there are: {_listing(path)}."
        )
    return found


def _in_folder(folder: Path, names: Sequence[str], format: str) -> Path | None:
    """The one file in the folder that bears one of the names and has the format, or any known one."""
    matches = [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_file() and entry.name.split(".")[0].lower() in names and _is_format(entry, format)
    ]
    if len(matches) > 1:
        which = ", ".join(match.name for match in matches)
        raise ValueError(f"{folder}: {which} could each be the {names[0]} split; name the files: data.{names[0]}: ...")
    return matches[0] if matches else None


def _is_format(path: Path, format: str) -> bool:
    try:
        found = file_format(path)
    except ValueError:
        return format != "auto"  # an unknown ending is taken where the format is named
    return format in ("auto", found)


def is_hub_name(path: str, format: str) -> bool:
    """Whether the path is to be looked up on the hub: said so, or owner/name with nothing of that kind on the disk."""
    if format == "hub":
        return True
    if format != "auto" or Path(path).exists() or not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", path):
        return False
    endings = tuple(ending for suffixes in FORMATS.values() for ending in suffixes)
    return not Path(path).parent.exists() and not path.endswith((*endings, ".gz"))


def read_hub(
    name: str, *, config: str | None, column: str | int, label: str | int | None, on_bad_row: str
) -> tuple[dict[str, Dataset], dict[str, Tally]]:
    """The splits of a hub dataset and what was left out of each.

    Raises:
        ValueError: it cannot be loaded, has no training split, or lacks a column.
    """
    try:
        with quiet():
            loaded = load_dataset(name, config)
    except Exception as fault:  # hub, network and builder faults share no class
        raise ValueError(
            f"data.path {name!r} is no file here, and as a hub dataset it could not be loaded ({first_line(fault)}); "
            f"check the name, data.config and the network."
        ) from fault
    found = {split: next((key for key in names if key in loaded), None) for split, names in NAMES.items()}
    if not isinstance(loaded, DatasetDict) or found["train"] is None:
        raise ValueError(f"data.path {name!r}: the hub dataset has no training split; it has: {', '.join(loaded)}.")
    tallies = {split: Tally(f"{name}[{key}]", on_bad_row) for split, key in found.items() if key is not None}
    mark = None if label is None else str(label)
    tables = {
        split: to_dataset(table_rows(loaded[found[split]], tally, str(column), mark), tally, labelled=label is not None)
        for split, tally in tallies.items()
    }
    return tables, tallies
