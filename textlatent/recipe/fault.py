"""What is wrong with a recipe, as sentences."""

from collections.abc import Iterable
from dataclasses import dataclass

Keys = tuple[str | int, ...]
"""A path into the recipe: section names, and positions in lists."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a recipe."""

    keys: Keys
    """Where in the recipe."""
    place: str
    """Where in the text: file:line, or the --set that said it; "" where neither is known."""
    sentence: str
    """What must hold, what came, what to do."""

    def __str__(self) -> str:
        """The fault as one sentence."""
        path = ".".join(map(str, self.keys))
        where = f"{path} ({self.place})" if path and self.place else path or self.place
        return f"{where}: {self.sentence}" if where else self.sentence


class RecipeError(ValueError):
    """A recipe that cannot be used; its message lists every fault at once, and `faults` holds them."""

    def __init__(self, faults: Iterable[Fault], *, source: str = "the recipe") -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults]
        count = f"{len(lines)} faults in {source}:\n  "
        super().__init__(lines[0] if len(lines) == 1 else count + "\n  ".join(lines))
