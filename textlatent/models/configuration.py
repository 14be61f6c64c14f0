"""What a sentence VAE is made of: the configuration that is saved beside its weights."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

from textlatent.decoder.sentence import SentenceDecoderConfig

PRIORS = ("standard", "learned", "mixture", "vamp")


@strict
class SentenceVAEConfig(PreTrainedConfig):
    """The parts of a sentence VAE.

    Attributes:
        encoder: configuration of any transformers encoder.
        decoder: a SentenceDecoderConfig: any causal transformer, and how z enters it (a transformer alone: "both").
        latent_size: D; 0 makes it a language model: no encoder, no z, rate 0.
        prior: "standard" or "learned" (THEORY T5), "mixture" or "vamp" (prior/mixture.py).
        components: of a mixture or Vamp prior; 10 or 100 if not given.
        pseudo_tokens: vectors of each of a Vamp prior's pseudo-inputs.
        pooling: "mean", "max", "first" or "last": tokens' vectors to one.
        log_variance_bias: the log-variance the posterior starts from.
        fixed_variance: the posterior's variance in every dimension; learned if not given.
        batch_norm: gamma of normalised posterior means (encoder/normalised.py); as they are if not given.
        denoising: share of the words that are hidden from the encoder while training.
    """

    model_type = "textlatent_gaussian_vae"
    sub_configs: ClassVar[dict[str, Any]] = {"encoder": AutoConfig, "decoder": SentenceDecoderConfig}

    encoder: dict | PreTrainedConfig | None = None
    decoder: dict | PreTrainedConfig | None = None
    latent_size: int = 32
    prior: str = "standard"
    components: int | None = None
    pseudo_tokens: int = 8
    pooling: str = "mean"
    log_variance_bias: float | int = 0.0
    fixed_variance: float | int | None = None
    batch_norm: float | int | None = None
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

    def validate_parts(self) -> None:
        """Refuse an unknown prior, and a decoder built for another latent."""
        if self.prior not in PRIORS:
            raise ValueError(f"prior must be one of {', '.join(PRIORS)}, got {self.prior!r}.")
        if self.batch_norm is not None and self.prior != "standard":
            raise ValueError(
                f"batch_norm is sure of a rate under prior standard alone, got {self.prior}: a prior that learns would "
                "follow the means; take one of the two out."
            )
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
