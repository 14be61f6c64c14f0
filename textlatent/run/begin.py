"""How a run of any kind begins: in a folder of its own or where it was left, and perhaps from another's weights."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from textlatent.recipe.dump import differing_keys, dump_recipe
from textlatent.recipe.kinds import TextRecipe
from textlatent.recipe.load import load_any
from textlatent.recipe.section import AnyRecipe
from textlatent.run import build
from textlatent.run.corpus import build_corpus
from textlatent.run.folder import Run
from textlatent.training.checkpoint import write_folder, write_text

Note = Callable[[str], None]
"""Called with a sentence for the person who watches."""


def noter(accelerator: Any, tell: Callable[[dict[str, Any]], None]) -> Note:
    """What is called with a sentence for the person who watches; the main process alone speaks."""

    def note(text: str) -> None:
        if accelerator.is_main_process:
            tell({"event": "note", "text": text})

    return note


@contextmanager
def trackers_may_fail(note: Note) -> Iterator[None]:
    """A tracker's failure (no network, no account) is told and does not stop the run."""
    try:
        yield
    except Exception as error:
        note(f"a tracker failed ({error}); the run goes on without trackers.")


def has_begun(folder: Path, recipe: AnyRecipe, *, main: bool, finished: bool = False) -> bool:
    """Whether the folder holds something to go on from: a checkpoint, or, if `finished` counts, a final model.

    Until then there is nothing to protect: a recipe that was mended takes the folder over.

    Args:
        folder: the run's.
        recipe: the one that is asked for.
        main: whether this is the main process, which alone compares.
        finished: whether final/ counts, for kinds that may have no checkpoint.

    Raises:
        ValueError: it was begun by another recipe; the message lists the keys that differ.
    """
    left = any((folder / "checkpoints").glob("*step-*")) or (finished and (folder / "final").exists())
    begun = left and (folder / "recipe.yaml").exists()
    if main and begun and (different := differing_keys(load_any(folder / "recipe.yaml"), recipe)):
        raise ValueError(
            f"{folder} holds a run of another recipe: {', '.join(different)} differ. Give this recipe another "
            "name, or delete the folder to begin anew."
        )
    return begun


def begin_on_text(recipe: TextRecipe, folder: Path, *, main: bool, note: Note) -> Run:
    """The folder made or found again, and corpus, tokenizer and recipe in it; the main process comes first.

    Args:
        recipe: with data and tokenizer.
        folder: the run's.
        main: whether this is the main process, which alone writes.
        note: told what the corpus has to say.

    Raises:
        ValueError: a fault in the corpus, or a folder of another recipe or corpus; the message says what to do.
    """
    begun = has_begun(folder, recipe, main=main)
    corpus = build_corpus(recipe.data)
    if main:
        if begun:
            Run(folder).check_corpus(corpus)
        for text in corpus.notes:
            note(text)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "corpus.json", json.dumps(build.corpus_card(corpus), indent=1))
        if not begun:
            write_folder(folder / "tokenizer", build.build_tokenizer(recipe, corpus).save_pretrained)
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
    run = Run(folder)
    run.__dict__["corpus"] = corpus  # read once
    return run


def take_weights(model: nn.Module, other: nn.Module, *, start: str | Path, same: str) -> None:
    """Give a model another's weights.

    Args:
        model: that takes them.
        other: whose they are.
        start: where that one came from, for the message.
        same: what of the recipe must be the same, for the message.

    Raises:
        ValueError: they are of another shape; the message says which.
    """
    theirs, own = other.state_dict(), model.state_dict()
    wrong = [name for name in own if name not in theirs or theirs[name].shape != own[name].shape]
    if wrong:
        raise ValueError(
            f"cannot start from {start}: {len(wrong)} of {len(own)} tensors are missing or of another shape, first "
            f"{wrong[0]}. Use the same {same} as that run."
        )
    model.load_state_dict({name: theirs[name] for name in own})
