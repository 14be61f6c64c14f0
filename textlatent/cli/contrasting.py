"""contrast: what has a gradient, and what has none."""

from typing import Annotated

import typer
from rich.console import Console

from textlatent.cli.making import RecipeArgument, Settings
from textlatent.cli.progress import is_main_process, watch
from textlatent.cli.show import say, table


def contrast(
    recipe: RecipeArgument,
    settings: Settings = None,
    out: Annotated[
        str | None, typer.Option(help="The folder that holds runs; the recipe's `out` if not given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of the game before it is looked at.")] = 100,
    samples: Annotated[int, typer.Option(min=3, help="Sentences of one estimate of the generator's gradient.")] = 64,
    repeats: Annotated[int, typer.Option(min=3, help="Estimates of each estimator.")] = 32,
) -> None:
    """Set gradients side by side: VAE, VQ, bigram GAN."""
    from textlatent import run

    console = Console()
    with watch(console) as progress:
        found = run.contrast(
            recipe,
            overrides=settings or [],
            out=out,
            rounds=rounds,
            samples=samples,
            repeats=repeats,
            progress=progress,
        )
    if not is_main_process():
        return
    columns = ("system", "gradient by", "at", "norm", "exact", "bias", "variance", "ms", "remark")
    rows = [_cells(row) for row in found.content["rows"]]
    rows = rows if console.is_terminal else [columns, *rows]
    table(console, columns, rows, title="gradients, nats per sentence and unit of a parameter", right=range(3, 8))
    say(console, f"The page is {found.folder / 'contrast.html'}; contrast.png and contrast.json lie beside it.")


def _cells(row: dict[str, object]) -> tuple[str, ...]:
    words = tuple(str(row[name]).replace("_", " ") for name in ("system", "estimator", "at"))
    bias = _number(row["bias"]) if row["biased"] else f"< {_number(row['bias_limit'])}" if row["bias_limit"] else "0"
    return (
        *words,
        _number(row["norm"]),
        _number(row["exact_norm"]),
        bias,
        _number(row["variance"]),
        f"{row['milliseconds']:.1f}",
        str(row["remark"]),
    )


def _number(value: object) -> str:
    return f"{value:.3g}"
