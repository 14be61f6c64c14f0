"""The recipe: a typed section per thing configured, a line under each field. Values only; unknown keys are errors."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SMALL = {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
"""What a backbone from scratch is made with where its config is null: it trains on two CPU cores."""

MIXTURE_COMPONENTS, VAMP_COMPONENTS = 10, 100
"""Of a mixture and of a Vamp prior whose components are null."""

Conflict = tuple[str, str]
"""A dotted path inside the section, and the sentence that says what must hold there."""


class Section(BaseModel):
    """What every section keeps to: no unknown key, no silent conversion (`true` is no number), no nan, no change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def conflicts(self) -> Iterator[Conflict]:
        """What two fields of this section, each good by itself, may not be together."""
        return iter(())


class Data(Section):
    """Which text to read."""

    path: str | None = None
    """A folder with train, valid and test files, one file (split by hash of the sentence), or a hub name."""
    train: str | None = None
    """The training file, where the three are given one by one."""
    valid: str | None = None
    """The validation file."""
    test: str | None = None
    """The test file."""
    format: Literal["auto", "text", "jsonl", "csv", "tsv", "parquet", "hub"] = "auto"
    """What the files are; auto reads it from their names."""
    config: str | None = None
    """The configuration's name, for a hub corpus that has several."""
    column: str | int = "text"
    """The column that holds the sentence; a position, from 0, where a csv or tsv file names none."""
    label: str | int | None = None
    """The column to keep as a label; null for none."""
    valid_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the sentences held out for validation, where one file is given."""
    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the sentences held out for the test, where one file is given."""
    split_seed: int = 0
    """Changes which sentences are held out, and which `sentences` are taken."""
    sentences: int | None = Field(None, ge=1)
    """How many training sentences to learn from, the tokenizer seeing all of them; null takes all."""
    on_bad_row: Literal["error", "skip"] = "error"
    """A row that cannot be read stops the run, or is left out and counted."""
    max_tokens: int = Field(64, ge=2)
    """The longest sentence, in tokens with the end token."""
    too_long: Literal["error", "skip", "truncate"] = "error"
    """A longer sentence stops the run, is left out and counted, or is cut and counted."""

    def conflicts(self) -> Iterator[Conflict]:
        """A corpus has one origin."""
        if self.path is None and self.train is None:
            yield "path", "must name a folder, a file or a hub corpus; or give data.train, data.valid and data.test."
        if self.path is not None and (given := [k for k in ("train", "valid", "test") if getattr(self, k) is not None]):
            yield "path", f"cannot stand beside data.{given[0]}; keep the one you mean."
        if self.valid_fraction + self.test_fraction >= 1:
            yield (
                "valid_fraction",
                (
                    f"plus data.test_fraction must be < 1, got {self.valid_fraction} + {self.test_fraction}; "
                    "leave sentences to train on."
                ),
            )


class Tokenizer(Section):
    """How text becomes tokens."""

    type: Literal["unigram", "bpe", "word"] = "unigram"
    """The pieces: unigram and bpe lose no character, word keeps whitespace words (the Penn Treebank's way)."""
    vocabulary: int | None = Field(8000, ge=5)
    """How many pieces to train; null for every word of the training split (word only)."""
    unknown: str | None = None
    """How the token for unknown words is written; null is <unk>, or another name where the text has that word."""
    path: str | None = None
    """A ready tokenizer's folder or hub name; then none is trained."""

    def conflicts(self) -> Iterator[Conflict]:
        """Only whitespace words can be counted out."""
        if self.vocabulary is None and self.type != "word" and self.path is None:
            yield "vocabulary", f"must be a number for type {self.type}; null (every word) goes with type: word."


class Encoder(Section):
    """P_enc(z|y)."""

    backbone: str = "bert"
    """A transformers encoder: its model type (from scratch), or a local or hub path (its weights)."""
    config: dict[str, Any] | None = None
    """The backbone's own settings, by their transformers names; null is SMALL from scratch, a path's own as it is."""
    pooling: Literal["mean", "max", "first", "last"] = "mean"
    """How the tokens' vectors become one."""
    log_variance_bias: float = 0.0
    """The log-variance the posterior starts from; less starts with more rate."""
    fixed_variance: float | None = Field(None, gt=0)
    """The posterior's variance in every dimension; null learns one for each sentence."""
    batch_norm: float | None = Field(None, gt=0)
    """Spread that posterior means are normalised to, encoder dropout off; 0.5 in Zhu et al. 2020, null for none."""
    denoising: float = Field(0.0, ge=0, le=1)
    """Share of the words hidden from the encoder while training; 0.3 in Shen et al. 2020."""


