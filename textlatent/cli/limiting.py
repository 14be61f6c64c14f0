"""limit: how far a model of codes is from the best that its decoder allows."""

from typing import Annotated

import typer
from rich.console import Console

from textlatent.cli.progress import is_main_process, watch
from textlatent.cli.show import number, say, table
from textlatent.cli.using import Checkpoint, RunArgument, Split


def limit(
    run: RunArgument,
    split: Annotated[Split | None, typer.Option(help="The recipe's evaluation.split if not given.")] = None,
    sentences: Annotated[int, typer.Option(min=2, help="How many sentences.")] = 200,
    codes: Annotated[int, typer.Option(min=1, help="The largest number of codes, K^P, to sum over.")] = 4096,
    checkpoint: Checkpoint = "final",
) -> None:
    """R(D) of a run's decoder over its codes, and the run above it."""
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        found = verbs.limit(
            run, split=split, sentences=sentences, codes=codes, checkpoint=checkpoint, progress=progress
        )
    if not is_main_process():
        return
    rows = [
        ("the model", found.rate, found.distortion, ""),
        ("R(D) at its distortion", found.least.rate, found.least.distortion, f"{found.excess:.3f} nats of rate less"),
        (
            "least rate + distortion",
            found.best.rate,
            found.best.distortion,
            f"{found.excess_loss:.3f} nats less in all",
        ),
    ]
    cells = [(name, number(rate), number(loss), number(rate + loss), said) for name, rate, loss, said in rows]
    title = f"{found.codes:,} codes, {found.sentences:,} sentences, nats per sentence"
    if not console.is_terminal:
        title += ": rate, distortion, sum"
    table(console, ("", "rate", "distortion", "sum", ""), cells, title=title, right=(1, 2, 3))
    say(console, f"The curve is in {run}: limit.json, limit.png.")
