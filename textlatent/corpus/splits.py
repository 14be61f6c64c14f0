"""Which sentence goes to which split, and what the splits have in common."""

import hashlib
from collections.abc import Sequence

import numpy as np
from datasets import Dataset

SPLITS = ("train", "valid", "test")


def digests(dataset: Dataset) -> np.ndarray:
    """The 16-byte BLAKE2b digest of each sentence, as [N, 2] unsigned 64-bit integers."""
    parts = [
        b"".join(hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest() for text in batch["text"])
        for batch in dataset.select_columns(["text"]).iter(batch_size=10_000)
    ]
    return np.frombuffer(b"".join(parts), dtype="<u8").reshape(-1, 2)


def hash_split(digest: np.ndarray, *, fractions: dict[str, float], seed: int) -> dict[str, np.ndarray]:
    """The positions of "train" and of each split cut off it, by a hash of the sentence alone: duplicates never cross.

    Args:
        digest: [N, 2] from `digests`.
        fractions: the share of each split to be cut off.
        seed: another seed, another cut.
    """
    uniform = _uniform(digest[:, 0], seed)
    bounds = np.cumsum([0.0, *fractions.values()])
    chosen = {
        name: np.flatnonzero((uniform >= low) & (uniform < high))
        for name, low, high in zip(fractions, bounds[:-1], bounds[1:], strict=True)
    }
    return {"train": np.flatnonzero(uniform >= bounds[-1])} | chosen


def draw(count: int, *, sentences: int, seed: int) -> np.ndarray:
    """The positions of `sentences` of `count` sentences, drawn at random, in their order; more contain fewer.

    Args:
        count: how many there are.
        sentences: how many to draw.
        seed: another seed, another draw.

    Raises:
        ValueError: there are not so many.
    """
    if not 1 <= sentences <= count:
        raise ValueError(f"sentences must be between 1 and {count:,}, all there are, got {sentences:,}.")
    positions = np.arange(count, dtype=np.uint64)
    return np.sort(np.argsort(_uniform(positions, seed), kind="stable")[:sentences])


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Keys and seed mixed by splitmix64's finaliser into numbers in [0, 1)."""
    salt = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    x = keys ^ np.frombuffer(salt, dtype="<u8")
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


def overlap(one: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """How many different sentences the two have in common, and how many rows of the first these are."""
    # 64 of the 128 bits: among 10 million sentences one false match has probability 3e-6
    common = np.isin(one[:, 0], other[:, 0])
    return len(np.unique(one[common, 0])), int(common.sum())


def duplicates(digest: np.ndarray) -> int:
    """How many rows repeat an earlier one."""
    return len(digest) - len(np.unique(digest[:, 0]))


def content_sha256(digest: dict[str, np.ndarray], labels: dict[str, np.ndarray], names: Sequence[str]) -> str:
    """The sha256 of splits, sentences, labels and label names (hexadecimal)."""
    total = hashlib.sha256()
    for split in SPLITS:
        total.update(f"{split} {len(digest[split])}\n".encode())
        total.update(np.ascontiguousarray(digest[split]).tobytes())
        if split in labels:
            total.update(labels[split].astype("<i8").tobytes())
    total.update("\0".join(names).encode("utf-8"))
    return total.hexdigest()
