"""Rows of numbers whose covariance is known exactly: python -m textlatent.corpus.gaussian_rows data/vectors.

Each split is drawn, and then whitened by its own covariance and coloured by the one wanted, so that mean and covariance
of every file are those written here, to rounding: R(D) of its Gaussian is then a closed form without sampling error.
"""

import argparse
import json
from pathlib import Path

import numpy as np

VARIANCES = (4.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02)
"""Eigenvalues of the covariance: some above the water at lam 2, some below it."""

SIZES = {"train": 2048, "valid": 512, "test": 512}


def gaussian_rows(count: int, variances: tuple[float, ...], *, seed: int) -> np.ndarray:
    """Rows of mean 0 whose covariance is R diag(variances) R^T exactly, R a rotation of seed 0's, float32 [count, n].

    Args:
        count: more than n.
        variances: the eigenvalues.
        seed: of the draws.

    Raises:
        ValueError: too few rows for a covariance of full rank.
    """
    size = len(variances)
    if count <= size:
        raise ValueError(f"count must be above {size}, the number of variances, got {count}.")
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((size, size)))[0]
    drawn = np.random.default_rng([1, seed]).standard_normal((count, size))
    drawn -= drawn.mean(0)
    own, axes = np.linalg.eigh(drawn.T @ drawn / count)
    return ((drawn @ axes / np.sqrt(own) * np.sqrt(variances)) @ turn.T).astype(np.float32)


def write_rows(folder: str | Path) -> Path:
    """The folder, with train.npy, valid.npy, test.npy and what they are in covariance.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(SIZES.items()):
        np.save(folder / f"{split}.npy", gaussian_rows(count, VARIANCES, seed=seed), allow_pickle=False)
    (folder / "covariance.json").write_text(json.dumps({"variances": VARIANCES, "rows": SIZES}, indent=1) + "\n")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write rows of numbers whose covariance is known exactly.")
    parser.add_argument("folder", help="Where train.npy, valid.npy, test.npy and covariance.json go.")
    write_rows(parser.parse_args().folder)
