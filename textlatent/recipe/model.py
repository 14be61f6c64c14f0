"""The section that says what the three distributions are."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from textlatent.recipe.codes import Codebook, CodePrior
from textlatent.recipe.section import Conflict, Section

SMALL = {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
"""What a backbone from scratch is made with where its config is null: it trains on two CPU cores."""

MIXTURE_COMPONENTS, VAMP_COMPONENTS = 10, 100
"""Of a mixture and of a Vamp prior whose components are null."""

OF_TYPES: dict[str, tuple[str, ...]] = {
    "latent_size": ("gaussian", "deterministic"),
    "prior": ("gaussian",),
    "components": ("gaussian",),
    "pseudo_tokens": ("gaussian",),
    "codebook": ("vq",),
    "code_prior": ("vq",),
    "encoder.pooling": ("gaussian", "deterministic"),
    "encoder.log_variance_bias": ("gaussian",),
    "encoder.fixed_variance": ("gaussian",),
    "encoder.batch_norm": ("gaussian",),
}
"""The keys of `model` that are for some types alone, by their path; another type neither takes nor writes them."""


class Encoder(Section):
    """P_enc(z|y)."""

    backbone: str = "bert"
    """A transformers encoder: its model type (from scratch), or a local or hub path (its weights)."""
    config: dict[str, Any] | None = None
    """The backbone's own settings, by their transformers names; null is SMALL from scratch, a path's own as it is."""
    weights: str | None = None
    """A run (or saved model) whose whole encoder to take, weights and settings; one of points needs fixed_variance."""
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

    def conflicts(self) -> Iterator[Conflict]:
        """What comes with an encoder that is taken whole."""
        if self.weights is None:
            return
        for name in ("backbone", "config", "pooling", "log_variance_bias", "batch_norm"):
            if getattr(self, name) != type(self).model_fields[name].default:
                yield name, "comes with the encoder of model.encoder.weights; take one of the two out."


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

    type: Literal["gaussian", "vq", "deterministic"] = "gaussian"
    """What z is: D numbers with a Gaussian posterior, P codes out of K, or a point of D numbers without a density."""
    latent_size: int = Field(32, ge=0)
    """Dimensions of z; 0 trains the decoder alone, as a language model."""
    prior: Literal["standard", "learned", "mixture", "vamp"] = "standard"
    """P_pri(z): N(0, I), a diagonal Gaussian that learns, a mixture of them, or one of posteriors of learned inputs."""
    components: int | None = Field(None, ge=1)
    """Gaussians of a mixture prior (null is 10), or pseudo-inputs of a Vamp prior (null is 100)."""
    pseudo_tokens: int = Field(8, ge=1)
    """Vectors of each pseudo-input of a Vamp prior, in the place of a sentence's tokens."""
    codebook: Codebook = Codebook()
    """The codes, where they are what z is."""
    code_prior: CodePrior = CodePrior()
    """P_pri(k) over codes."""
    encoder: Encoder = Encoder()
    """P_enc(z|y)."""
    decoder: Decoder = Decoder()
    """P_dec(y|z)."""

    def conflicts(self) -> Iterator[Conflict]:
        """What another type's z has, who decides mean and variance, and what only a mixture has."""
        yield from self._type_conflicts()
        if self.type == "deterministic" and not self.latent_size:
            yield "latent_size", "must be >= 1 where z is a point; model.type: gaussian with 0 is a language model."
        for name in ("codebook", "code_prior"):
            if self.type in OF_TYPES[name]:
                yield from ((f"{name}.{path}", sentence) for path, sentence in getattr(self, name).conflicts())
        yield from ((f"encoder.{path}", sentence) for path, sentence in self.encoder.conflicts())
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

    def _type_conflicts(self) -> Iterator[Conflict]:
        """Keys that are written and say nothing of this type."""
        for path, types in OF_TYPES.items():
            section, _, name = path.rpartition(".")
            holder = getattr(self, section) if section else self
            if name in holder.model_fields_set and self.type not in types:
                yield path, f"is for model.type: {' or '.join(types)}, got {self.type}; take one of the two out."

    @model_serializer(mode="wrap")
    def _own_keys(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What is written back: the keys of this type."""
        values: dict[str, Any] = write(self)
        for path in (path for path, types in OF_TYPES.items() if self.type not in types):
            section, _, name = path.rpartition(".")
            (values[section] if section else values).pop(name, None)
        return values
