"""The sentence VAE: Gaussian encoder x Gaussian prior x sentence decoder x pathwise gradient."""

from copy import deepcopy
from typing import Any, ClassVar

import torch
from huggingface_hub.dataclasses import strict
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedConfig
from transformers import initialization as init

from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.encoder.gaussian import EmptyEncoder, GaussianEncoder
from textlatent.gradient.pathwise import reparameterise
from textlatent.models.autoencoder import Autoencoder
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.noise import DENOISING, LATENT, WORD_DROPOUT, chosen, normal
from textlatent.prior.gaussian import LearnedGaussian, StandardNormal
from textlatent.scores import Scores

PRIORS = {"standard": StandardNormal, "learned": LearnedGaussian}


@strict
class SentenceVAEConfig(PreTrainedConfig):
    """The parts of a sentence VAE.

    Attributes:
        encoder: configuration of any transformers encoder.
        decoder: a SentenceDecoderConfig: any causal transformer, and how z enters it (a transformer alone: "both").
        latent_size: D; 0 makes it a language model: no encoder, no z, rate 0.
        prior: "standard" or "learned" (THEORY T5).
        pooling: "mean", "max", "first" or "last": tokens' vectors to one.
        log_variance_bias: the log-variance the posterior starts from.
        denoising: share of the words that are hidden from the encoder while training.
    """

    model_type = "textlatent_gaussian_vae"
    sub_configs: ClassVar[dict[str, Any]] = {"encoder": AutoConfig, "decoder": SentenceDecoderConfig}

    encoder: dict | PreTrainedConfig | None = None
    decoder: dict | PreTrainedConfig | None = None
    latent_size: int = 32
    prior: str = "standard"
    pooling: str = "mean"
    log_variance_bias: float | int = 0.0
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


class SentenceVAE(Autoencoder):
    """N(mu(y), sigma(y)^2) x N(0, I) x prod_t P(y_t | y_<t, z), z = mu + sigma eps (THEORY T1, T2, T4, T5)."""

    config_class = SentenceVAEConfig
    encoder: GaussianEncoder | EmptyEncoder

    def __init__(self, config: SentenceVAEConfig) -> None:
        super().__init__(config)
        assert isinstance(config.encoder, PreTrainedConfig)
        assert isinstance(config.decoder, SentenceDecoderConfig)
        if config.latent_size:
            self.encoder = GaussianEncoder(
                config.encoder,
                latent_size=config.latent_size,
                pooling=config.pooling,
                log_variance_bias=config.log_variance_bias,
            )
        else:
            self.encoder = EmptyEncoder()
        self.prior = PRIORS[config.prior](config.latent_size)
        self.decoder = SentenceDecoder(config.decoder)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """A learned prior starts as N(0, I); all else as transformers has it."""
        if isinstance(module, LearnedGaussian):
            init.zeros_(module.mean)
            init.zeros_(module.log_variance)
        elif isinstance(module, StandardNormal):
            init.zeros_(module.zero)
        else:
            super()._init_weights(module)

    def posterior(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence of a batch."""
        return self.encoder(tokens, torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None])

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"], z: Float[Tensor, "B D"]
    ) -> Float[Tensor, "B T"]:
        """Ln P_dec(y_t | y_<t, z), nats, 0 on padding, for a z that may come from anywhere."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return self.decoder.log_prob_token(tokens, z, mask)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        index: Int[Tensor, " B"],
        *,
        words: Int[Tensor, " B"] | None = None,
        characters: Int[Tensor, " B"] | None = None,
        label: Int[Tensor, " B"] | None = None,
        seed: int = 0,
        epoch: int = 0,
        samples: int = 1,
        first_sample: int = 0,
        densities: bool = True,
        keep_latents: bool = False,
        keep_tokens: bool = False,
    ) -> Scores:
        """What the VAE says of a batch, nats per sentence; arguments as in `Autoencoder.forward`."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]  # [B, T]
        enc: DiagonalGaussian = self.encoder(self._corrupted(tokens, lengths, index, seed=seed, epoch=epoch), mask)
        pri: DiagonalGaussian = self.prior()
        size = self.config.latent_size
        noise = normal(
            index, seed=seed, epoch=epoch, shape=(size,), stream=LATENT, samples=samples, first_sample=first_sample
        ).to(enc.mean.dtype)
        z = reparameterise(enc, noise)  # [S, B, D]

        every = [x.expand(samples, *x.shape).flatten(0, 1) for x in (tokens, mask)]  # [S * B, T]; no copy where S is 1
        dropped = self._hidden(
            index, self.config.decoder.word_dropout, stream=WORD_DROPOUT, seed=seed, epoch=epoch, width=tokens.shape[1]
        )
        dropped = None if dropped is None else dropped.repeat(samples, 1)  # all draws of z explain one reading
        dec = self.decoder.log_prob_token(every[0], z.flatten(0, 1), every[1], hidden=dropped)
        dec = dec.view(samples, *tokens.shape)  # [S, B, T]
        exact_enc, exact_pri = enc.double(), pri.double()
        return Scores(
            log_p_enc=exact_enc.log_prob(z.double()) if densities else None,
            log_p_pri=exact_pri.log_prob(z.double()) if densities else None,
            log_p_dec=dec.sum(-1, dtype=torch.float64),
            kl=kl_per_dimension(exact_enc, exact_pri),
            z=z[:1] if keep_latents else None,
            posterior_mean=enc.mean if keep_latents else None,
            posterior_log_variance=enc.log_variance if keep_latents else None,
            prior_mean=pri.mean if keep_latents else None,
            prior_log_variance=pri.log_variance if keep_latents else None,
            log_p_dec_token=dec[0] if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
        )

    def _hidden(
        self, index: Int[Tensor, " B"], share: float, *, stream: int, seed: int, epoch: int, width: int
    ) -> Bool[Tensor, "B T"] | None:
        """Which words are hidden while training; None where none are."""
        if not (self.training and share):
            return None
        return chosen(index, share=share, seed=seed, epoch=epoch, width=width, stream=stream)

    def _corrupted(self, tokens: Tensor, lengths: Tensor, index: Tensor, *, seed: int, epoch: int) -> Tensor:
        """What the encoder reads: while training, a share of the words (never EOS) as the unknown token.

        Source: Shen et al. 2020, arXiv:1905.12777; there words are left out, here they keep their place.
        """
        width = tokens.shape[1]
        hidden = self._hidden(index, self.config.denoising, stream=DENOISING, seed=seed, epoch=epoch, width=width)
        if hidden is None:
            return tokens
        words = torch.arange(width, device=tokens.device) < lengths[:, None] - 1
        return tokens.masked_fill(hidden & words, self.config.decoder.unk_token_id)

    @torch.no_grad()
    def standardise(self) -> "SentenceVAE":
        """A model with a standard normal prior that gives the same nats and logits (THEORY T5).

        z' = (z - mu_p) / sigma_p: the encoder's affine head and the decoder's maps of z take the change up, so that
        rate, distortion, importance weights and every logit are unchanged.

        Raises:
            ValueError: the prior is standard already.
        """
        if self.config.prior != "learned":
            raise ValueError("the prior is N(0, I) already; only prior: learned can be standardised.")
        prior: DiagonalGaussian = self.prior()
        other = deepcopy(self)
        other.config.prior = "standard"
        other.prior = StandardNormal(self.config.latent_size).to(self.device, self.dtype)
        other.encoder.rescale(prior)
        other.decoder.rescale(prior.mean, prior.std)
        return other
