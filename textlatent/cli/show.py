"""Tables on a terminal, tab-separated lines elsewhere, so that a pipe can read them."""

from collections.abc import Iterable, Sequence

import typer
from rich.console import Console
from rich.table import Table


def say(console: Console, text: str) -> None:
    """One line as it is: no markup, no colours guessed, no wrapping, tabs kept."""
    if console.is_terminal:
        console.print(text, soft_wrap=True, markup=False, highlight=False)
    else:
        typer.echo(text, file=console.file)


def table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    right: Sequence[int] = (),
) -> None:
    """Rows under their columns' names; `right` lists the columns that hold numbers."""
    if not console.is_terminal:
        if title:
            say(console, f"# {title}")
        for row in rows:
            say(console, "\t".join(row))
        return
    drawn = Table(title=title or None, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn, markup=False)


def number(value: float | None) -> str:
    """A number to read: three decimals, thousands marked; a dash where there is none."""
    return "-" if value is None else f"{value:,.3f}"
