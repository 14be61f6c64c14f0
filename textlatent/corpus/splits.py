"""Which sentence goes to which split, and what the splits have in common."""

import hashlib
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

SPLITS = ("train", "valid", "test")


def digests(dataset: Dataset) -> np.ndarray:
    """[N, 2] unsigned 64-bit integers: the 16-byte BLAKE2b digest of each sentence."""
    parts = [
        b"".join(hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest() for text in batch["text"])
        for batch in dataset.select_columns(["text"]).iter(batch_size=10_000)
    ]
    return np.frombuffer(b"".join(parts), dtype="<u8").reshape(-1, 2)


def hash_split(digest: np.ndarray, *, fractions: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """The positions of each split, chosen by a hash of the sentence alone, so that duplicates never cross.

    Args:
        digest: [N, 2] from `digests`.
        fractions: share of each split to be cut off; the rest is "train".
        seed: another seed, another cut.
    """
    uniform = _uniform(digest[:, 0], seed)
    bounds = np.cumsum([0.0, *fractions.values()])
    chosen = {
        name: np.flatnonzero((uniform >= low) & (uniform < high))
        for name, low, high in zip(fractions, bounds[:-1], bounds[1:], strict=True)
    }
    return {"train": np.flatnonzero(uniform >= bounds[-1])} | chosen


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Keys and seed mixed (splitmix64) into numbers in [0, 1)."""
    salt = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    with np.errstate(over="ignore"):
        x = keys ^ np.frombuffer(salt, dtype="<u8")[0]
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)) * 2.0**-53


def overlaps(digest: dict[str, np.ndarray]) -> dict[tuple[str, str], int]:
    """How many rows of the first split also occur in the second, for (valid, train), (test, train), (test, valid)."""
    pairs = [
        (a, b) for a, b in (("valid", "train"), ("test", "train"), ("test", "valid")) if a in digest and b in digest
    ]
    return {(a, b): int(np.isin(_key(digest[a]), _key(digest[b])).sum()) for a, b in pairs}


def duplicates(digest: np.ndarray) -> int:
    """How many rows repeat an earlier one."""
    return len(digest) - len(np.unique(_key(digest)))


def _key(digest: np.ndarray) -> np.ndarray:
    return digest[:, 0]  # 64 bits: among 10 million sentences a false match has probability 3e-6


def content_sha256(digest: dict[str, np.ndarray], labels: dict[str, np.ndarray], names: Sequence[str]) -> str:
    """The sha256 of splits, sentences, labels and label names (hexadecimal)."""
    total = hashlib.sha256()
    for split in SPLITS:
        total.update(f"{split} {len(digest[split])}\n".encode())
        total.update(np.ascontiguousarray(digest[split]).tobytes())
        if split in labels:
            total.update(labels[split].astype("<i8").tobytes())
    total.update("\0".join(names).encode())
    return total.hexdigest()
