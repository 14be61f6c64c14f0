"""What EM is told and where it stands: its numbers, its state between two E-steps, the two halves of a model."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor


class Alternation(Protocol):
    """A model's two halves; models/expectation.py has them."""

    def gather(self, tokens: Tensor, lengths: Tensor, *, weight: Tensor | None = None) -> Any:
        """What the E-step needs of some sentences."""

    def expect(self, gathered: Any) -> dict[str, Tensor]:
        """Sums over the sentences: `sentences`, `rate`, `distortion`, `nll`, and the tables' own."""

    def maximise(self, statistics: dict[str, Tensor]) -> None:
        """The tables most probable given the sums."""

    def occupancy(self, statistics: dict[str, Tensor]) -> Tensor:
        """What each class is expected to hold."""

    def alike(self) -> list[tuple[int, int]]:
        """Pairs of classes that are the same."""

    def start(self, words: Tensor, *, generator: torch.Generator, noise: float) -> None:
        """Begin near the corpus's own words."""

    def log_prior(self) -> float:
        """The tables' own log density, nats."""


@dataclass(frozen=True)
class EMOptions:
    """The numbers of EM.

    Attributes:
        iterations: M-steps of a start, at most.
        tolerance: a start has converged when an iteration gains less, nats per sentence.
        restarts: starts; the one with the best objective is kept.
        start_noise: deviation of each ln P around the corpus's own at a start.
        log_every: iterations between lines of metrics.jsonl.
        save_every: iterations between checkpoints.
        keep_checkpoints: how many of the newest stay.
        threads: CPU threads of each process; None for torch's own choice.
    """

    iterations: int = 200
    tolerance: float = 1e-6
    restarts: int = 5
    start_noise: float = 1.0
    log_every: int = 1
    save_every: int = 50
    keep_checkpoints: int = 2
    threads: int | None = None


@dataclass
class Standing:
    """Where EM stands: what a checkpoint holds beside the tables.

    Attributes:
        restart: which start, from 0.
        iteration: M-steps of this start.
        step: M-steps of all starts, and one for each start that is over: the number of a checkpoint.
        objective: of the E-step before the last M-step, nats per sentence; None at a start.
        gap: the largest |-ELBO + ln P| of this start's E-steps, nats per sentence.
        notes: of this start.
        rows: the starts that are over, as `EM.rows` has them.
        best: the best of them.
        seconds: spent in iterations.
        over: no start is left.
    """

    restart: int = 0
    iteration: int = 0
    step: int = 0
    objective: float | None = None
    gap: float = 0.0
    notes: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: int | None = None
    seconds: float = 0.0
    over: bool = False


def line_of(row: dict[str, Any], restarts: int) -> str:
    """A start's row as a sentence."""
    valid = "" if row["valid_nll_nats"] is None else f", validation -ln P {row['valid_nll_nats']:.4f}"
    ended = "converged" if row["converged"] else "not converged"
    return (
        f"start {row['restart'] + 1} of {restarts}: objective {row['objective_nats']:.6f} nats per sentence after "
        f"{row['iterations']} iterations, {ended}{valid}; rate {row['rate_nats']:.4f}, "
        f"{row['classes_used']} of {row['classes']} classes used, largest gap {row['gap_nats']:.1e}."
    )
