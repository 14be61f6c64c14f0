"""theory: the claims, computed."""

from typing import Annotated, Any

import typer
from rich.console import Console

from textlatent.cli.progress import Event
from textlatent.cli.show import say

FAILS = 1


def theory(
    claims: Annotated[list[str] | None, typer.Argument(help="T1 to T17, T6b, T6c, T6d; all if none is named.")] = None,
    out: Annotated[str, typer.Option(help="Where theory.json and theory.html go.")] = "runs/theory",
) -> None:
    """Compute the theory's claims beside closed forms: a page.

    Exit code 0: all hold, 1: one does not, 2: bad input.
    """
    from textlatent import run as verbs

    console = Console()

    def tell(event: Event) -> None:
        for line in _lines(event["claim"]):
            say(console, line)

    found = verbs.theory(claims or (), out=out, progress=tell)
    rows = found["claims"]
    held = sum(row["passed"] for row in rows)
    say(console, f"{held} of {len(rows)} claims hold ({found['seconds']:.0f} s); wrote {out}/theory.html")
    if not found["passed"]:
        raise typer.Exit(FAILS)


def _lines(row: dict[str, Any]) -> list[str]:
    """A claim in a line, and a line for each comparison that failed."""
    state = "holds" if row["passed"] else "FAILS"
    lines = [f"{row['name']:<4} {state}  {row['title']} ({len(row['checks'])} comparisons, {row['seconds']:.1f} s)"]
    for check in row["checks"]:
        if not check["passed"]:
            said = f"{check['what']}: {check['computed']}, not {check['relation']} {check['expected']} {check['unit']}"
            lines.append(f"     {said.rstrip()} ({check['closed_form']}); off by {check['difference']}")
    return lines
