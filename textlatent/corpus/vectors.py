"""A matrix of numbers -> three splits of its rows: .npy, .safetensors (as `encode` writes them), .csv or .tsv."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from textlatent.corpus.splits import SPLITS, hash_split

ENDINGS = (".npy", ".safetensors", ".csv", ".tsv")


@dataclass(frozen=True)
class VectorSplit:
    """The rows of one split; to the loop each is one sentence of one token.

    Attributes:
        vectors: float32.
        index: each row's position in its file, its name for good.
        notes: nothing is left out or cut; for the reader of a split's notes.
    """

    vectors: Float[Tensor, "N n"]
    index: Int[Tensor, " N"]
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.vectors)

    @property
    def lengths(self) -> Int[Tensor, " N"]:
        """1 for each row, so that a bound on the tokens of a step is one on its rows."""
        return torch.ones(len(self), dtype=torch.long)

    def collate(self, positions: Int[Tensor, " B"], *, pad_id: int = 0) -> dict[str, Tensor]:
        """The rows at these positions; there is nothing to pad."""
        return {"vectors": self.vectors[positions], "index": self.index[positions]}


@dataclass(frozen=True)
class Vectors:
    """Three splits of rows.

    Attributes:
        train: rows to learn from.
        valid: rows to choose the best step by.
        test: rows to judge by.
        sha256: of the numbers and the splits (hexadecimal).
        source: where they came from, as given.
        files: the file each split was read from.
        notes: what happened on the way, one sentence each.
    """

    train: VectorSplit
    valid: VectorSplit
    test: VectorSplit
    sha256: str
    source: str
    files: dict[str, str]
    notes: list[str]


def read_vectors(
    path: str | Path | None = None,
    *,
    train: str | Path | None = None,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    tensor: str | None = None,
    valid_fraction: float = 0.1,
    test_fraction: float = 0.1,
    split_seed: int = 0,
) -> Vectors:
    """The rows at a path: three splits, those that are missing cut off the training rows by a hash of the row.

    Args:
        path: a folder with train, valid and test files, or one file.
        train: the training file, instead of `path`.
        valid: the validation file.
        test: the test file.
        tensor: which tensor of a .safetensors file; needed where it holds several and none is called "mean".
        valid_fraction: share of the training rows cut off for validation, where no validation file is there.
        test_fraction: the same for the test split.
        split_seed: another seed, another cut.

    Raises:
        ValueError: a fault in the files or the arguments; the message holds the place and what to do.
    """
    given = {k: Path(v) for k, v in (("train", train), ("valid", valid), ("test", test)) if v is not None}
    files = _find(None if path is None else Path(path), given)
    tables = {split: read_matrix(file, tensor=tensor) for split, file in files.items()}
    widths = {split: table.shape[1] for split, table in tables.items()}
    if len(set(widths.values())) > 1:
        told = ", ".join(f"{files[split]} {width}" for split, width in widths.items())
        raise ValueError(f"all splits must have as many columns: {told}; give files of one kind of vector.")
    source = str(path) if path is not None else ", ".join(map(str, files.values()))
    rows = {split: np.arange(len(table)) for split, table in tables.items()}
    fractions = {"valid": valid_fraction, "test": test_fraction}
    if missing := {split: share for split, share in fractions.items() if split not in tables}:
        if sum(missing.values()) >= 1:
            raise ValueError(f"data.valid_fraction + data.test_fraction must be < 1, got {sum(missing.values())}.")
        cut = hash_split(_digests(tables["train"]), fractions=missing, seed=split_seed)
        whole = tables["train"]
        tables |= {split: whole[positions] for split, positions in cut.items()}
        rows |= cut
        files |= {split: files["train"] for split in missing}
    for split in SPLITS:
        if len(tables[split]) < 2:
            raise ValueError(f"{source}: {split} has {len(tables[split])} rows, at least 2 are needed; give more rows.")
    sizes = ", ".join(f"{split} {len(tables[split]):,}" for split in SPLITS)
    notes = [f"{source}: {sizes} rows of {tables['train'].shape[1]:,} numbers."]
    splits = {s: VectorSplit(torch.from_numpy(tables[s]), torch.from_numpy(rows[s])) for s in SPLITS}
    names = {split: str(files[split]) for split in SPLITS}
    return Vectors(**splits, sha256=_sha256(tables), source=source, files=names, notes=notes)


def read_matrix(file: str | Path, *, tensor: str | None = None) -> np.ndarray:
    """The rows of one file, float32 [N, n].

    Args:
        file: .npy, .safetensors, .csv or .tsv (a first line that is no numbers is a header).
        tensor: as in `read_vectors`.

    Raises:
        ValueError: no such file, an ending that is not known, or numbers that are not a finite matrix.
    """
    path = Path(file)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: vectors are read from {', '.join(ENDINGS)}; rename or convert the file.")
    if not path.is_file():
        raise ValueError(f"there is no file {path}; check the path in data.")
    if tensor is not None and path.suffix != ".safetensors":
        raise ValueError(f"{path}: data.tensor ({tensor!r}) is for .safetensors files; take it out.")
    if path.suffix in (".csv", ".tsv"):
        matrix = _read_text(path, "," if path.suffix == ".csv" else "\t")
    else:
        matrix = _read_npy(path) if path.suffix == ".npy" else _read_safetensors(path, tensor)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{path}: a matrix [rows, columns] is needed, got the shape {list(matrix.shape)}.")
    if not (np.issubdtype(matrix.dtype, np.floating) or np.issubdtype(matrix.dtype, np.integer)):
        raise ValueError(f"{path}: real numbers are needed, got {matrix.dtype}.")
    with np.errstate(over="ignore"):  # what float32 cannot hold is found below
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
    if len(wrong := np.argwhere(~np.isfinite(matrix))):
        row, column = wrong[0]
        raise ValueError(
            f"{path}: row {row}, column {column} (from 0) is not a finite float32, and so are {len(wrong) - 1} more; "
            "take these rows out."
        )
    return matrix


def _find(path: Path | None, given: dict[str, Path]) -> dict[str, Path]:
    """The file of each split that has one."""
    if path is None:
        if "train" not in given:
            raise ValueError("data.path must name a folder or a file of vectors; or give data.train.")
        return given
    if not path.is_dir():
        return {"train": path}
    found = {}
    for split in SPLITS:
        files = [path / f"{split}{ending}" for ending in ENDINGS if (path / f"{split}{ending}").is_file()]
        if len(files) > 1:
            raise ValueError(f"{path} holds {files[0].name} and {files[1].name}; keep one of the two.")
        if files:
            found[split] = files[0]
    if "train" not in found:
        raise ValueError(f"{path} holds no train{{{','.join(ENDINGS)}}}; name the file, or call it so.")
    return found


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is no .npy file of numbers ({error}); write it with numpy.save.") from None


def _read_safetensors(path: Path, tensor: str | None) -> np.ndarray:
    try:
        with safe_open(str(path), framework="pt") as file:
            names = sorted(file.keys())
            name = tensor or (names[0] if len(names) == 1 else "mean")
            if name not in names:
                raise ValueError(f"{path} holds no tensor {name!r}; set data.tensor to one of {', '.join(names)}.")
            found = file.get_tensor(name)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged, or no .safetensors file ({error}).") from None
    return (found.float() if found.is_floating_point() else found).numpy()  # numpy has no bfloat16


def _read_text(path: Path, separator: str) -> np.ndarray:
    """The numbers of a table of text, or the first place where they are none."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(separator)]
        values = [_number(cell) for cell in cells]
        if number == 1 and all(value is None for value in values):
            continue  # a header
        if None in values:
            column = values.index(None)
            raise ValueError(f"{path}:{number}: column {column + 1} is not a number: {cells[column][:40]!r}; mend it.")
        if rows and len(values) != len(rows[0]):
            raise ValueError(f"{path}:{number}: {len(values)} columns, {len(rows[0])} in the rows before; mend it.")
        rows.append([value for value in values if value is not None])
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rows[0]) if rows else 0)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _digests(matrix: np.ndarray) -> np.ndarray:
    """The 16-byte BLAKE2b digest of each row, as [N, 2] unsigned 64-bit integers."""
    parts = [hashlib.blake2b(row.astype("<f4").tobytes(), digest_size=16).digest() for row in matrix]
    return np.frombuffer(b"".join(parts), dtype="<u8").reshape(-1, 2)


def _sha256(tables: Mapping[str, np.ndarray]) -> str:
    total: Any = hashlib.sha256()
    for split in SPLITS:
        total.update(f"{split} {tables[split].shape}\n".encode())
        total.update(tables[split].astype("<f4").tobytes())
    return total.hexdigest()
