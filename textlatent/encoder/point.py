"""A transformer pooled to a point: the encoder of the plain autoencoder, which has no density."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.gaussian import POOLINGS, pool


@dataclass(frozen=True)
class Points:
    """Sentences as points.

    Attributes:
        mean: z = f(y), [B, D]: what stands where another model has a posterior's mean.
    """

    mean: Tensor


class PointEncoder(nn.Module):
    """z = f(y): any transformers encoder, pooled, then one affine map. No density, so that no rate is defined.

    Its weights are those of a `GaussianEncoder` of fixed variance, which makes a channel of it: N(f(y), s^2 I)
    (THEORY T6b).

    Args:
        backbone: configuration of the transformer (of an encoder-decoder one, the encoder is taken).
        latent_size: D.
        pooling: "mean" over tokens, "max", "first" or "last" token.

    Raises:
        ValueError: an unknown pooling, or a z of no dimensions.

    Source: THEORY T6d.
    """

    backbone: Any

    def __init__(self, backbone: PreTrainedConfig, *, latent_size: int, pooling: str = "mean") -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}.")
        if latent_size < 1:
            raise ValueError(f"a point has at least one dimension, got latent_size {latent_size}.")
        model = AutoModel.from_config(backbone)
        if backbone.is_encoder_decoder:
            model = model.get_encoder()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its parameters would never receive a gradient
        self.backbone = model
        self.pooling = pooling
        self.head = nn.Linear(backbone.hidden_size, latent_size)

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B D"]:
        """f(y) of each sentence, in the parameters' precision.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            mask: True on tokens, False on padding; padding changes nothing.
        """
        tokens = torch.where(mask, tokens, tokens[:, :1])  # attention gives padding weight 0, but 0 * NaN is NaN
        hidden = self.backbone(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            return self.head(pool(hidden.to(self.head.weight.dtype), mask, self.pooling))
