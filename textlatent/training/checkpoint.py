"""Checkpoints that survive being killed while they are written: temporary folder, sync, hash, rename."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor, nn

MANIFEST = "manifest.json"


class CheckpointError(ValueError):
    """A file could not be written; the message says which, why and what to do."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What a full or forbidden disk raises while `path` is written, as one sentence.

    Raises:
        CheckpointError: the disk is full or cannot be written.
    """
    try:
        yield
    except Exception as error:
        rust = isinstance(error, SafetensorError) or "(os error " in str(error)  # safetensors, tokenizers: no OSError
        if not (rust or isinstance(error, OSError)):
            raise
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        full = full or any(f"(os error {number})" in str(error) for number in (errno.ENOSPC, errno.EDQUOT))
        raise CheckpointError(
            f"could not write {path}: {'the disk is full' if full else error}. Everything saved before it is intact; "
            f"{'make room' if full else 'mend that'}, then run the same command to go on from there."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace a small file wholly or not at all, as UTF-8.

    Raises:
        CheckpointError: the disk is full or cannot be written; what stood there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.writing")
    with writing(path):
        temporary.write_text(text, encoding="utf-8")
        _sync(temporary)
        temporary.replace(path)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make `folder` what `fill(temporary folder)` writes: wholly or not at all, replacing what stood there.

    Raises:
        CheckpointError: the disk is full or cannot be written; what stood there before is untouched.
    """
    with writing(folder):
        _replace(folder, fill)


def _replace(folder: Path, fill: Callable[[Path], None]) -> None:
    temporary, old = folder.parent / f".{folder.name}.writing", folder.parent / f".{folder.name}.old"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        fill(temporary)
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        manifest = {str(path.relative_to(temporary)): _digest(path) for path in files}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1))
        for path in [*files, temporary / MANIFEST, temporary]:
            _sync(path)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        temporary.rename(folder)
        _sync(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except Exception:
        shutil.rmtree(temporary, ignore_errors=True)
        recover_folder(folder)
        raise


def recover_folder(folder: Path) -> None:
    """Finish a replacement by `write_folder` that was killed between its two renames."""
    old = folder.parent / f".{folder.name}.old"
    if old.exists() and not folder.exists():
        old.rename(folder)


def fault(folder: Path) -> str | None:
    """Why a folder written by `write_folder` cannot be trusted; None when it can."""
    try:
        manifest = dict(json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError) as error:
        return f"its {MANIFEST} cannot be read ({error.__class__.__name__})"
    for name, digest in manifest.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _digest(folder / name) != digest:
            return f"{name} does not match its sha256"
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Checkpoints:
    """The folder checkpoints/step-N of a run.

    Args:
        folder: runs/NAME/checkpoints.
        keep: how many of the newest stay; an older one goes only when a newer one has been written in full.
    """

    def __init__(self, folder: Path, *, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def steps(self) -> list[int]:
        """The steps at which there is a checkpoint, newest first."""
        found = self.folder.glob("step-*") if self.folder.is_dir() else []
        return sorted((int(path.name[5:]) for path in found if path.name[5:].isdigit()), reverse=True)

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.folder / f"step-{step}"

    def save(self, step: int, *, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        """Write the checkpoint of a step: model and optimiser as safetensors, the rest as JSON."""

        def fill(folder: Path) -> None:
            save_model(model, str(folder / "model.safetensors"))
            save_file(optimizer_tensors(model, optimizer), str(folder / "optimizer.safetensors"))
            (folder / "state.json").write_text(json.dumps(state, indent=1))

        write_folder(self.path(step), fill)
        for old in self.steps()[self.keep :]:
            shutil.rmtree(self.path(old))

    def any_valid(self) -> bool:
        """Whether one of them is whole."""
        return any(fault(self.path(step)) is None for step in self.steps())

    def newest(self) -> tuple[int | None, list[str]]:
        """The newest checkpoint that is whole, and a sentence for each damaged one, which is set aside.

        For one process alone, before the first save: what a kill left half written is thrown away.
        """
        notes: list[str] = []
        for stray in self.folder.glob(".step-*"):
            shutil.rmtree(stray, ignore_errors=True)
        for step in self.steps():
            reason = fault(self.path(step))
            if reason is None:
                return step, notes
            aside = self.folder / f"damaged-step-{step}"
            shutil.rmtree(aside, ignore_errors=True)
            self.path(step).rename(aside)
            notes.append(f"checkpoint step-{step} is damaged: {reason}; set aside as {aside.name}.")
        return None, notes

    def load_model(self, step: int, model: nn.Module) -> None:
        """Fill the model with a checkpoint's weights and buffers."""
        load_model(model, str(self.path(step) / "model.safetensors"))

    def load_optimizer(self, step: int, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Fill the optimiser with a checkpoint's moments."""
        restore_optimizer(model, optimizer, load_file(str(self.path(step) / "optimizer.safetensors")))

    def load_state(self, step: int) -> dict[str, Any]:
        """Everything else of a checkpoint."""
        return json.loads((self.path(step) / "state.json").read_text())


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: "parameter name|state name"."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{names[id(parameter)]}|{key}"] = value.detach().cpu().contiguous()
    return tensors


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give the optimiser (or each that works together in it) the state made by `optimizer_tensors`."""
    for part in getattr(optimizer, "parts", (optimizer,)):
        _restore(model, part, tensors)


def _restore(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    state = optimizer.state_dict()
    order = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    by_name: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, what = key.rsplit("|", 1)
        by_name.setdefault(name, {})[what] = value
    state["state"] = {i: by_name[names[id(p)]] for i, p in enumerate(order) if names[id(p)] in by_name}
    optimizer.load_state_dict(state)
