"""What a user gets from a built wheel, in an empty folder: the recipes, the data, the verbs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("textlatent", "recipes", "data", "pyproject.toml", "setup.py", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing of the repository."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(source / "dist"), str(source)],
        check=True,
    )
    wheel = next((source / "dist").glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    return target


def _textlatent(installed: Path, folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "textlatent"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_wheel_holds_what_the_repository_holds(installed: Path) -> None:
    for folder, pattern in (("recipes", "*.yaml"), ("data", "*"), ("textlatent", "*.py"), ("textlatent", "*.jinja")):
        ours = {str(p.relative_to(ROOT / folder)) for p in (ROOT / folder).rglob(pattern) if p.is_file()}
        place = installed / "textlatent" / ("" if folder == "textlatent" else folder)
        theirs = {str(p.relative_to(place)) for p in place.rglob(pattern) if p.is_file()}
        assert ours <= theirs
    assert {path.name for path in installed.iterdir() if path.is_dir()} - {"bin"} == {
        "textlatent",
        next(installed.glob("*.dist-info")).name,
    }


@pytest.mark.slow
def test_list_copy_and_quickstart_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    assert "quickstart" in _textlatent(installed, tmp_path, "ls")
    assert _textlatent(installed, tmp_path, "cp", "quickstart", "mine.yaml") == "wrote mine.yaml\n"
    assert "no fault found" in _textlatent(installed, tmp_path, "validate", "mine.yaml")
    settings = ["training.steps=3", "training.tokens_per_step=256", "evaluation.sentences=10", "evaluation.samples=2"]
    small = [word for setting in [*settings, "evaluation.ladder=[1, 2]"] for word in ("--set", setting)]
    out = _textlatent(installed, tmp_path, "train", "mine.yaml", *small)
    assert "10 sentences of test" in out
    assert "exact entropy" in out
    assert len(_textlatent(installed, tmp_path, "sample", "runs/mine", "--count", "2").splitlines()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml", "runs"]
