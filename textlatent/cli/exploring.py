"""probe, arithmetic, neighbours: what a trained run's z knows."""

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from textlatent.cli.progress import watch
from textlatent.cli.show import number, say, table
from textlatent.cli.using import Beams, Checkpoint, RunArgument, Split


class Distance(StrEnum):
    """Between two posteriors, two sentences' codes, or two points."""

    mean = "mean"
    kl = "kl"
    codes = "codes"
    vectors = "vectors"
    points = "points"


def probe(
    run: RunArgument,
    label: Annotated[
        str | None, typer.Option(help="The corpus's column; the recipe's data.label if not given.")
    ] = None,
    sentences: Annotated[int, typer.Option(min=2, help="Training sentences to learn from, at most.")] = 20_000,
    checkpoint: Checkpoint = "final",
) -> None:
    """Tell a label from z, and from what is decoded from it."""
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        found = verbs.probe(run, label=label, sentences=sentences, checkpoint=checkpoint, progress=progress)
    for note in found.notes:
        say(console, note)
    names = ("trained on", "tested on", "accuracy", "over majority", "over words", "macro F1", "nats of label", "C")
    counts = ", ".join(f"{count:,} {split}" for split, count in found.sentences.items())
    title = f"label {found.label}: {len(found.names)} classes; {counts} sentences; +- one standard error"
    if not console.is_terminal:
        title += f": {', '.join(names[2:])}"
    table(console, names, [_cells(row) for row in found.rows], title=title, right=(2, 3, 4, 5, 6, 7))
    if found.information is not None:
        show_information(console, found.information)


def show_information(console: Console, found: Any) -> None:
    """What z knows of the label, beside what there is to know, nats."""

    def row(name: str, each: Any, words: str) -> tuple[str, ...]:
        return (name, *(("-", "-") if each is None else (number(each.value), number(each.se))), words)

    latent = "from below: a classifier made of the posteriors, each z judged by the other sentences'"
    if found.position is not None:
        latent = f"of the code at position {found.position}, which tells most; all of them tell no less"
    exact = (
        "exact: no z can know more"
        if found.text is not None
        else "not known: only of a toy language's factors is it exact"
    )
    rows = [row("I(z; label)", found.lower, found.why or latent)]
    if found.upper is not None:
        rows.append(row("I(z; label), at most", found.upper, "from above: each z also judged by its own sentence"))
    rows.append(("I(y; label)", number(found.text), "-", exact))
    rows.append(row("H(label)", found.label, "what there is to know"))
    columns = ("information", "nats", "+-", "what it is")
    table(console, columns, rows, title=f"information of {found.sentences:,} test sentences, nats", right=(1, 2))


def _cells(row: Any) -> tuple[str, ...]:
    if row.judged is None:
        return (row.name, row.why, "-", "-", "-", "-", "-", "-")
    judged = row.judged
    estimates = (judged.accuracy, row.over_majority, row.over_words, judged.macro_f1, judged.label_nats)
    cells = ["-" if each is None else f"{each.value:.3f} +- {each.se:.3f}" for each in estimates]
    return (row.name, row.tested_on, *cells, "-" if judged.strength is None else f"{judged.strength:g}")


def arithmetic(
    run: RunArgument,
    sentences: Annotated[list[str], typer.Argument(help="What to move.")],
    plus: Annotated[str, typer.Option(help="A label, whose mean is added; or a sentence.")],
    minus: Annotated[str, typer.Option(help="A label, whose mean is taken away; or a sentence.")],
    scale: Annotated[
        list[float] | None, typer.Option(help="How much to add; may be repeated. 0 0.5 1 1.5 2 if not given.")
    ] = None,
    beams: Beams = 1,
    checkpoint: Checkpoint = "final",
) -> None:
    """Move sentences in z from one class towards another."""
    from textlatent import run as verbs

    console = Console()
    settings: dict[str, Any] = {"scales": scale} if scale else {}
    found = verbs.arithmetic(run, sentences, plus=plus, minus=minus, checkpoint=checkpoint, num_beams=beams, **settings)
    say(console, f"z + scale * ({found.direction}); its length: {number(found.length)} prior standard deviations")
    for original, rows in zip(found.originals, found.sentences, strict=True):
        say(console, original)
        pairs = [(f"{at:g}", text) for at, text in zip(found.scales, rows, strict=True)]
        table(console, ("scale", "sentence"), pairs, right=(0,))


def neighbours(
    run: RunArgument,
    sentence: Annotated[str, typer.Argument(help="Any sentence.")],
    count: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    split: Annotated[Split, typer.Option(help="Where to look.")] = Split.train,
    distance: Annotated[
        Distance | None,
        typer.Option(help="Of posteriors mean or kl (nats), of codes codes or vectors, of points points."),
    ] = None,
    checkpoint: Checkpoint = "final",
) -> None:
    """Find the sentences nearest to one in z."""
    from textlatent import run as verbs

    found = verbs.neighbours(run, sentence, count=count, split=split, distance=distance, checkpoint=checkpoint)
    labelled = any(each.label is not None for each in found)
    names = ("distance", "row", *(["label"] if labelled else []), "sentence")
    rows = [
        (number(each.distance), str(each.row), *([each.label or "-"] if labelled else []), each.sentence)
        for each in found
    ]
    table(Console(), names, rows, title=f"distance: {found[0].unit}", right=(0, 1))
