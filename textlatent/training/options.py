"""How a model learns: the numbers of the loop."""

from dataclasses import dataclass, field

from textlatent.objective.objective import Objective

PARTS = ("encoder", "prior", "decoder")


@dataclass(frozen=True)
class TrainingOptions:
    """The numbers of the loop.

    Attributes:
        steps: optimiser steps of a stage that names none of its own.
        tokens_per_step: padded tokens in one optimiser step, over all processes and accumulation parts.
        accumulation: parts in which each process computes its share of a step.
        precision: "fp32" or "bf16" (autocast of the forward pass; nats are summed in float64 in either).
        optimizer: "adamw", or "muon" for the matrices inside the layers with AdamW for the rest.
        learning_rate: AdamW's peak step size.
        muon_learning_rate: Muon's peak step size; 0.02 if not given.
        weight_decay: decay of weight matrices; vectors and biases are not decayed.
        warmup_steps: steps in which the learning rate rises from 0.
        scheduler: "cosine" or "linear" fall to 0 at the stage's end, or "constant".
        clip: largest norm of the gradient; None for no clipping.
        betas: AdamW's averaging rates.
        log_every: steps between lines of metrics.jsonl.
        validate_every: steps between validations.
        sample_every: steps between looks at samples; 0 for none.
        save_every: steps between checkpoints.
        keep_checkpoints: how many of the newest checkpoints stay.
        patience: validations without a better one after which a stage ends; None never stops early.
        trackers: accelerate's names: tensorboard, wandb, ...
        threads: CPU threads of each process; None for torch's own choice. Small models are fastest on one.
        deterministic: bit-exact repeats on CUDA too, at some speed.
    """

    steps: int = 2000
    tokens_per_step: int = 4096
    accumulation: int = 1
    precision: str = "fp32"
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    muon_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_steps: int = 100
    scheduler: str = "cosine"
    clip: float | None = 1.0
    betas: list[float] = field(default_factory=lambda: [0.9, 0.98])
    log_every: int = 20
    validate_every: int = 500
    sample_every: int = 500
    save_every: int = 500
    keep_checkpoints: int = 2
    patience: int | None = None
    trackers: list[str] = field(default_factory=list)
    threads: int | None = None
    deterministic: bool = False


@dataclass(frozen=True)
class Stage:
    """A part of the training: who learns, for how long, under which objective, and what starts anew before it.

    Attributes:
        name: what the log calls it.
        steps: its steps.
        objective: its own.
        learn: the parts that learn.
        reset: the parts that start anew.
        aggressive: the encoder runs ahead of the rest, until the information falls (training/aggressive.py).
        encoder_updates: encoder-only updates before a step of the rest, at most; He et al. 2019 take 100.
        encoder_window: encoder-only updates over which the loss is compared; they take 15 on text.
        information_every: steps between two looks at the information; None looks when it validates.

    Raises:
        ValueError: an aggressive stage in which encoder and decoder do not both learn, or a number below 1.
    """

    name: str
    steps: int
    objective: Objective
    learn: tuple[str, ...] = PARTS
    reset: tuple[str, ...] = ()
    aggressive: bool = False
    encoder_updates: int = 100
    encoder_window: int = 15
    information_every: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.aggressive and not {"encoder", "decoder"} <= set(self.learn):
            raise ValueError(f"an aggressive stage needs encoder and decoder in `learn`, got {', '.join(self.learn)}.")
        if min(self.encoder_updates, self.encoder_window) < 1:
            raise ValueError(
                f"encoder_updates and encoder_window must be >= 1, got {self.encoder_updates} and "
                f"{self.encoder_window}."
            )
