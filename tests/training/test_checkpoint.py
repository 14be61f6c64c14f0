"""Folders that are written wholly or not at all, and checkpoints of which the newest valid one is always there."""

import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from textlatent.training.checkpoint import (
    MANIFEST,
    CheckpointError,
    Checkpoints,
    fault,
    recover_folder,
    write_folder,
    write_text,
    writing,
)


def _fill(text: str) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "inner").mkdir()
        (folder / "inner" / "a.txt").write_text(text)
        (folder / "b.txt").write_text(text)

    return fill


def _text(folder: Path) -> str:
    assert fault(folder) is None
    assert (folder / "b.txt").read_text() == (folder / "inner" / "a.txt").read_text()
    return (folder / "b.txt").read_text()


def test_a_folder_holds_what_was_written_and_its_hashes(tmp_path: Path) -> None:
    write_folder(tmp_path / "new" / "folder", _fill("one"))
    assert _text(tmp_path / "new" / "folder") == "one"
    write_folder(tmp_path / "new" / "folder", _fill("two"))
    assert _text(tmp_path / "new" / "folder") == "two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folder"], "nothing else stays"
    manifest = json.loads((tmp_path / "new" / "folder" / MANIFEST).read_text())
    assert manifest["b.txt"] == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"  # sha256 of "two"


class _Killed(BaseException):
    """What a SIGKILL would do at this instant: nothing after it happens."""


DISK = ((os, "fsync"), (os, "rename"), (os, "mkdir"), (os, "unlink"), (os, "rmdir"), (os, "open"))


def _killed_at(number: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> bool:
    """Do `work` until its `number`-th call to the disk; whether it got that far."""
    calls = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > number:
                raise _Killed
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        for module, name in DISK:
            patched.setattr(module, name, counting(getattr(module, name)))
        try:
            work()
        except _Killed:
            return True
    return False


def test_a_kill_at_any_call_to_the_disk_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, found, number = tmp_path / "best", [], 0
    while True:
        shutil.rmtree(tmp_path)
        write_folder(folder, _fill("old"))
        killed = _killed_at(number, monkeypatch, lambda: write_folder(folder, _fill("new")))
        recover_folder(folder)
        found.append(_text(folder))
        write_folder(folder, _fill("next"))
        assert _text(folder) == "next"
        assert [path.name for path in tmp_path.iterdir()] == ["best"], f"left over after a kill at call {number}"
        if not killed:
            break
        number += 1
    assert number > 15, "the disk is called more often than that"
    assert found == sorted(found, reverse=True), "old up to some instant, new from then on"
    assert {"old", "new"} == set(found)


def _failing(error: Exception) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("ha")
        raise error

    return fill


FULL = "could not write .*best: the disk is full. Everything saved before it is intact; make room, then run the same"
FAULTS = [
    (OSError(errno.ENOSPC, "No space left on device"), FULL),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
    (Exception("I/O error: No space left on device (os error 28)"), FULL),  # what tokenizers raises
    (PermissionError(errno.EACCES, "Permission denied"), "could not write .*best: .*Permission denied.* mend that"),
]


@pytest.mark.parametrize(("error", "sentence"), FAULTS)
def test_a_write_that_fails_says_why_and_leaves_the_old(tmp_path: Path, error: Exception, sentence: str) -> None:
    write_folder(tmp_path / "best", _fill("old"))
    with pytest.raises(CheckpointError, match=sentence):
        write_folder(tmp_path / "best", _failing(error))
    assert _text(tmp_path / "best") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_rename_that_fails_puts_the_old_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "best", _fill("old"))
    real = os.rename

    def rename(source: Any, target: Any, **kwargs: Any) -> None:
        if Path(source).name == ".best.writing":
            raise PermissionError(errno.EACCES, "Permission denied")
        real(source, target, **kwargs)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(CheckpointError, match="Permission denied"):
        write_folder(tmp_path / "best", _fill("new"))
    assert _text(tmp_path / "best") == "old"


