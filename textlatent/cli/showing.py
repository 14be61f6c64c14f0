"""report: what there is to see of a run."""

from typing import Annotated

import typer
from rich.console import Console

from textlatent.cli.progress import watch
from textlatent.cli.show import say
from textlatent.cli.using import RunArgument


def report(
    run: RunArgument,
    output: Annotated[str | None, typer.Option(help="Another file than RUN/report.html.")] = None,
) -> None:
    """Write a run's page: nats, verdict, figures, sentences."""
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        written = verbs.report(run, output=output, progress=progress)
    say(console, f"wrote {written}")
