"""What a run tells while it works: a live bar on a terminal, plain lines elsewhere."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from textlatent.cli.show import say

Event = dict[str, Any]
SECONDS_BETWEEN_LINES = 5.0


def is_main_process() -> bool:
    """Whether this process speaks for the run; `accelerate launch` numbers them in RANK."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def watch(console: Console) -> Iterator[Callable[[Event], None]]:
    """The callback to hand to a verb of textlatent.run; on a terminal its bars live as long as the context."""
    if not console.is_terminal:
        yield Lines(console)
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
        console=console,
        expand=True,
    )
    with bars:
        yield Bars(bars)


def numbers(event: Event) -> str:
    """The log event's numbers on one line, nats per sentence."""
    speed = f"{event['tokens_per_second']:,.0f} tokens/s"
    if not event["tokens_per_second"]:  # rows of numbers have no tokens
        speed = f"{event['sentences_per_second']:,.0f} rows/s"
    if event["distortion_nats"] is None:  # the prior learns alone
        return f"rate {event['rate_nats']:.2f}  {speed}"
    distortion = f"distortion {event['distortion_nats']:.2f}"
    if event["rate_nats"] is None:
        return f"rate undefined  {distortion}  {speed}"
    return f"rate {event['rate_nats']:.2f}  {distortion}  beta {event['beta']:.3f}  {speed}"


def sentences_of(event: Event) -> list[str]:
    """What an event says in whole lines: notes, validations, samples; [] for the others."""
    match event["event"]:
        case "note":
            return [event["text"]]
        case "validate":
            best = "  (the best so far)" if event.get("best") else ""
            used = f"  {event['active_units']:.0f} of {event['dimensions']} units" if "active_units" in event else ""
            distortion = f"distortion {event['distortion_nats']:.2f}"
            if event["rate_nats"] is None:
                return [f"step {event['step']}: validation  rate undefined  {distortion}{best}"]
            return [
                f"step {event['step']}: validation  rate {event['rate_nats']:.2f}  {distortion}  "
                f"-ELBO {event['neg_elbo_nats']:.2f}{used}{best}"
            ]
        case "sample":
            drawn = [f"sample: {text}" for text in event.get("samples", [])]
            pairs = zip(event.get("originals", []), event.get("reconstructions", []), strict=True)
            drawn += [f"{original}  ->  {rebuilt}" for original, rebuilt in pairs]
            return [f"step {event['step']}: {text}" for text in drawn]
    return []


class Lines:
    """Plain lines, for a pipe or a file: of the logged steps one in SECONDS_BETWEEN_LINES, and the last."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last = -SECONDS_BETWEEN_LINES

    def __call__(self, event: Event) -> None:
        """Say what there is to say of an event."""
        for sentence in sentences_of(event):
            say(self.console, sentence)
        if event["event"] == "log" and self._due(event["step"] == event["steps"]):
            left = event["seconds"] / event["step"] * (event["steps"] - event["step"])
            say(self.console, f"step {event['step']}/{event['steps']}  {numbers(event)}  {duration(left)} left")
        if event["event"] == "progress" and self._due(event["done"] == event["total"]):
            say(self.console, f"{event['what']} {event['done']:,}/{event['total']:,}")

    def _due(self, is_last: bool) -> bool:
        now = time.monotonic()
        if not is_last and now - self.last < SECONDS_BETWEEN_LINES:
            return False
        self.last = now
        return True


class Bars:
    """A live bar for the training and one for each other work under way; what is said in sentences scrolls above."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show an event."""
        for sentence in sentences_of(event):
            say(self.bars.console, sentence)
        if event["event"] == "log":
            self._advance(event.get("stage", "train"), event["step"], event["steps"], numbers(event))
        if event["event"] == "progress":
            self._advance(event["what"], event["done"], event["total"], "")

    def _advance(self, what: str, done: int, total: int, said: str) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.bars.add_task(what, total=total, numbers=said)
        self.bars.update(self.tasks[what], completed=done, total=total, numbers=said)


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"