class Decoder(Section):
    """P_dec(y|z)."""

    backbone: str = "gpt2"
    """A transformers causal language model: its model type (from scratch), or a local or hub path (its weights)."""
    config: dict[str, Any] | None = None
    """The backbone's own settings, by their transformers names; null is SMALL from scratch, a path's own as it is."""
    inject: Literal["prefix", "add", "both"] = "both"
    """How z enters: as prefix slots, added to every position, or both."""
    slots: int = Field(1, ge=1)
    """How many prefix slots z fills."""
    word_dropout: float = Field(0.0, ge=0, le=1)
    """Share of the words before a word hidden from it while training (Bowman et al. 2016)."""


class Model(Section):
    """The three distributions."""

    latent_size: int = Field(32, ge=0)
    """Dimensions of z; 0 trains the decoder alone, as a language model."""
    prior: Literal["standard", "learned", "mixture", "vamp"] = "standard"
    """P_pri(z): N(0, I), a diagonal Gaussian that learns, a mixture of them, or one of posteriors of learned inputs."""
    components: int | None = Field(None, ge=1)
    """Gaussians of a mixture prior (null is 10), or pseudo-inputs of a Vamp prior (null is 100)."""
    pseudo_tokens: int = Field(8, ge=1)
    """Vectors of each pseudo-input of a Vamp prior, in the place of a sentence's tokens."""
    encoder: Encoder = Encoder()
    """P_enc(z|y)."""
    decoder: Decoder = Decoder()
    """P_dec(y|z)."""

    def conflicts(self) -> Iterator[Conflict]:
        """Who decides mean and variance, and what only a mixture has."""
        if self.components is not None and self.prior not in ("mixture", "vamp"):
            yield "components", f"needs model.prior: mixture or vamp, got {self.prior!r}; set it, or take this key out."
        if self.encoder.batch_norm is not None and self.prior != "standard":
            yield (
                "encoder.batch_norm",
                f"is sure of a rate under model.prior: standard alone, got {self.prior!r}: a prior that learns would "
                "follow the means; take one of the two out.",
            )
        if self.encoder.fixed_variance is not None and self.encoder.log_variance_bias:
            yield (
                "encoder.log_variance_bias",
                "starts a variance that learns, and model.encoder.fixed_variance holds it; take one of the two out.",
            )


class Objective(Section):
    """loss = beta * rate + lam * distortion, in nats per sentence."""

    beta: float | None = Field(None, ge=0)
    """The rate's weight; null means 1, or that the target rate finds it."""
    lam: float = Field(1.0, ge=0)
    """The distortion's weight."""
    schedule: Literal["constant", "linear", "cyclical"] = "constant"
    """How beta comes to its value: at once, by one rise, or by a rise in every cycle."""
    schedule_steps: int | None = Field(None, ge=1)
    """Optimiser steps the schedule lasts, all cycles together."""
    beta_start: float | None = Field(None, ge=0)
    """The first beta, of a schedule (null is 0) or of a target rate (null is 1)."""
    cycles: int = Field(4, ge=1)
    """How many rises a cyclical schedule has."""
    ramp: float = Field(0.5, gt=0, le=1)
    """Share of a cycle spent rising."""
    zero: float = Field(0.0, ge=0, lt=1)
    """Share of a cycle at beta 0 before it rises; Li et al. 2020 have cycles 1, zero 0.5, ramp 0.25."""
    target_rate: float | None = Field(None, gt=0)
    """The rate to train to, in nats per sentence; beta then follows from it."""
    minimum_rate: float | None = Field(None, gt=0)
    """The least rate to train to, in nats per sentence; beta stays 1 above it and falls below; 5 in its paper."""
    target_gain: float = Field(0.02, gt=0)
    """Largest change of ln beta in one step."""
    capacity: float | None = Field(None, gt=0)
    """C, in nats per sentence, where capacity_weight * |rate - C| is charged in place of the rate."""
    capacity_weight: float = Field(1.0, gt=0)
    """The weight of |rate - C|; 1 in Prokhorov et al. 2019."""
    capacity_steps: int | None = Field(None, ge=1)
    """Steps in which C rises from 0, as in Burgess et al. 2018; null has C from the start."""
    free_nats: float = Field(0.0, ge=0)
    """Nats below which the rate is not pressed further."""
    free_nats_on: Literal["dimension", "sentence", "batch_dimension", "batch"] = "dimension"
    """What the floor holds for: each dimension or the sum, of each sentence or of the batch mean."""
    importance_samples: int = Field(1, ge=1)
    """Draws of z per sentence in training; above 1 the loss is Burda et al. 2016's bound, beta and lam inside it."""

    def conflicts(self) -> Iterator[Conflict]:
        """One thing decides beta, and the rate is charged in one way."""
        asked = [name for name in ("target_rate", "minimum_rate", "capacity") if getattr(self, name) is not None]
        for name in asked[1:]:
            yield name, f"and objective.{asked[0]} would each decide beta; take one of the two out."
        for name in asked[:1]:
            if self.beta is not None:
                yield name, "finds beta itself, so objective.beta must be null; take one of the two out."
            if self.schedule != "constant":
                yield name, f"finds beta itself, so objective.schedule must be constant, got {self.schedule!r}."
        yield from self._rate_conflicts()
        yield from self._schedule_conflicts()

    def _rate_conflicts(self) -> Iterator[Conflict]:
        """What is charged for the rate."""
        if self.minimum_rate is not None and self.beta_start is not None and self.beta_start > 1:
            yield "beta_start", f"must be <= 1, got {self.beta_start}: under a minimum rate beta is never above 1."
        if self.capacity_steps is not None and self.capacity is None:
            yield "capacity_steps", "needs objective.capacity, the rate to rise to; set it, or take this key out."
        if self.capacity is not None and self.free_nats:
            yield "free_nats", "and objective.capacity would each charge the rate; take one of the two out."
        if self.importance_samples > 1:
            for name in ("free_nats", "capacity"):
                if getattr(self, name):
                    yield name, "needs a rate apart, which objective.importance_samples > 1 has not; take one out."

    def _schedule_conflicts(self) -> Iterator[Conflict]:
        """What belongs to a schedule, and to which."""
        if self.zero and self.schedule != "cyclical":
            yield (
                "zero",
                "needs objective.schedule: cyclical, whose cycles begin with it; set it, or take this key out.",
            )
        if self.zero + self.ramp > 1:
            yield "zero", f"plus objective.ramp must be <= 1, a cycle, got {self.zero} + {self.ramp}."
        if self.schedule == "constant" and self.schedule_steps is not None:
            yield "schedule_steps", "needs a schedule; set objective.schedule to linear or cyclical, or take it out."
        steered = self.target_rate is not None or self.minimum_rate is not None
        if self.schedule == "constant" and not steered and self.beta_start is not None:
            yield "beta_start", "needs a schedule or a target rate; set objective.schedule, or take it out."
        if self.schedule != "constant" and self.schedule_steps is None:
            yield "schedule_steps", f"must be the number of steps that a {self.schedule} schedule lasts."


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


