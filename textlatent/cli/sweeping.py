"""curve, compare: many runs of one recipe, and runs side by side."""

import json
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from textlatent.cli.making import RecipeArgument, Settings
from textlatent.cli.progress import duration, is_main_process, watch
from textlatent.cli.show import number, say, table


class Format(StrEnum):
    """How a comparison is written."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def _numbers(text: str | None, kind: Callable[[str], Any], option: str) -> list[Any] | None:
    """The numbers of `1,2,4`; None where the option was not given."""
    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} takes numbers with commas between them, as in 1,2,4; got {text!r}.") from None


def curve(
    recipe: RecipeArgument,
    rates: Annotated[str | None, typer.Option(help="Target rates in nats, as in 1,2,4,8.")] = None,
    betas: Annotated[str | None, typer.Option(help="Weights of the rate instead, as in 0.1,0.3,1,3.")] = None,
    codes: Annotated[str | None, typer.Option(help="Or sizes of the codebook, as in 16,64,256.")] = None,
    positions: Annotated[str | None, typer.Option(help="With every number of codes, as in 4,8.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds of every point, as in 0,1,2; the recipe's if not given.")
    ] = None,
    settings: Settings = None,
    out: Annotated[
        str | None, typer.Option(help="The folder that holds runs; the recipe's `out` if not given.")
    ] = None,
    baseline: Annotated[bool, typer.Option(help="Train the language model without z as well.")] = True,
    beside: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="RUN", help="A finished run or sweep to lay beside it; may be repeated."),
    ] = None,
) -> None:
    """Train a recipe to several rates or codebooks: its R-D curve."""
    from textlatent import run

    console = Console()
    with watch(console) as progress:
        drawn = run.curve(
            recipe,
            rates=_numbers(rates, float, "--rates"),
            betas=_numbers(betas, float, "--betas"),
            codes=_numbers(codes, int, "--codes"),
            positions=_numbers(positions, int, "--positions"),
            seeds=_numbers(seeds, int, "--seeds"),
            overrides=settings or [],
            out=out,
            baseline=baseline,
            beside=beside or (),
            progress=lambda event: progress(_spoken(event)),
        )
    if is_main_process():
        content = drawn.to_dict()
        points = [each for each in (content["baseline"], *content["points"], *content["beside"]) if each]
        rows, nll = [_row(each) for each in points], "NLL" if any(map(_summed, points)) else "IW-NLL"
        columns = ("point", "rate", "distortion", "-ELBO", nll, "information", "active", "beta", "on hull", "time")
        title = f"{drawn.name}, nats per sentence of {drawn.split}"
        _table(console, columns, rows, title=title, right=range(1, 8))
        say(console, f"The curve is in {drawn.folder}: curve.json, curve.png and a run for every point.")


def _table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[str]], **more: Any) -> None:
    """A table whose columns are named on a pipe as well: there are many."""
    table(console, columns, rows if console.is_terminal else [columns, *rows], **more)


def _spoken(event: dict[str, Any]) -> dict[str, Any]:
    """A point's beginning and end as a note, every other event as it is."""
    if event["event"] == "point":
        left = f", about {duration(event['seconds_left'])} left" if event["seconds_left"] is not None else ""
        ready = ": finished before" if event["finished"] else left
        return {"event": "note", "text": f"point {event['number']} of {event['of']}, {event['point']}{ready}"}
    if event["event"] == "point_done" and not event["finished"]:
        names = (("rate", "rate"), ("distortion", "distortion"), ("neg_elbo", "-ELBO"), ("iw_nll", "IW-NLL"))
        said = "  ".join(f"{name} {event[f'{key}_nats']:.2f}" for key, name in names)
        return {"event": "note", "text": f"{event['point']}: {said}"}
    return event


def _summed(point: dict[str, Any]) -> bool:
    """Whether a point has -ln P(y) itself, summed over every z."""
    return bool(point["marginal_nll_nats"])


def _row(point: dict[str, Any]) -> tuple[str, ...]:
    """A point of curve.json as a row."""
    last = "marginal_nll" if _summed(point) else "iw_nll"
    nats = [number(point[f"{name}_nats"]["value"]) for name in ("rate", "distortion", "neg_elbo", last)]
    information, active, codes = point["information_nats"], point["active_units"], point["codes"]
    used = f"{active['value']} of {active['of']}" if active else "-"
    return (
        point["name"],
        *nats,
        "[{:.2f}, {:.2f}]".format(*information["interval"]) if information else "-",
        f"{codes['used']} of {codes['of']} codes" if codes else used,
        f"{point['beta']:.3f}",
        "yes" if point["on_hull"] else "",
        duration(point["training_seconds"]),
    )


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more runs' folders.")],
    reference: Annotated[
        str | None, typer.Option(help="The run the others are compared with; the first if not given.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, valid, test or an evaluated text's name.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.table,
) -> None:
    """Compare runs on the same sentences: paired differences."""
    from textlatent import run

    if reference is not None and reference not in runs:
        raise ValueError(f"--reference must be one of the runs given, {', '.join(runs)}; got {reference}.")
    found = run.compare(runs, reference=0 if reference is None else runs.index(reference), split=split)
    if form is Format.json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    elif form is not Format.table:
        typer.echo(found.to_markdown() if form is Format.markdown else found.to_latex(), nl=False)
    else:
        console = Console()
        for each in (found.values(), found.differences(), run.gap_table(found)):
            if each.rows:
                _table(console, each.columns, each.texts(), right=range(1, len(each.columns)))
                say(console, each.caption.replace("Bold:", "Star:"))
