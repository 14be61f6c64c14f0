"""The sentence VAE: Gaussian encoder x Gaussian prior x sentence decoder x pathwise gradient."""

import math
from collections.abc import Sequence
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig
from transformers import initialization as init

from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig
from textlatent.encoder.gaussian import EmptyEncoder, GaussianEncoder
from textlatent.encoder.normalised import NormalisedMean
from textlatent.gradient.pathwise import reparameterise
from textlatent.models.autoencoder import Autoencoder, token_mask
from textlatent.models.configuration import SentenceVAEConfig
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.mixture import GaussianMixture
from textlatent.nats.noise import LATENT, PRIOR_COMPONENT, PRIOR_DRAW, normal, uniform
from textlatent.prior.gaussian import LearnedGaussian, StandardNormal
from textlatent.prior.mixture import APART, MIXTURE_COMPONENTS, VAMP_COMPONENTS, MixturePrior, VampPrior
from textlatent.prior.prior import Prior
from textlatent.scores import Scores


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
                fixed_variance=config.fixed_variance,
                batch_norm=config.batch_norm,
            )
        else:
            self.encoder = EmptyEncoder()
        self.prior = self._new_prior(config)
        self.decoder = SentenceDecoder(config.decoder)
        self.post_init()

    def _new_prior(self, config: SentenceVAEConfig) -> Prior:
        if config.prior == "standard" or not isinstance(self.encoder, GaussianEncoder):
            return StandardNormal(config.latent_size)  # over no dimensions there is nothing to learn
        if config.prior == "learned":
            return LearnedGaussian(config.latent_size)
        if config.prior == "mixture":
            return MixturePrior(config.latent_size, components=config.components or MIXTURE_COMPONENTS)
        width, components = self.encoder.embedding_size, config.components or VAMP_COMPONENTS
        return VampPrior(width, components=components, tokens=config.pseudo_tokens)

    def _init_weights(self, module: nn.Module) -> None:
        """A learned prior starts as N(0, I), or near it; all else as transformers has it."""
        if isinstance(module, LearnedGaussian):
            init.zeros_(module.mean)
            init.zeros_(module.log_variance)
        elif isinstance(module, StandardNormal):
            init.zeros_(module.zero)
        elif isinstance(module, MixturePrior):
            init.zeros_(module.logits)
            init.normal_(module.mean, std=APART)
            init.zeros_(module.log_variance)
        elif isinstance(module, VampPrior):
            init.normal_(module.inputs, std=module.SCALE)
        elif isinstance(module, NormalisedMean):
            for tensor in (module.mean, module.shift):
                init.zeros_(tensor)
            init.ones_(module.variance)
        elif isinstance(module, GaussianEncoder) and module.fixed_variance is not None:
            init.constant_(module.log_variance, math.log(module.fixed_variance))
        else:
            super()._init_weights(module)

    def prior_distribution(self) -> DiagonalGaussian | GaussianMixture:
        """P_pri(z): a Gaussian [D], or a mixture of them; its `mean` is E_pri z."""
        return self.prior(self.encoder.from_embeddings if isinstance(self.encoder, GaussianEncoder) else None)

    def posterior(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence of a batch."""
        return self.encoder(tokens, token_mask(tokens, lengths))

    @property
    def deterministic(self) -> bool:
        """Only a language model, which has no z."""
        return not self.config.latent_size

    @torch.no_grad()
    def sample_prior(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Float[Tensor, "n D"]:
        """z ~ P_pri; arguments as in `Autoencoder.sample_prior`."""
        with self._evaluating():
            prior = self.prior_distribution()
        index = torch.arange(draws) if isinstance(draws, int) else draws.cpu()
        noise = normal(index, seed=seed, shape=(self.config.latent_size,), stream=PRIOR_DRAW)[0]
        part = prior.part(uniform(index, seed=seed, shape=(), stream=PRIOR_COMPONENT)[0].to(prior.mean.device))
        return part.sample(noise.to(prior.mean))

    @torch.no_grad()
    def encode(self, sentences: Sequence[str], *, batch_size: int = 64) -> DiagonalGaussian:
        """P_enc(z|y) of each sentence, mean and log-variance [N, D] on the CPU."""
        with self._evaluating():
            batches = self._batches(sentences, batch_size)
            parts = [self.posterior(batch["tokens"], batch["lengths"]) for batch in batches]
        mean = torch.cat([part.mean.cpu() for part in parts])
        return DiagonalGaussian(mean, torch.cat([part.log_variance.cpu() for part in parts]))

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
        distortion: bool = True,
    ) -> Scores:
        """What the VAE says of a batch, nats per sentence; arguments as in `Autoencoder.forward`."""
        mask = token_mask(tokens, lengths)  # [B, T]
        enc: DiagonalGaussian = self.encoder(self._corrupted(tokens, lengths, index, seed=seed, epoch=epoch), mask)
        pri = self.prior_distribution()
        gaussian = pri if isinstance(pri, DiagonalGaussian) else None
        size = self.config.latent_size
        noise = normal(
            index, seed=seed, epoch=epoch, shape=(size,), stream=LATENT, samples=samples, first_sample=first_sample
        ).to(enc.mean.dtype)
        z = reparameterise(enc, noise)  # [S, B, D]

        dec = None
        if distortion:
            every = [x.expand(samples, *x.shape).flatten(0, 1) for x in (tokens, mask)]  # [S * B, T]; no copy at S = 1
            dropped = self._dropped(tokens, index, seed=seed, epoch=epoch)
            dropped = None if dropped is None else dropped.repeat(samples, 1)  # all draws of z explain one reading
            dec = self.decoder.log_prob_token(every[0], z.flatten(0, 1), every[1], hidden=dropped)
            dec = dec.view(samples, *tokens.shape)  # [S, B, T]
        charged = self.encoder.charged(enc)
        charged_z = (z if charged is enc else reparameterise(charged, noise)).double()
        exact_enc, exact_pri = charged.double(), pri.double()
        densities = densities or gaussian is None  # else there would be no rate
        return Scores(
            log_p_enc=exact_enc.log_prob(charged_z) if densities else None,
            log_p_pri=exact_pri.log_prob(charged_z) if densities else None,
            log_p_dec=None if dec is None else dec.sum(-1, dtype=torch.float64),
            kl=None if gaussian is None else kl_per_dimension(exact_enc, gaussian.double()),
            z=z[:1] if keep_latents else None,
            posterior_mean=enc.mean if keep_latents else None,
            posterior_log_variance=enc.log_variance if keep_latents else None,
            prior_mean=gaussian.mean if keep_latents and gaussian else None,
            prior_log_variance=gaussian.log_variance if keep_latents and gaussian else None,
            log_p_dec_token=dec[0] if keep_tokens and dec is not None else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
        )

    @torch.no_grad()
    def standardise(self) -> "SentenceVAE":
        """A model with a standard normal prior that gives the same nats and logits (THEORY T5).

        z' = (z - mu_p) / sigma_p: the encoder's affine head and the decoder's maps of z take the change up, so that
        rate, distortion, importance weights and every logit are unchanged.

        Raises:
            ValueError: the prior is standard already, or no Gaussian.
        """
        if self.config.prior == "standard":
            raise ValueError("the prior is N(0, I) already; only prior: learned can be standardised.")
        prior = self.prior_distribution()
        if not isinstance(prior, DiagonalGaussian):
            raise ValueError(
                f"no change of coordinates makes a {self.config.prior} prior N(0, I); only prior: learned can be "
                "standardised."
            )
        other = deepcopy(self)
        other.config.prior = "standard"
        other.prior = StandardNormal(self.config.latent_size).to(self.device, self.dtype)
        other.encoder.rescale(prior)
        other.decoder.rescale(prior.mean, prior.std)
        return other
