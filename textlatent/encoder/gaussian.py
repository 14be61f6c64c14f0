"""A transformer pooled to the mean and log-variance of a diagonal Gaussian."""

from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.encoder import Encoder
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
    """

    def __init__(
        self,
        backbone: PreTrainedConfig,
        *,
        latent_size: int,
        pooling: str = "mean",
        log_variance_bias: float = 0.0,
    ) -> None:
        super().__init__()
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
        self.head = nn.Linear(backbone.hidden_size, 2 * latent_size)

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        """N(mu(y), sigma(y)^2) of each sentence, mean and log-variance [B, D] in the parameters' precision."""
        tokens = torch.where(mask, tokens, tokens[:, :1])  # attention gives padding weight 0, but 0 * NaN is NaN
        hidden = self.backbone(input_ids=tokens, attention_mask=mask.long()).last_hidden_state  # [B, T, H]
        with torch.autocast(hidden.device.type, enabled=False):
            pooled = pool(hidden.to(self.head.weight.dtype), mask, self.pooling)
            mean, log_variance = cast(Tensor, self.head(pooled)).chunk(2, -1)
        return DiagonalGaussian(mean, log_variance + self.log_variance_bias)

    @torch.no_grad()
    def rescale(self, unit: DiagonalGaussian) -> None:
        """Express z in the coordinates in which `unit` is N(0, I): (mean - m) / s and log-variance - ln s^2 (T5)."""
        weight, bias = self.head.weight.chunk(2, 0)[0], self.head.bias.chunk(2, 0)
        weight.div_(unit.std[:, None])
        bias[0].sub_(unit.mean).div_(unit.std)
        bias[1].sub_(unit.log_variance)


class EmptyEncoder(Encoder):
    """The Gaussian of no dimensions: a VAE with it is a language model, whose rate is 0."""

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> DiagonalGaussian:
        """A Gaussian over nothing, mean and log-variance [B, 0]."""
        nothing = torch.zeros(tokens.shape[0], 0, device=tokens.device)
        return DiagonalGaussian(nothing, nothing)

    def rescale(self, unit: DiagonalGaussian) -> None:
        """Nothing to express otherwise."""
