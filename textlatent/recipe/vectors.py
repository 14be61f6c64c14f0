"""The recipe of an autoencoder of real vectors: any feature matrix, or sentence embeddings."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from textlatent.recipe.objective import Objective
from textlatent.recipe.section import AnyRecipe, Conflict, Section


class VectorData(Section):
    """Which rows to read."""

    path: str | None = None
    """A folder with train, valid and test files, or one file: .npy, .safetensors, .csv or .tsv."""
    train: str | None = None
    """The training file, where they are given one by one."""
    valid: str | None = None
    """The validation file."""
    test: str | None = None
    """The test file."""
    tensor: str | None = None
    """Which tensor of a .safetensors file; null takes the only one, or `mean`."""
    valid_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the rows held out for validation, by a hash of the row, where there is no such file."""
    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the rows held out for the test, by a hash of the row, where there is no such file."""
    split_seed: int = 0
    """Changes which rows are held out."""

    def conflicts(self) -> Iterator[Conflict]:
        """The rows have one origin."""
        if self.path is None and self.train is None:
            yield "path", "must name a folder or a file of vectors; or give data.train."
        if self.path is not None and (given := [k for k in ("train", "valid", "test") if getattr(self, k) is not None]):
            yield "path", f"cannot stand beside data.{given[0]}; keep the one you mean."
        if self.valid_fraction + self.test_fraction >= 1:
            told = f"{self.valid_fraction} + {self.test_fraction}"
            yield "valid_fraction", f"plus data.test_fraction must be < 1, got {told}; leave rows to train on."


class VectorEncoder(Section):
    """P_enc(z|y)."""

    type: Literal["gaussian", "point"] = "gaussian"
    """A noisy channel, or the plain autoencoder's point, whose rate is undefined."""
    hidden: list[int] = []
    """Widths of the hidden layers; none makes it linear."""
    variance: Literal["row", "shared"] = "row"
    """The posterior's variance: each row its own, or one that all rows share."""
    log_variance_bias: float = 0.0
    """The log-variance the posterior starts from; less starts with more rate."""

    def conflicts(self) -> Iterator[Conflict]:
        """A point has no variance."""
        for key, usual in (("variance", "row"), ("log_variance_bias", 0.0)):
            if self.type == "point" and getattr(self, key) != usual:
                yield key, "is a gaussian encoder's, and model.encoder.type is point; take one of the two out."
        if any(width < 1 for width in self.hidden):
            yield "hidden", f"must be widths of 1 or more, got {self.hidden}."


class VectorDecoder(Section):
    """P_dec(y|z)."""

    hidden: list[int] = []
    """Widths of the hidden layers; none makes it linear."""
    distortion: Literal["l2", "l1"] = "l2"
    """Squared error under a Gaussian density, or absolute error under a Laplace one."""

    def conflicts(self) -> Iterator[Conflict]:
        """A layer has a width."""
        if any(width < 1 for width in self.hidden):
            yield "hidden", f"must be widths of 1 or more, got {self.hidden}."


class VectorModel(Section):
    """The three distributions."""

    latent_size: int = Field(8, ge=1)
    """Dimensions of z."""
    prior: Literal["standard", "learned", "mixture"] = "standard"
    """P_pri(z): N(0, I), a diagonal Gaussian that learns, or a mixture of them."""
    components: int | None = Field(None, ge=1)
    """Gaussians of a mixture prior; null is 10."""
    activation: Literal["gelu", "relu", "tanh"] = "gelu"
    """Between the layers of encoder and decoder."""
    encoder: VectorEncoder = VectorEncoder()
    """P_enc(z|y)."""
    decoder: VectorDecoder = VectorDecoder()
    """P_dec(y|z)."""

    def conflicts(self) -> Iterator[Conflict]:
        """Points have no prior, and only a mixture has components."""
        for name in ("encoder", "decoder"):
            yield from ((f"{name}.{path}", sentence) for path, sentence in getattr(self, name).conflicts())
        if self.components is not None and self.prior != "mixture":
            yield "components", f"needs model.prior: mixture, got {self.prior!r}; set it, or take this key out."
        if self.encoder.type == "point" and self.prior != "standard":
            yield "prior", "is charged against a density, and model.encoder.type point has none; take it out."


