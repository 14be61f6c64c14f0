"""What the models of sentences are made of: the configurations that are saved beside their weights."""

import math
from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from textlatent.decoder.sentence import SentenceDecoderConfig
from textlatent.encoder.codes import BOOKS

PRIORS = ("standard", "learned", "mixture", "vamp")
LOUDNESS = 0.02 * 32**0.5
"""Deviation of what z adds to a token's embedding at the start, where z are codes: a Gaussian model's at D = 32.

Codes have variance 1 from the first step, where a posterior's mean grows from 0. Measured on the Penn Treebank after
400 steps of four positions: distortion 126.8 nats where 128 numbers were 0.23 loud, 122.3 where 32 were 0.11 loud.
"""
CODE_PRIORS = ("uniform", "independent", "autoregressive")
OF_LEARNED_CODES = (
    *("codes", "size", "books", "gradient_rule", "commitment", "rotation", "decay", "codebook_lr_factor", "revive"),
)
"""What of a SentenceVQConfig says how many codes there are and how they learn."""


@strict
class AutoencoderConfig(PreTrainedConfig):
    """What every autoencoder of sentences has. Abstract: a model says what lies between encoder and decoder.

    Attributes:
        encoder: configuration of any transformers encoder.
        decoder: a SentenceDecoderConfig: any causal transformer, and how z enters it (a transformer alone: "both").
        latent_size: D, numbers of z.
        denoising: share of the words that are hidden from the encoder while training.
    """

    sub_configs: ClassVar[dict[str, Any]] = {"encoder": AutoConfig, "decoder": SentenceDecoderConfig}

    encoder: dict | PreTrainedConfig | None = None
    decoder: dict | PreTrainedConfig | None = None
    latent_size: int = 32
    denoising: float | int = 0.0
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Make dicts configurations."""
        if not isinstance(self.encoder, PreTrainedConfig):
            values = dict(self.encoder or {})
            self.encoder = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        if not isinstance(self.decoder, SentenceDecoderConfig):
            values = {"backbone": self.decoder} if isinstance(self.decoder, PreTrainedConfig) else self.decoder or {}
            values = {"latent_size": self.latent_size, **values}
            values.pop("model_type", None)
            self.decoder = SentenceDecoderConfig(**values)
        super().__post_init__(**kwargs)

    def validate_decoder(self) -> None:
        """Refuse a decoder built for another latent."""
        assert isinstance(self.decoder, SentenceDecoderConfig)
        if self.decoder.latent_size != self.latent_size:
            raise ValueError(f"the decoder expects {self.decoder.latent_size} dimensions of z, got {self.latent_size}.")

    def validate_denoising(self) -> None:
        """Refuse a share that is none, and hidden words without a token that stands for them."""
        assert isinstance(self.decoder, SentenceDecoderConfig)
        if not 0.0 <= self.denoising <= 1.0:
            raise ValueError(f"denoising must be between 0 and 1, got {self.denoising}.")
        if self.denoising and self.decoder.unk_token_id is None:
            raise ValueError(
                "denoising writes the unknown token over words, and there is none: set the decoder's unk_token_id, "
                "take a tokenizer that has one, or set denoising to 0."
            )


@strict
class SentenceVAEConfig(AutoencoderConfig):
    """The parts of a sentence VAE.

    Attributes:
        latent_size: D; 0 makes it a language model: no encoder, no z, rate 0.
        prior: "standard" or "learned" (THEORY T5), "mixture" or "vamp" (prior/mixture.py).
        components: of a mixture or Vamp prior; 10 or 100 if not given.
        pseudo_tokens: vectors of each of a Vamp prior's pseudo-inputs.
        pooling: "mean", "max", "first" or "last": tokens' vectors to one.
        log_variance_bias: the log-variance the posterior starts from.
        fixed_variance: the posterior's variance in every dimension; learned if not given.
        batch_norm: gamma of normalised posterior means (encoder/normalised.py); as they are if not given.
    """

    model_type = "textlatent_gaussian_vae"

    prior: str = "standard"
    components: int | None = None
    pseudo_tokens: int = 8
    pooling: str = "mean"
    log_variance_bias: float | int = 0.0
    fixed_variance: float | int | None = None
    batch_norm: float | int | None = None

    def validate_prior(self) -> None:
        """Refuse an unknown prior, and one that would follow normalised means."""
        if self.prior not in PRIORS:
            raise ValueError(f"prior must be one of {', '.join(PRIORS)}, got {self.prior!r}.")
        if self.batch_norm is not None and self.prior != "standard":
            raise ValueError(
                f"batch_norm is sure of a rate under prior standard alone, got {self.prior}: a prior that learns would "
                "follow the means; take one of the two out."
            )


@strict
class SentenceVQConfig(AutoencoderConfig):
    """The parts of a sentence VQ model: P positions, a code of K at each, d numbers a code; D = P d, or d of residuals.

    Attributes:
        latent_size: D, which follows from the next ones.
        positions: P.
        codes: K.
        size: d.
        levels: of each of the d components, where the codes are a fixed grid (encoder/finite_scalar.py): K and d follow
            and the next ones up to `revive` have no meaning; learned codes if not given.
        books: "shared" (one codebook), "position" (one for each: a product codebook) or "residual" (each of what those
            before left of one vector, z their sum).
        gradient_rule: "published", "both" or "end_to_end" (THEORY T7).
        commitment: beta, the pull of the encoder towards its code; 0.5 if not given and the rule has one.
        rotation: g reaches the encoder turned as the code is turned from its vector (gradient/codes.py).
        decay: of the codes as rolling averages (THEORY T8); learned by gradient if not given.
        codebook_lr_factor: eta, in units of the learning rate, where codes are learned by gradient; 1 if not given.
        revive: the share of its fair use below which a code starts anew; never if not given.
        prior: "uniform", "independent" or "autoregressive".
        prior_size: hidden numbers of an autoregressive prior, as the next ones.
        prior_layers: of its transformer.
        prior_heads: of its attention.
        prior_dropout: in it.
    """

    model_type = "textlatent_vq"

    latent_size: int = 0
    positions: int = 8
    codes: int = 512
    size: int = 64
    levels: list[int] | None = None
    books: str = "shared"
    gradient_rule: str = "published"
    commitment: float | int | None = None
    rotation: bool = False
    decay: float | int | None = 0.99
    codebook_lr_factor: float | int | None = None
    revive: float | int | None = 0.05
    prior: str = "uniform"
    prior_size: int = 128
    prior_layers: int = 2
    prior_heads: int = 4
    prior_dropout: float | int = 0.1

    def __post_init__(self, **kwargs: Any) -> None:
        """D, the decoder's maps of z for so many numbers, and what every model has."""
        if self.levels is not None:
            self._take_levels(self.levels)
        self.latent_size = self.size * (1 if self.books == "residual" else self.positions)
        if not isinstance(self.decoder, SentenceDecoderConfig):
            given = {"backbone": self.decoder} if isinstance(self.decoder, PreTrainedConfig) else self.decoder or {}
            self.decoder = {"initializer_range": LOUDNESS / self.latent_size**0.5, **given}
        super().__post_init__(**kwargs)

    def _take_levels(self, levels: list[int]) -> None:
        """K and d of a grid; how codes learn is written as if not given, which is also how a saved one is read."""
        follow = {"codes": math.prod(levels), "size": len(levels)}
        for name in OF_LEARNED_CODES:
            usual, value = getattr(SentenceVQConfig, name), getattr(self, name)
            if value not in (usual, follow.get(name, usual)):
                raise ValueError(f"{name} means nothing where levels make a fixed grid, got {value!r}; leave it out.")
        self.codes, self.size = follow["codes"], follow["size"]

    def validate_codes(self) -> None:
        """Refuse an unknown prior or arrangement of codebooks."""
        for name, value, known in (("prior", self.prior, CODE_PRIORS), ("books", self.books, BOOKS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        if self.rotation and self.books == "residual":
            raise ValueError("rotation turns the gradient of one code, and residual codes share it; take one out.")


@strict
class SentenceAutoencoderConfig(AutoencoderConfig):
    """The parts of a plain autoencoder of sentences.

    Attributes:
        latent_size: D, 1 or more.
        pooling: "mean", "max", "first" or "last": tokens' vectors to one.
    """

    model_type = "textlatent_deterministic"

    pooling: str = "mean"
