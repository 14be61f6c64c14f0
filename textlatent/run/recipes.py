"""The recipes and the data that come along: found in a clone, an editable install and a wheel; listed and copied."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class ShippedRecipe:
    """A recipe that comes along.

    Attributes:
        name: what `textlatent train` takes.
        path: the file.
        head: the comment it begins with: command, machine, minutes, expected nats.
    """

    name: str
    path: Path
    head: str

    @property
    def summary(self) -> str:
        """The head's first paragraph on one line."""
        return " ".join(self.head.partition("\n\n")[0].split())


def shipped_folder(name: str) -> Path:
    """The folder `name` (recipes or data): inside the package in a wheel, beside it in a clone."""
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def list_recipes() -> list[ShippedRecipe]:
    """Every recipe that comes along, by name."""
    folder = shipped_folder("recipes")
    paths = sorted(folder.rglob("*.yaml"))
    return [ShippedRecipe(str(p.relative_to(folder).with_suffix("")), p, _head(p)) for p in paths]


def _head(path: Path) -> str:
    """The comment a file begins with, its hashes taken off."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return "\n".join(lines).strip()


def find_recipe(recipe: str | Path) -> Path:
    """The recipe's file: a path, or the name of one that comes along.

    Raises:
        ValueError: neither; the message names the nearest ones.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    known = {each.name: each.path for each in list_recipes()}
    name = str(recipe).removesuffix(".yaml")
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the ones that come along are {', '.join(known)}."
    raise ValueError(f"there is no recipe {recipe}: no such file, and no recipe of that name comes along; {hint}")


def copy_recipe(name: str, to: str | Path | None = None) -> Path:
    """The copy made of a recipe that comes along: `to` (which then is its run's name too), or its own file name here.

    Raises:
        ValueError: no such recipe, or something stands where the copy would.
    """
    source = find_recipe(name)
    target = Path(source.name if to is None else to)
    if target.is_dir():
        target = target / source.name
    if target.exists():
        raise ValueError(f"{target} exists already; name another file: textlatent cp {name} OTHER.yaml")
    if not target.parent.is_dir():
        raise ValueError(f"there is no folder {target.parent}; make it first: mkdir -p {target.parent}")
    text = source.read_text(encoding="utf8")
    if target.name != source.name:  # a recipe of another name is a run of another name
        text = re.sub(r"(?m)^name:.*$", f"name: {target.stem}", text, count=1)
    target.write_text(text, encoding="utf8")
    return target


def locate(path: str) -> str:
    """Where a recipe's path leads: itself, or a path below data/ that is not here but comes along."""
    if Path(path).exists() or Path(path).parts[:1] != ("data",):
        return path
    along = shipped_folder("data").joinpath(*Path(path).parts[1:])
    return str(along) if along.exists() else path