class VectorObjective(Objective):
    """loss = beta * rate + lam * Dist + constant, in nats per row."""

    lam: float = Field(1.0, gt=0)
    """Nats that a unit of Dist costs, the density's sharpness: 1 / (2c) of N(yhat, c I), 1 / b of Laplace(yhat, b)."""


class VectorTraining(Section):
    """How it learns."""

    steps: int = Field(2000, ge=1)
    """Optimiser steps."""
    rows_per_step: int = Field(256, ge=1)
    """Rows of one optimiser step, over all processes and accumulation parts."""
    accumulation: int = Field(1, ge=1)
    """Parts each step is computed in; changes the memory, not the result."""
    learning_rate: float = Field(1e-3, gt=0)
    """AdamW's peak step size."""
    weight_decay: float = Field(0.0, ge=0)
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
    save_every: int = Field(500, ge=1)
    """Steps between two checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many checkpoints to keep beside the best."""
    patience: int | None = Field(None, ge=1)
    """Validations without a better one after which to stop; null never stops early."""
    trackers: list[str] = []
    """Where else to log, by accelerate's names: tensorboard, wandb, trackio."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of each process; null is torch's own choice."""
    deterministic: bool = False
    """Bit-exact repeats on CUDA too, at some speed."""

    def conflicts(self) -> Iterator[Conflict]:
        """AdamW's averaging rates are shares."""
        if not all(0 <= b < 1 for b in self.betas):
            yield "betas", f"must be two numbers in [0, 1), got {self.betas}."


class VectorEvaluation(Section):
    """How it is judged."""

    split: Literal["train", "valid", "test"] = "test"
    """Which rows."""
    samples: int = Field(100, ge=1)
    """Importance samples K per row."""
    rows: int | None = Field(None, ge=1)
    """How many rows; null takes the whole split."""
    rows_per_batch: int = Field(8192, ge=1)
    """Rows x samples of one batch; changes the memory, not the result."""
    ladder: list[int] = Field([1, 10, 100, 500], min_length=1)
    """The K at which the importance-weighted NLL is shown, up to `samples`."""

    def conflicts(self) -> Iterator[Conflict]:
        """A ladder rises."""
        if self.ladder[0] < 1 or any(b <= a for a, b in zip(self.ladder, self.ladder[1:], strict=False)):
            yield "ladder", f"must rise from 1 or more, got {self.ladder}."


class VectorRecipe(AnyRecipe):
    """A run of an autoencoder of real vectors."""

    kind: Literal["vectors"] = "vectors"
    """What is made: a rate-distortion autoencoder of rows of numbers."""
    data: VectorData = VectorData()
    """Which rows to read."""
    model: VectorModel = VectorModel()
    """The three distributions."""
    objective: VectorObjective = VectorObjective()
    """loss = beta * rate + lam * Dist."""
    training: VectorTraining = VectorTraining()
    """How it learns."""
    evaluation: VectorEvaluation = VectorEvaluation()
    """How it is judged."""

    def conflicts(self) -> Iterator[Conflict]:
        """Every conflict of every section, and those between them."""
        yield from super().conflicts()
        if self.model.encoder.type == "point":
            for key in self.objective.asks_of_rate():
                yield f"objective.{key}", "asks something of the rate, and points have none; leave lam alone here."
        elif self.model.prior == "mixture" and self.objective.free_nats:
            yield (
                "objective.free_nats",
                "needs a rate in closed form, which model.prior: mixture has not; set objective.target_rate instead.",
            )
