"""How a run of any kind begins: in a folder of its own or where it was left, and perhaps from another's weights."""

from pathlib import Path

from torch import nn

from textlatent.recipe.dump import differing_keys
from textlatent.recipe.load import load_any
from textlatent.recipe.section import AnyRecipe


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
