"""Where a training stands: everything a checkpoint holds beside weights and moments."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Position:
    """The loop's state, plain numbers and lists that JSON keeps.

    Attributes:
        stage: which stage, from 0.
        step: steps done in all stages.
        stage_step: steps done in this stage.
        epoch: passes over the training sentences that are done.
        epoch_step: steps of this epoch's plan that are done.
        tokens: trained on, those of encoder-only updates included.
        seconds: spent in steps.
        best: lowest validation loss of this stage, nats.
        best_step: where it was.
        without_better: validations since then.
        stopped_early: this stage ended by patience.
        aggressive_over: this stage's encoder no longer runs ahead.
        information: I(y; z) at the last look while it did, nats.
        verdict: of the last validation (watch.watch); None before the first, or without a latent.
        empty_since: the step whose validation first found the latent empty, while it is.
        objective: state of the objective.
        window: sums since the last log line.
    """

    stage: int = 0
    step: int = 0
    stage_step: int = 0
    epoch: int = 0
    epoch_step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float | None = None
    best_step: int | None = None
    without_better: int = 0
    stopped_early: bool = False
    aggressive_over: bool = False
    information: float | None = None
    verdict: str | None = None
    empty_since: int | None = None
    objective: dict[str, Any] = field(default_factory=dict)
    window: dict[str, float] = field(default_factory=dict)

    def advance(self, *, tokens: int, seconds: float) -> None:
        """Count one step."""
        self.step, self.stage_step, self.epoch_step = self.step + 1, self.stage_step + 1, self.epoch_step + 1
        self.tokens, self.seconds = self.tokens + tokens, self.seconds + seconds

    def next_stage(self) -> None:
        """Stand at the beginning of the next stage: what was best, and how long ago, is each stage's own."""
        self.stage, self.stage_step, self.stopped_early = self.stage + 1, 0, False
        self.best, self.best_step, self.without_better = None, None, 0
        self.aggressive_over, self.information = False, None