class Recipe(Section):
    """A run: text, tokens, the three distributions, the objective, the training and how it is judged."""

    name: str = Field(min_length=1, pattern=r"^[\w][\w.-]*$")
    """The run's folder inside `out`."""
    seed: int = Field(0, ge=0)
    """Decides the weights, the order of the data and the noise."""
    out: str = "runs"
    """The folder that holds the runs."""
    data: Data = Data()
    """Which text to read."""
    tokenizer: Tokenizer = Tokenizer()
    """How text becomes tokens."""
    model: Model = Model()
    """The three distributions."""
    objective: Objective = Objective()
    """loss = beta * rate + lam * distortion."""
    training: Training = Training()
    """How it learns."""
    evaluation: Evaluation = Evaluation()
    """How it is judged."""
    stages: list[Stage] = Field([Stage()], min_length=1)
    """The parts of the training, in their order."""

    def conflicts(self) -> Iterator[Conflict]:
        """Every conflict of every section, with its full path, and those between sections."""
        for name in type(self).model_fields:
            if isinstance(section := getattr(self, name), Section):
                yield from ((f"{name}.{path}", sentence) for path, sentence in section.conflicts())
        yield from self._prior_conflicts()
        names = [stage.name for stage in self.stages]
        for i, stage in enumerate(self.stages):
            if stage.name in names[:i]:
                yield f"stages.{i}.name", f"must be its own, got {stage.name!r} again."
            yield from ((f"stages.{i}.{path}", sentence) for path, sentence in stage.conflicts())
            if stage.aggressive and not self.model.latent_size:
                yield f"stages.{i}.aggressive", "needs a latent; raise model.latent_size, or take it out."
            if stage.objective.model_fields_set:
                merged = self.stage_objective(stage).conflicts()
                yield from ((f"stages.{i}.objective.{path}", sentence) for path, sentence in merged)

    def _prior_conflicts(self) -> Iterator[Conflict]:
        """What a prior of several Gaussians asks of other sections."""
        model = self.model
        if model.latent_size and model.prior in ("mixture", "vamp"):
            paths = {"objective.free_nats": self.objective}
            paths |= {f"stages.{i}.objective.free_nats": stage.objective for i, stage in enumerate(self.stages)}
            for path in (path for path, objective in paths.items() if objective.free_nats):
                yield (
                    path,
                    f"needs a rate in closed form, which model.prior: {model.prior} has not; set objective.target_rate "
                    "or objective.minimum_rate instead.",
                )
        if model.prior == "vamp" and model.pseudo_tokens > self.data.max_tokens:
            yield (
                "model.pseudo_tokens",
                f"must be <= data.max_tokens, the encoder's longest input, got {model.pseudo_tokens} and "
                f"{self.data.max_tokens}.",
            )

    def stage_objective(self, stage: Stage) -> Objective:
        """The objective of one stage: the recipe's, with what the stage says differently."""
        return self.objective.model_copy(
            update={k: getattr(stage.objective, k) for k in stage.objective.model_fields_set}
        )

    def stage_steps(self, stage: Stage) -> int:
        """The optimiser steps of one stage."""
        return self.training.steps if stage.steps is None else stage.steps
