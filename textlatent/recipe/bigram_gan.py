"""The recipe of a bigram GAN: tables that write sentences against a discriminator, trained by an estimator."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from textlatent.recipe.data import Data, Tokenizer
from textlatent.recipe.section import AnyRecipe, Conflict, Section

READER = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 128}
"""What a transformer discriminator is made with where its config is null."""


class GanText(Data):
    """Which text to read; max_tokens is T, the words of every sentence, EOS and what stands after it included."""

    max_tokens: int = Field(32, ge=2)
    """T, in tokens with the end token: shorter sentences are filled with it, longer ones fall under too_long."""


class GanTokenizer(Tokenizer):
    """How text becomes tokens."""

    type: Literal["unigram", "bpe", "word"] = "word"
    """The pieces: unigram and bpe lose no character, word keeps whitespace words (the Penn Treebank's way)."""
    vocabulary: int | None = Field(None, ge=5)
    """V; Q takes 8 V^2 bytes, and with the discriminator's table and both optimisers eight times that."""


class Generator(Section):
    """The tables P and Q, and how their gradient is had."""

    estimator: Literal[
        "inverse_cdf",
        "exact",
        "boundary",
        "reinforce",
        "constant",
        "optimal",
        "leave_one_out",
        "rebar",
        "straight_through",
        "reinmax",
        "gumbel_softmax",
        "straight_through_gumbel",
    ] = "leave_one_out"
    """How the generator's gradient is had; inverse_cdf differentiates the words themselves, and gets none."""
    cost: Literal["log_ratio", "minimax", "non_saturating"] = "log_ratio"
    """What the generator loses: -s, ln(1 - D) or -ln D, for a verdict's logit s and D = sigmoid(s)."""
    centred: bool = False
    """Take the mean cost of a word off every word, so that a sentence is not ended to be spared costs."""
    temperature: float | None = Field(None, gt=0)
    """Of a relaxed word, for rebar and the Gumbel estimators; null is 0.5."""

    def conflicts(self) -> Iterator[Conflict]:
        """A temperature belongs to a relaxation."""
        tempered = ("rebar", "gumbel_softmax", "straight_through_gumbel")
        if self.temperature is not None and self.estimator not in tempered:
            yield "temperature", f"needs an estimator that relaxes words ({', '.join(tempered)}); take this key out."


class Discriminator(Section):
    """Who tells the generator's sentences from the corpus's."""

    type: Literal["table", "transformer"] = "table"
    """A logit for each pair of words, or a transformer that reads the sentence."""
    judges: Literal["pairs", "sentence"] | None = None
    """What a table judges; null is pairs. A transformer judges the sentence."""
    backbone: str | None = None
    """A transformers encoder's model type, from scratch; null is bert."""
    config: dict[str, Any] | None = None
    """The backbone's own settings, by their transformers names; null is READER."""

    def conflicts(self) -> Iterator[Conflict]:
        """A table has no backbone, and a transformer judges sentences."""
        for key in ("backbone", "config"):
            if self.type == "table" and getattr(self, key) is not None:
                yield key, "is a transformer's; set model.discriminator.type: transformer, or take this key out."
        if self.type == "transformer" and self.judges == "pairs":
            yield "judges", "pairs is a table's; a transformer judges the sentence."


class GanModel(Section):
    """Two players."""

    generator: Generator = Generator()
    """The tables P and Q, and how their gradient is had."""
    discriminator: Discriminator = Discriminator()
    """Who tells the generator's sentences from the corpus's."""

    def conflicts(self) -> Iterator[Conflict]:
        """Some estimators ask what words would have cost that were not drawn."""
        for name in ("generator", "discriminator"):
            yield from ((f"{name}.{path}", sentence) for path, sentence in getattr(self, name).conflicts())
        pairs = self.discriminator.type == "table" and self.discriminator.judges in (None, "pairs")
        if self.generator.estimator in ("exact", "boundary", "rebar") and not pairs:
            yield (
                "generator.estimator",
                f"{self.generator.estimator} needs the cost of words that were not drawn, which only a table that "
                "judges pairs has; take leave_one_out, or set model.discriminator.type: table.",
            )
        if self.generator.centred and not pairs:
            yield "generator.centred", "needs a table that judges pairs: one verdict is not spared by ending early."


class GanTraining(Section):
    """How the two learn."""

    steps: int = Field(2000, ge=1)
    """Rounds: updates of the discriminator, then one of the generator."""
    sentences_per_step: int = Field(512, ge=1)
    """Real sentences of an update of the discriminator, over all processes."""
    samples: int = Field(512, ge=2)
    """Sentences written for each update, over all processes."""
    discriminator_updates: int = Field(1, ge=1)
    """Updates of the discriminator in a round."""
    learning_rate: float = Field(0.03, gt=0)
    """The generator's peak step size (AdamW)."""
    discriminator_learning_rate: float = Field(0.05, gt=0)
    """The discriminator's peak step size (AdamW)."""
    weight_decay: float = Field(0.0, ge=0)
    """Decay of both players' matrices; above 0 it moves tables that no gradient moves."""
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rates fall."""
    betas: list[float] = Field([0.9, 0.99], min_length=2, max_length=2)
    """AdamW's two averaging rates."""
    log_every: int = Field(20, ge=1)
    """Rounds between two lines of metrics.jsonl."""
    validate_every: int = Field(250, ge=1)
    """Rounds between two validations."""
    sample_every: int = Field(500, ge=0)
    """Rounds between two looks at samples; 0 for none."""
    save_every: int = Field(500, ge=1)
    """Rounds between two checkpoints."""
    keep_checkpoints: int = Field(2, ge=1)
    """How many checkpoints to keep beside the best."""
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


class GanEvaluation(Section):
    """How it is judged."""

    split: Literal["train", "valid", "test"] = "test"
    """Which sentences."""
    sentences: int | None = Field(None, ge=1)
    """How many sentences; null takes the whole split."""
    tokens_per_batch: int = Field(8192, ge=1)
    """Padded tokens of one batch; changes the memory, not the result."""
    language: bool = True
    """Where the corpus's language is known, also sum over all its sentences: JSD and both KLs, exactly."""


class BigramGanRecipe(AnyRecipe):
    """A run of a bigram GAN."""

    kind: Literal["bigram_gan"] = "bigram_gan"
    """What is made: tables of words and pairs that write sentences against a discriminator."""
    data: GanText = GanText()
    """Which text to read."""
    tokenizer: GanTokenizer = GanTokenizer()
    """How text becomes tokens."""
    model: GanModel = GanModel()
    """The two players."""
    training: GanTraining = GanTraining()
    """How they learn."""
    evaluation: GanEvaluation = GanEvaluation()
    """How it is judged."""
