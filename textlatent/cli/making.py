"""train, baseline, validate, ls, cp, env: what comes before a model, and its making."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from textlatent.cli.progress import duration, is_main_process, watch
from textlatent.cli.show import say, table
from textlatent.cli.using import show_ledger

RecipeArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a recipe that comes along.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Say one key differently; may be repeated.")
]


class What(StrEnum):
    """What `ls` lists."""

    recipes = "recipes"
    remedies = "remedies"


def train(
    recipe: RecipeArgument,
    settings: Settings = None,
    out: Annotated[
        str | None, typer.Option(help="The folder that holds runs; the recipe's `out` if not given.")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Another run's folder, whose weights to begin with.")] = None,
) -> None:
    """Train a recipe and evaluate it; again, to resume."""
    from textlatent import run

    console = Console()
    with watch(console) as progress:
        trained = run.train(recipe, overrides=settings or [], out=out, progress=progress, start=start)
    if is_main_process():
        show_ledger(console, trained.ledger)
        say(console, f"The run is in {trained.folder}.")


def baseline(run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder.")]) -> None:
    """Train a run's decoder without z, to judge z by it."""
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        trained = verbs.baseline(run, progress=progress)
    if is_main_process():
        show_ledger(console, trained.ledger)
        say(console, f"The language model is in {trained.folder}; `textlatent compare {run} {trained.folder}`.")


def validate(
    recipe: RecipeArgument,
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Also train two steps in a temporary folder.")] = False,
) -> None:
    """Check a recipe: all faults at once, its corpus, its cost."""
    from textlatent import run

    console = Console()
    with watch(console) as progress:
        found = run.validate(recipe, overrides=settings or [], dry_run=dry_run, progress=progress)
    for note in [] if dry_run else found.notes:  # the dry run has said them
        say(console, note)
    table(console, ("what", "how much", "remark"), found.rows(duration), title=f"{found.recipe.name}: no fault found")


def ls(what: Annotated[What, typer.Argument(help="What to list.")] = What.recipes) -> None:
    """List the recipes that come along, or the remedies."""
    from textlatent import run

    if what is What.remedies:
        columns = ("verdict", "try", "recipe keys", "what it does", "source")
        table(Console(), columns, run.remedy_rows())
        return
    rows = [(each.name, each.summary) for each in run.list_recipes()]
    table(Console(), ("recipe", "what it is"), rows)


def cp(
    name: Annotated[str, typer.Argument(help="A recipe that comes along.")],
    to: Annotated[str | None, typer.Argument(help="A file or folder; its own name here if not given.")] = None,
) -> None:
    """Copy a recipe that comes along, to change it."""
    from textlatent import run

    say(Console(), f"wrote {run.copy_recipe(name, to)}")


def env() -> None:
    """Show versions, processors and memory, for a bug report."""
    from textlatent import run

    found = run.environment()
    rows = [(name, str(value)) for name, value in found.items() if name != "versions"]
    table(Console(), ("", ""), [*rows, *found["versions"].items()])
