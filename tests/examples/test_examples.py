"""examples/: each script runs by itself, in an empty folder, and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAYS = {
    "train_and_diagnose.py": ("asked:", "plain:", "verdict: collapsed", "exact entropy"),
    "rate_distortion.py": ("0.368064   0.368064", "a model with 32 codes", "R(D) at its distortion"),
    "no_gradient_for_gans.py": ("'start_logits': None", "'start_logits': 0.0", "at the ends", "REINFORCE"),
}


def test_every_script_is_run() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)


@pytest.mark.slow
@pytest.mark.parametrize("script", SAYS)
def test_it_runs(script: str, tmp_path: Path) -> None:
    one_core = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script)],
        cwd=tmp_path,
        env=one_core,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for words in SAYS[script]:
        assert words in done.stdout
    assert list(tmp_path.iterdir()) == []  # what it made lay in a temporary folder