def test_a_small_file_is_replaced_wholly_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "a.json", "é one")
    assert (tmp_path / "a.json").read_bytes() == "é one".encode()
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(CheckpointError, match=r"could not write .*a.json: the disk is full"):
        write_text(tmp_path / "a.json", "two")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "é one"


def test_other_errors_are_not_taken_for_the_disk(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="a bug"):
        write_folder(tmp_path / "best", _failing(KeyError("a bug")))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(CheckpointError, match=r"checkpoints.step-1: .*(Not a directory|File exists)"):
        _save(Checkpoints(tmp_path / "checkpoints"), 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(CheckpointError, match="Permission denied"):
        _save(Checkpoints(tmp_path / "checkpoints"), 1)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    """Two checkpoints of 50 KiB each fit, three and the one being written do not."""
    checkpoints = Checkpoints(small_disk / "checkpoints", keep=9)
    _save(checkpoints, 1)
    _save(checkpoints, 2)
    with pytest.raises(CheckpointError, match="step-3: the disk is full"):
        _save(checkpoints, 3, width=120)
    assert checkpoints.newest() == (2, [])
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["step-1", "step-2"]


def test_writing_passes_what_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="^mine$"), writing(tmp_path):
        raise ValueError("mine")


def _parts(width: int = 8) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(width)
    model = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width, bias=False))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def _learn(model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    torch.manual_seed(step)
    optimizer.zero_grad()
    model(torch.randn(4, model[0].in_features)).square().sum().backward()
    optimizer.step()


def _save(checkpoints: Checkpoints, step: int, *, width: int = 60) -> None:
    model, optimizer = _parts(width)
    _learn(model, optimizer, step)
    checkpoints.save(step, model=model, optimizer=optimizer, state={"step": step})


def test_what_is_loaded_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    """Weights, moments and state, bit for bit; the fresh model and optimiser have never seen a step."""
    checkpoints, (model, optimizer) = Checkpoints(tmp_path), _parts()
    model[1].weight.requires_grad_(False)  # it has no moments
    for step in range(3):
        _learn(model, optimizer, step)
    checkpoints.save(3, model=model, optimizer=optimizer, state={"objective": {"beta": 0.1 + 0.2}, "best": None})

    other, fresh = _parts()
    other[1].weight.requires_grad_(False)
    nn.init.zeros_(other[0].weight)
    checkpoints.load_model(3, other)
    checkpoints.load_optimizer(3, model=other, optimizer=fresh)
    assert checkpoints.load_state(3) == {"objective": {"beta": 0.1 + 0.2}, "best": None}
    for step in range(3, 6):
        _learn(model, optimizer, step)
        _learn(other, fresh, step)
    for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_moments_follow_their_parameters_not_their_places(tmp_path: Path) -> None:
    """The optimiser of a checkpoint may have had its groups in another order."""
    checkpoints, (model, optimizer) = Checkpoints(tmp_path), _parts()
    _learn(model, optimizer, 0)
    checkpoints.save(1, model=model, optimizer=optimizer, state={})
    turned = torch.optim.AdamW(list(model.parameters())[::-1], lr=0.1)
    checkpoints.load_optimizer(1, model=model, optimizer=turned)
    for parameter in model.parameters():
        assert torch.equal(turned.state[parameter]["exp_avg"], optimizer.state[parameter]["exp_avg"])


def test_the_newest_stay_and_the_oldest_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in (5, 10, 15):
        _save(checkpoints, step)
    assert checkpoints.steps() == [15, 10]
    assert checkpoints.newest() == (15, [])
    single = Checkpoints(tmp_path, keep=1)
    killed = _killed_at(25, monkeypatch, lambda: _save(single, 20))
    assert killed
    assert single.newest()[0] in (15, 20), "while the new one is written, an old one is there"
    _save(single, 20)
    assert single.steps() == [20]


def test_keeping_one_survives_a_kill_at_any_call_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number, killed, found = 0, True, []
    while killed:
        shutil.rmtree(tmp_path)
        checkpoints = Checkpoints(tmp_path, keep=1)
        _save(checkpoints, 1)
        killed = _killed_at(number, monkeypatch, lambda: _save(Checkpoints(tmp_path, keep=1), 2))
        step, _ = checkpoints.newest()
        assert step in (1, 2), f"no valid checkpoint after a kill at call {number}"
        checkpoints.load_model(step, _parts(60)[0])
        found.append(step)
        assert not list(tmp_path.glob(".*")), "what was half written is gone"
        number += 1
    assert found == sorted(found)
    assert {1, 2} == set(found)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file cut short": (lambda f: _cut(f / "model.safetensors"), "model.safetensors does not match its sha256"),
    "a flipped bit": (lambda f: _flip(f / "optimizer.safetensors"), "optimizer.safetensors does not match its sha256"),
    "a missing file": (lambda f: (f / "state.json").unlink(), "state.json is missing"),
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "manifest.json cannot be read"),
    "an empty manifest": (lambda f: (f / MANIFEST).write_text(""), "manifest.json cannot be read"),
    "a manifest cut short": (lambda f: _cut(f / MANIFEST), "manifest.json cannot be read"),
    "another manifest": (lambda f: (f / MANIFEST).write_text("7"), "manifest.json cannot be read"),
    "no folder but a file": (lambda f: (shutil.rmtree(f), f.write_text("")), "manifest.json cannot be read"),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_newest_valid_one_taken(tmp_path: Path, what: str) -> None:
    damage, reason = DAMAGES[what]
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in (1, 2, 3):
        _save(checkpoints, step)
    damage(checkpoints.path(3))
    step, notes = checkpoints.newest()
    assert step == 2
    assert len(notes) == 1
    assert notes[0].startswith("checkpoint step-3 is damaged: ")
    assert reason in notes[0]
    assert notes[0].endswith("set aside as damaged-step-3.")
    assert checkpoints.steps() == [2, 1]
    assert (tmp_path / "damaged-step-3").exists()
    _save(checkpoints, 3)
    damage(checkpoints.path(3))
    assert checkpoints.newest()[0] == 2, "a second damaged one takes the first one's place"


