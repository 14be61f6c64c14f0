"""diagnose: what ails a model, and what to try."""

from dataclasses import fields
from typing import Annotated, Any

import typer
from rich.console import Console

from textlatent.cli.progress import is_main_process, watch
from textlatent.cli.show import number, say, table
from textlatent.cli.using import Checkpoint, RunArgument, Split
from textlatent.run import Thresholds

THRESHOLDS = ", ".join(f"{each.name}={each.default:g}" for each in fields(Thresholds)) + " if not given."
"""The lines that can be drawn elsewhere, and where they are (runs of kind bigram_gan have their own)."""
UNDERPOWERED = 3
ILL = 1


def diagnose(
    run: RunArgument,
    sentences: Annotated[int | None, typer.Option(min=1, help="How many sentences; the recipe's if not given.")] = None,
    split: Annotated[Split | None, typer.Option(help="The recipe's evaluation.split if not given.")] = None,
    baseline: Annotated[str | None, typer.Option(help="A language model's run; RUN/baseline if it is there.")] = None,
    refine: Annotated[bool, typer.Option(help="Also refine each posterior, which takes longest.")] = True,
    threshold: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help=f"Draw one line elsewhere; may be repeated. {THRESHOLDS}"),
    ] = None,
    checkpoint: Checkpoint = "final",
) -> None:
    """Say what ails a model and what to try.

    Exit code 0: healthy, 1: an illness, 2: bad input, 3: too few sentences to say.
    """
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        found = verbs.diagnose(
            run,
            sentences=sentences,
            split=split,
            baseline=baseline,
            refine=refine,
            checkpoint=checkpoint,
            progress=progress,
            **_thresholds(threshold or []),
        )
    if is_main_process():
        show_diagnosis(console, found)
    if found.overall != "healthy":
        raise typer.Exit(UNDERPOWERED if found.overall == "underpowered" else ILL)


def show_diagnosis(console: Console, found: Any) -> None:
    """The checks and the inference gap as a table, what each fired check says, the notes, and the verdict last."""
    from textlatent.run import inference_rows

    gap = inference_rows(found.to_dict().get("inference"))
    columns = ("check", "value", "+-", "95 % interval", "threshold", "unit", "illness", "found")
    rows = [*(_row(check) for check in found.checks), *map(_gap_row, gap)]
    table(
        console,
        columns,
        rows,
        title=f"{found.sentences:,} sentence{'' if found.sentences == 1 else 's'}",
        right=(1, 2, 3, 4),
    )
    for row in gap:
        say(console, f"{row.name}: {row.why}.")
    for check in found.checks:
        if check.fired or check.fired is None:
            say(console, f"{check.illness}: {check.message}")
    for note in found.notes:
        say(console, f"note: {note}")
    say(console, f"verdict: {found.overall}. {found.advice}".rstrip())


def _row(check: Any) -> tuple[str, ...]:
    counted = check.unit in ("sentences", "dimensions", "positions")

    def said(value: float | None) -> str:
        return f"{value:,.0f}" if counted and value is not None else number(value)

    mark = "not checked" if check.value is None else {True: "YES", False: "no", None: "undecided"}[check.fired]
    interval = "-" if None in (check.lower, check.upper) else f"[{said(check.lower)}, {said(check.upper)}]"
    numbers = (said(check.value), said(None if counted else check.se), interval, said(check.threshold))
    return check.name, *numbers, check.unit, check.illness, mark


def _gap_row(row: Any) -> tuple[str, ...]:
    """A part of the inference gap, which is measured and no illness."""
    interval = "-" if None in (row.lower, row.upper) else f"[{number(row.lower)}, {number(row.upper)}]"
    mark = "not measured" if row.value is None else "-"
    return row.name, number(row.value), number(row.se), interval, "-", "nats", "-", mark


def _thresholds(given: list[str]) -> dict[str, float]:
    """NAME=VALUE as numbers.

    Raises:
        ValueError: one that is not of this form.
    """
    read = {}
    for text in given:
        name, _, value = text.partition("=")
        try:
            read[name.strip()] = float(value)
        except ValueError:
            raise ValueError(f"--threshold must be NAME=VALUE with a number, got {text!r}.") from None
    return read
