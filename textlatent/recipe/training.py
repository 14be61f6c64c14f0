"""The sections that say how a model learns, in which stages, and how it is judged."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.objective import Objective
from textlatent.recipe.section import Conflict, Section


class Training(Section):
    """How it learns."""

    steps: int = Field(2000, ge=1)
    """Optimiser steps, where the stages name none of their own."""
    tokens_per_step: int = Field(4096, ge=1)
    """Padded tokens of one optimiser step, over all processes and accumulation parts."""
    accumulation: int = Field(1, ge=1)
    """Parts each step is computed in; changes the memory, not the result."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward pass; sums of nats are float64 in either."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """AdamW for everything, or Muon for the matrices inside the layers and AdamW for the rest."""
    learning_rate: float = Field(1e-3, gt=0)
    """AdamW's peak step size."""
    muon_learning_rate: float | None = Field(None, gt=0)
    """Muon's peak step size, which rises and falls as AdamW's does; null is 0.02."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of weight matrices."""
    warmup_steps: int = Field(100, ge=0)
    """Steps in which the learning rate rises from 0 to its peak."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after its warmup."""
    clip: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient; null does not clip."""
    betas: list[float] = Field([0.9, 0.98], min_length=2, max_length=2)
    """AdamW's two averaging rates."""
    log_every: int = Field(20, ge=1)
    """Steps between two lines of metrics.jsonl."""
    validate_every: int = Field(500, ge=1)
    """Steps between two validations."""
    sample_every: int = Field(500, ge=0)
    """Steps between two looks at samples; 0 for none."""
    save_every: int = Field(500, ge=1)
    """Steps between two checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many checkpoints to keep beside the best."""
    patience: int | None = Field(None, ge=1)
    """Validations without a better one after which to stop; null never stops early."""
    trackers: list[str] = []
    """Where else to log, by accelerate's names: tensorboard, wandb, trackio."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of each process; null is torch's own choice. Small models are fastest on one."""
    deterministic: bool = False
    """Bit-exact repeats on CUDA too, at some speed."""

    def conflicts(self) -> Iterator[Conflict]:
        """AdamW's averaging rates are shares, and Muon's step size is Muon's."""
        if not all(0 <= b < 1 for b in self.betas):
            yield "betas", f"must be two numbers in [0, 1), got {self.betas}."
        if self.muon_learning_rate is not None and self.optimizer != "muon":
            yield "muon_learning_rate", "needs training.optimizer: muon; set it, or take this key out."


class Stage(Section):
    """A part of the training: who learns, for how long, under which objective, and what is reset before."""

    name: str = Field("train", min_length=1)
    """What the log calls it."""
    steps: int | None = Field(None, ge=1)
    """Its optimiser steps; null takes training.steps."""
    learn: list[Literal["encoder", "prior", "decoder"]] = Field(["encoder", "prior", "decoder"], min_length=1)
    """The parts that learn; the others keep their weights."""
    reset: list[Literal["encoder", "prior", "decoder"]] = []
    """The parts that start anew before it."""
    aggressive: bool = False
    """The encoder runs ahead of each step of the rest, until the information in z falls (He et al. 2019)."""
    encoder_updates: int = Field(100, ge=1)
    """Updates of the encoder alone before a step of an aggressive stage, at most."""
    encoder_window: int = Field(15, ge=1)
    """Such updates over which the loss is averaged; the first window above the one before ends them."""
    information_every: int | None = Field(None, ge=1)
    """Steps between two looks at the information in z, of an aggressive stage; null looks at each validation."""
    objective: Objective = Objective()
    """What differs from the recipe's objective, and only that."""

    def conflicts(self) -> Iterator[Conflict]:
        """An encoder runs ahead of something."""
        if self.aggressive and (lacks := [part for part in ("encoder", "decoder") if part not in self.learn]):
            yield "aggressive", f"needs encoder and decoder in the stage's learn, and {' and '.join(lacks)} is not."


class Evaluation(Section):
    """How it is judged."""

    split: Literal["train", "valid", "test"] = "test"
    """Which sentences."""
    samples: int = Field(100, ge=1)
    """Importance samples K per sentence."""
    sentences: int | None = Field(None, ge=1)
    """How many sentences; null takes the whole split."""
    tokens_per_batch: int = Field(8192, ge=1)
    """Padded tokens x samples of one batch; changes the memory, not the result."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the forward pass."""
    ladder: list[int] = Field([1, 10, 100, 500], min_length=1)
    """The K at which the importance-weighted NLL is shown, up to `samples`."""

    def conflicts(self) -> Iterator[Conflict]:
        """A ladder rises."""
        if self.ladder[0] < 1 or any(b <= a for a, b in zip(self.ladder, self.ladder[1:], strict=False)):
            yield "ladder", f"must rise from 1 or more, got {self.ladder}."
