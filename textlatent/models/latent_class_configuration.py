"""What a latent class model is made of: the configuration that is saved beside its tables."""

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig

FAMILIES = ("mixture_unigram", "mixture_bigram", "hmm")
ENCODERS = ("bayes", "bag_of_words", "transformer")


@strict
class TableDecoderConfig(PreTrainedConfig):
    """The tables of P_dec(y|z).

    Attributes:
        vocabulary: V.
        max_tokens: the longest sentence, EOS counted.
        eos: the word that ends a sentence.
        pad: what stands after it.
    """

    model_type = "textlatent_table_decoder"

    vocabulary: int = 2
    max_tokens: int = 64
    eos: int = 2
    pad: int = 0


@strict
class LatentClassConfig(PreTrainedConfig):
    """The parts of a latent class model.

    Attributes:
        family: "mixture_unigram", "mixture_bigram" (a class for each sentence) or "hmm" (a state for each word).
        classes: K.
        encoder_type: "bayes" (exact), "bag_of_words" or "transformer" (amortised).
        encoder: configuration of the transformer; None for the others.
        decoder: a TableDecoderConfig.
        prior_pseudo_count: a, of every class: ln P_pri gets a Dirichlet prior of parameters 1 + a.
        word_pseudo_count: a, of every word in every row of the decoder's tables, likewise.
        sentences: N, over which a log-prior on the tables is shared out where they learn by gradient.
    """

    model_type = "textlatent_latent_class"
    sub_configs: ClassVar[dict[str, Any]] = {"decoder": TableDecoderConfig}

    family: str = "mixture_unigram"
    classes: int = 4
    encoder_type: str = "bayes"
    encoder: dict | PreTrainedConfig | None = None
    decoder: dict | PreTrainedConfig | None = None
    prior_pseudo_count: float | int = 0.0
    word_pseudo_count: float | int = 0.0
    sentences: int = 1
    initializer_range: float = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Make dicts configurations."""
        if self.encoder is not None and not isinstance(self.encoder, PreTrainedConfig):
            values = dict(self.encoder)
            self.encoder = AutoConfig.for_model(values.pop("model_type", "bert"), **values)
        if not isinstance(self.decoder, TableDecoderConfig):
            values = dict(self.decoder or {})
            values.pop("model_type", None)
            self.decoder = TableDecoderConfig(**values)
        super().__post_init__(**kwargs)

    @property
    def latent_size(self) -> int:
        """Numbers of z: one for each class, or the states of the longest sentence."""
        assert isinstance(self.decoder, TableDecoderConfig)
        return self.decoder.max_tokens if self.family == "hmm" else self.classes

    def validate_parts(self) -> None:
        """Refuse what there is not, and an encoder that cannot say what the family asks."""
        for name, value, known in (("family", self.family, FAMILIES), ("encoder_type", self.encoder_type, ENCODERS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        if self.classes < 1:
            raise ValueError(f"classes must be >= 1, got {self.classes}.")
        if (self.encoder_type == "transformer") != (self.encoder is not None):
            raise ValueError("an encoder of type transformer, and no other, has a configuration in `encoder`.")
        if self.family == "hmm" and self.encoder_type == "bag_of_words":
            raise ValueError("a bag of words does not say which word is where: take encoder_type transformer or bayes.")
        if min(self.prior_pseudo_count, self.word_pseudo_count) < 0:
            raise ValueError("pseudo-counts must be >= 0; 0 is maximum likelihood.")
