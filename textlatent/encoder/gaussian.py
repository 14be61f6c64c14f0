"""A transformer pooled to the mean and log-variance of a diagonal Gaussian."""

import math
from collections.abc import Iterable
from typing import Any, Self, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.encoder import Encoder
from textlatent.encoder.normalised import NormalisedMean
from textlatent.nats.gaussian import DiagonalGaussian

POOLINGS = ("mean", "max", "first", "last")


def pool(hidden: Float[Tensor, "B T H"], mask: Bool[Tensor, "B T"], pooling: str) -> Float[Tensor, "B H"]:
    """One vector per sentence from its tokens' vectors; padding takes no part."""
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        last = mask.sum(1) - 1
        return hidden[torch.arange(hidden.shape[0], device=hidden.device), last]
    if pooling == "max":
        return hidden.masked_fill(~mask[:, :, None], float("-inf")).amax(1)
    total = torch.where(mask[:, :, None], hidden, 0.0).sum(1)
    return total / mask.sum(1, keepdim=True)


class GaussianEncoder(Encoder):
    """P_enc(z|y) = N(mu(y), diag sigma(y)^2): any transformers encoder, pooled, then one affine map.

    Args:
        backbone: configuration of the transformer (of an encoder-decoder one, the encoder is taken).
        latent_size: D.
        pooling: "mean" over tokens, "max", "first" or "last" token.
        log_variance_bias: the log-variance the posterior starts from, in every dimension: 0 is the standard prior's
            own; less starts with more rate.
        fixed_variance: sigma^2 of every sentence and dimension; learned if not given.
        batch_norm: gamma of normalised means (normalised.NormalisedMean); the means as they are if not given. The
            backbone's dropout is then off.

    Raises:
        ValueError: an unknown pooling, or a variance or gamma that is not above 0.

    Source: of fixed_variance: Li et al. 2019, arXiv:1909.00868, whose code has it as an option.
    """

    norm: NormalisedMean | None
    backbone: Any
    log_variance: Tensor

    def __init__(
        self,
        backbone: PreTrainedConfig,
        *,
        latent_size: int,
        pooling: str = "mean",
        log_variance_bias: float = 0.0,
        fixed_variance: float | None = None,
        batch_norm: float | None = None,
    ) -> None:
        super().__init__()
        if fixed_variance is not None and not fixed_variance > 0.0:
            raise ValueError(f"fixed_variance must be > 0, got {fixed_variance}; leave it out to learn the variance.")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}.")
        model = AutoModel.from_config(backbone)
        if backbone.is_encoder_decoder:
            model = model.get_encoder()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its parameters would never receive a gradient
        self.backbone = model
        self.pooling = pooling
        self.latent_size = latent_size
        self.log_variance_bias = log_variance_bias
        self.fixed_variance = fixed_variance
        if fixed_variance is not None:
            self.register_buffer("log_variance", torch.full((latent_size,), math.log(fixed_variance)))
        self.head = nn.Linear(backbone.hidden_size, latent_size if fixed_variance is not None else 2 * latent_size)
        self.norm = None if batch_norm is None else NormalisedMean(latent_size, gamma=batch_norm)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """As torch's own, but that normalised means have no dropout below them.

        They are given a spread over sentences; where dropout moves mu more than sentences do, it would be magnified:
        measured on the toy corpus at dropout 0.1, 93 nats of rate in training for the 1 that was asked for.
        """
        super().train(mode)
        if self.norm is not None:
            self.backbone.eval()
        return self

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        """N(mu(y), sigma(y)^2) of each sentence, mean and log-variance [B, D] in the parameters' precision."""
        return self._posterior(self._hidden(tokens, mask), mask)

    def _hidden(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B T H"]:
        tokens = torch.where(mask, tokens, tokens[:, :1])  # attention gives padding weight 0, but 0 * NaN is NaN
        return self.backbone(input_ids=tokens, attention_mask=mask.long()).last_hidden_state

    def _affine(self, hidden: Float[Tensor, "B T H"], mask: Bool[Tensor, "B T"]) -> list[Tensor]:
        """The mean as the head has it, and the log-variance if it is learned."""
        with torch.autocast(hidden.device.type, enabled=False):
            pooled = pool(hidden.to(self.head.weight.dtype), mask, self.pooling)
            return list(cast(Tensor, self.head(pooled)).split(self.latent_size, -1))

    def from_embeddings(self, embeddings: Float[Tensor, "K T E"]) -> DiagonalGaussian:
        """N(mu, sigma^2) of inputs that stand where the tokens' embeddings would, no padding among them, [K, D]."""
        mask = torch.ones(embeddings.shape[:2], dtype=torch.bool, device=embeddings.device)
        hidden = self.backbone(inputs_embeds=embeddings, attention_mask=mask.long()).last_hidden_state
        return self._posterior(hidden, mask)

    @property
    def embedding_size(self) -> int:
        """E, the width of a token's embedding."""
        return self.backbone.get_input_embeddings().embedding_dim

    def _posterior(self, hidden: Float[Tensor, "B T H"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        mean, *log_variance = self._affine(hidden, mask)
        if self.norm is not None:
            mean = self.norm(mean)
        if not log_variance:
            return DiagonalGaussian(mean, self.log_variance.expand_as(mean))
        return DiagonalGaussian(mean, log_variance[0] + self.log_variance_bias)

    def charged(self, posterior: DiagonalGaussian) -> DiagonalGaussian:
        """The same posterior, as the rate's gradient may reach it: a normalised mean's shift alone, else everything."""
        if self.norm is None:
            return posterior
        return DiagonalGaussian(self.norm.held(posterior.mean), posterior.log_variance)

    @torch.no_grad()
    def calibrate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Normalise means by their statistics over reference sentences, given as tokens and mask of each batch."""
        if self.norm is not None:
            self.norm.calibrate(torch.cat([self._affine(self._hidden(*batch), batch[1])[0] for batch in batches]))

    @torch.no_grad()
    def rescale(self, unit: DiagonalGaussian) -> None:
        """Express z in the coordinates in which `unit` is N(0, I): (mean - m) / s and log-variance - ln s^2 (T5)."""
        if self.norm is not None:
            raise ValueError("normalised means have coordinates of their own; only batch_norm: null can be rescaled.")
        bias, *log_variance = self.head.bias.split(self.latent_size)
        self.head.weight[: self.latent_size].div_(unit.std[:, None])
        bias.sub_(unit.mean).div_(unit.std)
        (log_variance[0] if log_variance else self.log_variance).sub_(unit.log_variance)


class EmptyEncoder(Encoder):
    """The Gaussian of no dimensions: a VAE with it is a language model, whose rate is 0."""

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        """A Gaussian over nothing, mean and log-variance [B, 0]."""
        nothing = torch.zeros(tokens.shape[0], 0, device=tokens.device)
        return DiagonalGaussian(nothing, nothing)

    def charged(self, posterior: DiagonalGaussian) -> DiagonalGaussian:
        """The same."""
        return posterior

    def rescale(self, unit: DiagonalGaussian) -> None:
        """Nothing to express otherwise."""
