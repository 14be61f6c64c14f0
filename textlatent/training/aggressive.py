"""Aggressive encoder training: before each step of the rest, the encoder alone learns until its loss stops falling.

The decoder learns to do without z while the posterior still lags behind it; an encoder that has caught up before every
step of the decoder is worth listening to. It ends for good when the information in z falls from one look at the
validation sentences to the next, and ordinary steps follow.

Source: He et al. 2019, arXiv:1901.05534, algorithm 1. Two deviations: AdamW takes the place of SGD (its moments are a
parameter's own, so that those of encoder and decoder are apart), and a gradient is clipped by the norm of what moves.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from textlatent.nats.bounds import information_bounds
from textlatent.scores import Scores
from textlatent.training.optimizer import seed_of
from textlatent.training.position import Position

POSTERIORS = 1000  # of the validation sentences, in which the information is looked for


@dataclass(frozen=True)
class Ahead:
    """What the encoder did alone before a step.

    Attributes:
        updates: how many.
        tokens: trained on in them.
    """

    updates: int
    tokens: int


def run_ahead(update: Callable[[int], dict[str, Any]], *, at_most: int, window: int) -> Ahead:
    """Encoder-only updates until the mean loss per token of a window of them is above that of the window before.

    Args:
        update: makes the update of a number, from 1, and returns its sums over all processes: loss (nats) and tokens.
        at_most: how many.
        window: updates that are averaged.
    """
    before, loss, tokens, total = math.inf, 0.0, 0.0, 0
    for number in range(1, at_most + 1):
        sums = update(number)
        loss, tokens, total = loss + sums["loss"], tokens + sums["tokens"], total + int(sums["tokens"])
        if number % window == 0:
            if loss / tokens > before:
                break
            before, loss, tokens = loss / tokens, 0.0, 0.0
    return Ahead(number, total)


def sentences_of(number: int, *, own: Tensor, plan: list[Tensor], words: tuple[int, ...]) -> Tensor:
    """The sentences of an encoder-only update: the step's own in the first, then any step's of this epoch.

    Args:
        number: of the update, from 1.
        own: the sentences of the step.
        plan: the epoch's steps.
        words: seed, stage and step of the stage; the choice is a function of these and the number.
    """
    return own if number == 1 else plan[seed_of(*words, number) % len(plan)]


def spread(count: int) -> Int[Tensor, " n"]:
    """At most POSTERIORS of `count` positions, evenly spaced."""
    return torch.linspace(0, count - 1, min(POSTERIORS, count)).round().long()


def information(scores: Scores) -> float:
    """A lower bound on I(y; z) from one draw of each posterior, nats."""
    mean, log_variance = scores.need("posterior_mean"), scores.need("posterior_log_variance")
    return information_bounds(mean, log_variance, scores.need("z")[0]).lower.value


def look(position: Position, scores: Scores) -> tuple[dict[str, Any], list[str]]:
    """The information, and a sentence if the mode is over: once it has fallen since the last look.

    Args:
        position: changed in place.
        scores: of some validation sentences, with latents.
    """
    before, position.information = position.information, information(scores)
    position.aggressive_over = before is not None and position.information < before
    told = {"information_lower_nats": position.information, "aggressive_over": position.aggressive_over}
    if not position.aggressive_over:
        return told, []
    return told, [
        f"step {position.step}: the information fell from {before:.2f} to {position.information:.2f} nats; encoder and "
        "decoder learn together from here on."
    ]
