"""Bytes of a file -> lines of text; bad rows are raised or counted by file:line."""

import codecs
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO, cast


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
            notes.append(f"{self.name}: {_counted(self.empty, 'empty row')} left out.")
        if self.skipped:
            more = "; ..." if self.skipped > len(self.examples) else ""
            notes.append(
                f"{self.name}: {_counted(self.skipped, 'bad row')} skipped ({'; '.join(self.examples)}{more})."
            )
        return notes


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def nearest(name: str, names: Iterable[str]) -> str:
    """' (did you mean X?)' for the nearest of `names`, or ''."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_lines(path: Path, tally: Tally) -> Iterator[tuple[int, str]]:
    r"""Line number from 1 and text with its line end; lines end at \n only, a BOM is taken off, .gz is unpacked.

    Raises:
        ValueError: the file cannot be read, is UTF-16, or holds a byte that is not UTF-8 while bad rows are errors.
    """
    try:
        with cast(BinaryIO, gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")) as file:
            for number, raw in enumerate(file, 1):
                line = _decoded(_without_bom(raw, tally) if number == 1 else raw, number, tally)
                if line is not None:
                    yield number, line
    except (EOFError, OSError) as fault:  # a gz file cut short, no permission
        raise ValueError(f"{tally.name}: cannot be read ({fault}); give a whole, readable file.") from fault


def _without_bom(raw: bytes, tally: Tally) -> bytes:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{tally.name}:1: the file is UTF-16, UTF-8 is needed; convert it: iconv -f utf-16 -t utf-8.")
    if raw.startswith(codecs.BOM_UTF8):
        tally.bom = True
        return raw.removeprefix(codecs.BOM_UTF8)
    return raw


def _decoded(raw: bytes, number: int, tally: Tally) -> str | None:
    """The line as text, or None where it is no UTF-8 and such rows are skipped."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        byte = f"byte {fault.start + 1} of the line (0x{raw[fault.start]:02x}) is not valid UTF-8"
        tally.bad_row(number, f"{byte} (a Latin-1 file? convert it: iconv -f latin1 -t utf-8)")
        return None
