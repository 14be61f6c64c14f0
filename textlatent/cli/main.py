"""The command `textlatent`: its verbs, and how it says what went wrong."""

import os
import sys
from collections.abc import Callable

import typer

from textlatent import __version__
from textlatent.cli import contrasting, exploring, judging, limiting, making, showing, sweeping, teaching, using

app = typer.Typer(
    name="textlatent",
    help="Text VAEs trained, measured and used end to end, in nats.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
VERBS: list[Callable[..., None]] = [
    making.train,
    making.baseline,
    using.evaluate,
    using.score,
    using.sample,
    using.reconstruct,
    using.interpolate,
    using.encode,
    using.standardise,
    judging.diagnose,
    showing.report,
    sweeping.curve,
    sweeping.compare,
    limiting.limit,
    contrasting.contrast,
    teaching.theory,
    exploring.probe,
    exploring.arithmetic,
    exploring.neighbours,
    making.ls,
    making.cp,
    making.validate,
    making.env,
]
for verb in VERBS:
    app.command()(verb)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"textlatent {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """Text VAEs trained, measured and used end to end, in nats."""


def main() -> None:
    """Run the command line; a fault that the user can mend is one sentence and exit code 2, not a traceback."""
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # the progress shown is ours
    try:
        app(prog_name="textlatent")
    except (ValueError, OSError, FloatingPointError, RuntimeError) as error:
        memory = type(error).__name__ == "OutOfMemoryError"  # torch's; importing it here would make --help slow
        if os.environ.get("TEXTLATENT_DEBUG") or (isinstance(error, RuntimeError) and not memory):
            raise
        advice = "; raise training.accumulation, or lower training.tokens_per_step or evaluation.tokens_per_batch."
        typer.echo(f"error: {f'the device has too little memory{advice}' if memory else error}", err=True)
        sys.exit(2)