def test_nothing_valid_is_a_beginning(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.newest() == (None, [])
    _save(checkpoints, 1)
    (checkpoints.path(1) / MANIFEST).unlink()
    step, notes = checkpoints.newest()
    assert (step, len(notes)) == (None, 1)


def test_stray_folders_are_no_checkpoints(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, keep=1)
    for stray in ("step-x", "step-9.bak", "step-", "checkpoint-7", ".step-8.writing", "damaged-step-6"):
        (tmp_path / stray).mkdir()
    assert checkpoints.newest() == (None, [])
    _save(checkpoints, 1)
    assert checkpoints.newest() == (1, [])
    assert (tmp_path / "step-9.bak").exists(), "only what this code wrote is thrown away"
    assert not (tmp_path / ".step-8.writing").exists()


UNPICKLED: list[str] = []
sys.addaudithook(lambda event, _: UNPICKLED.append(event) if event == "pickle.find_class" else None)


def test_nothing_is_pickled(tmp_path: Path) -> None:
    UNPICKLED.clear()
    checkpoints, (model, optimizer) = Checkpoints(tmp_path), _parts(60)
    _save(checkpoints, 1)
    step, _ = checkpoints.newest()
    assert step == 1
    checkpoints.load_model(step, model)
    checkpoints.load_optimizer(step, model=model, optimizer=optimizer)
    checkpoints.load_state(step)
    assert UNPICKLED == []
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_the_hook_hears_a_pickle(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    UNPICKLED.clear()
    torch.save(_parts()[0], tmp_path / "model.pt")
    pickle.loads(pickle.dumps(Path("x")))
    assert UNPICKLED
