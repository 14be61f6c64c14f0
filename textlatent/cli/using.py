"""evaluate, score, sample, reconstruct, interpolate, encode, standardise: what is done with a trained run."""

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from textlatent.cli.progress import is_main_process, watch
from textlatent.cli.show import number, say, table

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder.")]
FileArgument = Annotated[str, typer.Argument(help="Sentences, one a line; or a file with the recipe's column.")]
Checkpoint = Annotated[str, typer.Option(help="final, best or step-N.")]
Beams = Annotated[int, typer.Option(min=1, help="Beams of the search for the words.")]


class Split(StrEnum):
    """The parts of a corpus."""

    train = "train"
    valid = "valid"
    test = "test"


class Kind(StrEnum):
    """Paths through z."""

    linear = "linear"
    slerp = "slerp"


def show_ledger(console: Console, ledger: dict[str, Any]) -> None:
    """The ledger as a table, nats per sentence unless a row says otherwise."""
    from textlatent.run import ledger_rows

    rows = [(row.name, number(row.value), number(row.se), row.unit, row.remark) for row in ledger_rows(ledger)]
    title = f"{ledger['sentences']:,} sentences of {ledger['split']}, per sentence"
    table(console, ("quantity", "value", "standard error", "unit", "remark"), rows, title=title, right=(1, 2))


def evaluate(
    run: RunArgument,
    split: Annotated[Split | None, typer.Option(help="The recipe's evaluation.split if not given.")] = None,
    text: Annotated[str | None, typer.Option(help="A file of sentences instead of a split.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Importance samples K per sentence.")] = None,
    sentences: Annotated[int | None, typer.Option(min=1, help="How many sentences.")] = None,
    mixture: Annotated[
        list[Split] | None,
        typer.Option(help="A split whose posteriors help to bound the information; may be repeated."),
    ] = None,
    checkpoint: Checkpoint = "final",
) -> None:
    """Keep the ledger: each of a run's nats and its standard error."""
    from textlatent import run as verbs

    console = Console()
    with watch(console) as progress:
        ledger = verbs.evaluate(
            run,
            split=split,
            text=text,
            samples=samples,
            sentences=sentences,
            mixture=mixture or (),
            checkpoint=checkpoint,
            progress=progress,
        )
    if is_main_process():
        show_ledger(console, ledger)


def score(
    run: RunArgument,
    file: FileArgument,
    output: Annotated[str | None, typer.Option(help="NAME.csv or NAME.jsonl; JSON lines here if not given.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="Importance samples K per sentence.")] = None,
    checkpoint: Checkpoint = "final",
) -> None:
    """Give the nats of every sentence of a file."""
    from textlatent import run as verbs

    console = Console(stderr=True)
    with watch(console) as progress:
        rows = verbs.score(run, file, output, samples=samples, checkpoint=checkpoint, progress=progress)
    if not is_main_process():
        return
    if output is not None:
        say(console, f"wrote {len(rows):,} rows to {output}")
        return
    for row in rows:
        typer.echo(json.dumps(row, ensure_ascii=False))


def sample(
    run: RunArgument,
    count: Annotated[int, typer.Option(min=1, help="How many sentences.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="Below 1, likelier words; 1 is P_dec itself.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Draw only from the likeliest words of this total mass.")] = None,
    code_temperature: Annotated[
        float | None, typer.Option(help="Of a prior over codes: below 1, likelier ones; 1 is P_pri itself.")
    ] = None,
    beams: Beams = 1,
    checkpoint: Checkpoint = "final",
) -> None:
    """Write sentences from draws of the prior."""
    from textlatent import run as verbs

    drawing = {"temperature": temperature, "top_p": top_p, "code_temperature": code_temperature}
    settings: dict[str, Any] = {name: value for name, value in drawing.items() if value is not None}
    for text in verbs.sample(run, count, seed=seed, checkpoint=checkpoint, num_beams=beams, **settings):
        typer.echo(text)


def reconstruct(
    run: RunArgument,
    sentences: Annotated[list[str] | None, typer.Argument(help="Which; of a split if none are given.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many sentences of the split to measure on.")] = 500,
    show: Annotated[int, typer.Option(min=0, help="How many of them to show.")] = 10,
    split: Annotated[Split, typer.Option(help="Which split.")] = Split.test,
    beams: Beams = 1,
    checkpoint: Checkpoint = "final",
) -> None:
    """Send sentences through z and back."""
    from textlatent import run as verbs

    console = Console()
    found = verbs.reconstruct(run, sentences or None, count=count, split=split, checkpoint=checkpoint, num_beams=beams)
    pairs = list(zip(found.originals, found.reconstructions, strict=True))
    table(console, ("sentence", "what came back"), pairs if sentences else pairs[:show])
    accuracy = f"{number(found.token_accuracy.value)} +- {number(found.token_accuracy.se)}"
    say(console, f"{len(pairs):,} sentences: token accuracy {accuracy}, BLEU {found.bleu:.1f}")


def interpolate(
    run: RunArgument,
    first: Annotated[str, typer.Argument(help="The sentence at one end, or the one whose z is walked.")],
    second: Annotated[str | None, typer.Argument(help="The sentence at the other end.")] = None,
    steps: Annotated[int, typer.Option(min=2, help="How many sentences, both ends included.")] = 7,
    kind: Annotated[Kind, typer.Option(help="The path between the two.")] = Kind.linear,
    dimension: Annotated[int | None, typer.Option(help="Walk this dimension of z instead, from -3 to 3.")] = None,
    beams: Beams = 1,
    checkpoint: Checkpoint = "final",
) -> None:
    """Write the sentences between two, or along a dimension of z."""
    from textlatent import run as verbs

    path = verbs.interpolate(
        run, first, second, steps=steps, kind=kind, dimension=dimension, checkpoint=checkpoint, num_beams=beams
    )
    rows = [(f"{at:.2f}", text) for at, text in zip(path.at, path.sentences, strict=True)]
    table(Console(), ("at", "sentence"), rows, right=(0,))


def encode(
    run: RunArgument,
    file: FileArgument,
    output: Annotated[
        str, typer.Argument(help="NAME.safetensors (mean, log_variance; of codes z, codes) or NAME.npy (means, or z).")
    ],
    checkpoint: Checkpoint = "final",
) -> None:
    """Write the posteriors of a file's sentences."""
    from textlatent import run as verbs

    console = Console()
    written = verbs.encode(run, file, output, checkpoint=checkpoint)
    for note in written["notes"]:
        say(console, note)
    say(
        console,
        f"wrote {written['sentences']:,} sentences x {written['latent_size']} dimensions to {written['output']}",
    )


def standardise(
    run: RunArgument,
    output: Annotated[str, typer.Argument(help="The folder to save the standardised model in.")],
    checkpoint: Checkpoint = "final",
) -> None:
    """Turn a learned prior into N(0, I), every nat unchanged."""
    from textlatent import run as verbs

    say(Console(), f"wrote {verbs.standardise(run, output, checkpoint=checkpoint)}")
