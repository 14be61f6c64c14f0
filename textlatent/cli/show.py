"""Tables on a terminal, aligned plain lines elsewhere."""

import math
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
    rows = list(rows)
    if not console.is_terminal:
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(len(columns))]
        lines = [
            [
                cell.rjust(w) if i in right else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            for row in rows
        ]
        for line in ([title] if title else []) + ["  ".join(line).rstrip() for line in lines]:
            say(console, line)
        return
    drawn = Table(title=title or None, title_justify="left")
    for i, column in enumerate(columns):
        drawn.add_column(column, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn, markup=False)


def number(value: float | None) -> str:
    """A number to read: three decimals, thousands marked; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:,.3f}"
