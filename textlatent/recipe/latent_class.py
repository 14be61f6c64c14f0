"""The recipe of a latent class model: classes or states, tables of words, and one of three ways to learn them."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from textlatent.recipe.data import Data, Tokenizer
from textlatent.recipe.section import AnyRecipe, Conflict, Section

LARGEST = 4 * 2**30
"""Bytes of a mixture of bigrams' tables, above which a recipe is refused."""


class ClassModel(Section):
    """The three distributions."""

    family: Literal["mixture_unigram", "mixture_bigram", "hmm"] = "mixture_unigram"
    """A class for each sentence, its words independent or a bigram's; or a Markov chain with a state for each word."""
    classes: int = Field(8, ge=1)
    """K, of classes or states."""
    prior_pseudo_count: float = Field(0.0, ge=0)
    """Added to the expected count of every class (MAP under a Dirichlet prior); 0 is maximum likelihood."""
    word_pseudo_count: float = Field(0.01, ge=0)
    """Added to the expected count of every word in every row; above 0, no sentence of known words is impossible."""
    start_noise: float = Field(1.0, ge=0)
    """Deviation of each ln P around the corpus's own at the start; 0 makes all classes alike, told and mended."""
    encoder: Literal["bag_of_words", "transformer"] | None = None
    """What is taught to say P(k|y) under method amortised; null is Bayes's rule, which the other methods use."""
    encoder_config: dict[str, Any] | None = None
    """A transformer encoder's own settings (of BERT), by their transformers names; null is 2 layers of 256."""

    def conflicts(self) -> Iterator[Conflict]:
        """A bag of words has no order, and only a transformer has settings."""
        if self.family == "hmm" and self.encoder == "bag_of_words":
            yield (
                "encoder",
                "bag_of_words does not say which word is where, as model.family hmm asks; take transformer.",
            )
        if self.encoder_config is not None and self.encoder != "transformer":
            yield "encoder_config", "is a transformer's; set model.encoder: transformer, or take this key out."


class ExpectationMaximisation(Section):
    """How EM goes."""

    iterations: int = Field(200, ge=1)
    """M-steps of a start, at most."""
    tolerance: float = Field(1e-6, ge=0)
    """A start has converged when an iteration gains less, nats per sentence."""
    restarts: int = Field(5, ge=1)
    """Starts; the one with the best objective is kept, and all are told."""
    log_every: int = Field(1, ge=1)
    """Iterations between two lines of metrics.jsonl."""
    save_every: int = Field(50, ge=1)
    """Iterations between two checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many of the newest checkpoints to keep."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of each process; null is torch's own choice."""


class ClassTraining(Section):
    """How the loop goes, where the tables learn by gradient."""

    steps: int = Field(2000, ge=1)
    """Optimiser steps."""
    tokens_per_step: int = Field(4096, ge=1)
    """Padded tokens of one optimiser step, over all processes and accumulation parts."""
    accumulation: int = Field(1, ge=1)
    """Parts each step is computed in; changes the memory, not the result."""
    learning_rate: float = Field(0.03, gt=0)
    """AdamW's peak step size."""
    warmup_steps: int = Field(100, ge=0)
    """Steps in which the learning rate rises from 0 to its peak."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after its warmup."""
    clip: float | None = Field(None, gt=0)
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
    """CPU threads of each process; null is torch's own choice."""
    deterministic: bool = False
    """Bit-exact repeats on CUDA too, at some speed."""

    def conflicts(self) -> Iterator[Conflict]:
        """AdamW's averaging rates are shares."""
        if not all(0 <= b < 1 for b in self.betas):
            yield "betas", f"must be two numbers in [0, 1), got {self.betas}."


class ClassEvaluation(Section):
    """How it is judged."""

    split: Literal["train", "valid", "test"] = "test"
    """Which sentences."""
    sentences: int | None = Field(None, ge=1)
    """How many sentences; null takes the whole split."""
    tokens_per_batch: int = Field(8192, ge=1)
    """Padded tokens of one batch; changes the memory, not the result."""


class LatentClassRecipe(AnyRecipe):
    """A run of a latent class model, whose posterior and likelihood are exact sums (THEORY T12)."""

    kind: Literal["latent_class"] = "latent_class"
    """What is made: a mixture of unigrams or bigrams, or a hidden Markov model."""
    method: Literal["em", "gradient", "amortised"] = "em"
    """Exact EM; the exact gradient of the marginal likelihood; or a VAE whose encoder is taught, its sums exact."""
    data: Data = Data()
    """Which text to read."""
    tokenizer: Tokenizer = Tokenizer()
    """How text becomes tokens."""
    model: ClassModel = ClassModel()
    """The three distributions."""
    em: ExpectationMaximisation | None = None
    """How method em goes; null is the defaults."""
    training: ClassTraining | None = None
    """How methods gradient and amortised go; null is the defaults."""
    evaluation: ClassEvaluation = ClassEvaluation()
    """How it is judged."""

    def conflicts(self) -> Iterator[Conflict]:
        """Every conflict of every section, and those between them."""
        yield from super().conflicts()
        if self.method == "em" and self.training is not None:
            yield "training", "is for methods gradient and amortised, and method is em; set `em`, or take this out."
        if self.method != "em" and self.em is not None:
            yield "em", f"is for method em, and method is {self.method}; set `training`, or take this out."
        if self.method == "amortised" and self.model.encoder is None:
            yield "model.encoder", "must say what is taught: bag_of_words or transformer; or set method: gradient."
        if self.method != "amortised" and self.model.encoder is not None:
            yield "model.encoder", f"is for method amortised; method {self.method} computes the posterior. Take it out."
        words = self.tokenizer.vocabulary
        if self.model.family == "mixture_bigram" and words is not None and self.tokenizer.path is None:
            size = 8 * self.model.classes * words**2
            if size > LARGEST:
                yield (
                    "tokenizer.vocabulary",
                    f"of {words:,} words makes {self.model.classes} tables of pairs that take {size / 2**30:.0f} GiB; "
                    "lower it, or model.classes, or take model.family: mixture_unigram or hmm.",
                )
