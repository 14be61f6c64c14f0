"""The covariance of every file is the one written down, and the files that come along are these."""

import json
from pathlib import Path

import numpy as np
import pytest

from textlatent.corpus.gaussian_rows import SIZES, VARIANCES, gaussian_rows, write_rows

SHIPPED = Path(__file__).parents[2] / "data" / "vectors"


@pytest.mark.parametrize("seed", [0, 5])
def test_mean_and_covariance_are_exact(seed: int) -> None:
    rows = gaussian_rows(50, (3.0, 1.0, 0.01), seed=seed).astype(np.float64)
    assert np.abs(rows.mean(0)).max() < 1e-6
    found = np.linalg.eigvalsh(rows.T @ rows / 50)
    np.testing.assert_allclose(found, [0.01, 1.0, 3.0], rtol=1e-5)
    assert not np.allclose(rows.T @ rows / 50, np.diag([3.0, 1.0, 0.01])), "it is turned"


def test_the_rotation_is_the_same_for_every_split_and_the_rows_are_not() -> None:
    one, other = (gaussian_rows(400, (3.0, 1.0), seed=seed) for seed in (0, 1))
    np.testing.assert_allclose(one.T @ one / 400, other.T @ other / 400, atol=1e-5)
    assert not np.allclose(one, other)


def test_too_few_rows() -> None:
    with pytest.raises(ValueError, match="count must be above 2, the number of variances, got 2"):
        gaussian_rows(2, (1.0, 2.0), seed=0)


def test_the_files_that_come_along_are_those_the_command_writes(tmp_path: Path) -> None:
    """Up to the last digits and signs another linear algebra library would give: their covariances are the same."""
    write_rows(tmp_path)
    assert json.loads((SHIPPED / "covariance.json").read_text()) == {"variances": list(VARIANCES), "rows": SIZES}
    for split, count in SIZES.items():
        written, shipped = np.load(tmp_path / f"{split}.npy"), np.load(SHIPPED / f"{split}.npy")
        assert written.shape == shipped.shape == (count, len(VARIANCES))
        np.testing.assert_allclose(written.T @ written, shipped.T @ shipped, rtol=0, atol=1e-2)
        found = np.linalg.eigvalsh(shipped.astype(np.float64).T @ shipped / count)
        np.testing.assert_allclose(found, sorted(VARIANCES), rtol=1e-4)
