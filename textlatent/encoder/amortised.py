"""Encoders that are taught to say P(k|y) instead of computing it by Bayes: a bag of words, or a transformer.

-ELBO is then above -ln P(y) by KL(enc || Bayes) (THEORY T2): the amortisation gap, and where no weights could close it,
the approximation gap.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.gaussian import pool


class BayesEncoder(nn.Module):
    """Nothing of its own: P(z|y) follows from prior and decoder (posterior.py), gap 0 (THEORY T12)."""


class BagOfWordsEncoder(nn.Module):
    """ln P_enc(k|y) = b[k] + sum_t W[w_t, k], normalised.

    The exact posterior of a mixture of unigrams has this very form, with W[w, k] = ln P_k[w]: there the gap is
    amortisation alone. It does not know the words' order, so that of a mixture of bigrams is beyond it.

    Args:
        vocabulary: V.
        classes: K.
    """

    def __init__(self, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(vocabulary, classes))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B K"]:
        """Ln P_enc(k|y), nats."""
        return (self.bias + (self.weight[tokens] * mask[:, :, None]).sum(1)).log_softmax(-1)


class TransformerClassEncoder(nn.Module):
    """ln P_enc(k|y) by any transformers encoder: of the sentence, pooled, or of each word by itself.

    Args:
        backbone: configuration of the transformer (of an encoder-decoder one, the encoder is taken).
        classes: K.
        each_word: a distribution for every word, which makes the encoder of a chain of states a product over them.
    """

    backbone: Any

    def __init__(self, backbone: PreTrainedConfig, classes: int, *, each_word: bool) -> None:
        super().__init__()
        model = AutoModel.from_config(backbone)
        if backbone.is_encoder_decoder:
            model = model.get_encoder()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its parameters would never receive a gradient
        self.backbone = model
        self.each_word = each_word
        self.head = nn.Linear(backbone.hidden_size, classes)

    def forward(
        self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B K"] | Float[Tensor, "B T K"]:
        """Ln P_enc(k|y) [B, K], or ln P_enc(z_t = k|y) [B, T, K], nats."""
        tokens = torch.where(mask, tokens, tokens[:, :1])  # attention gives padding weight 0, but 0 * NaN is NaN
        hidden = self.backbone(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        return self.head(hidden if self.each_word else pool(hidden, mask, "mean")).log_softmax(-1)


def factorised_rate(
    log_enc: Float[Tensor, "B T K"],
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    mask: Bool[Tensor, "B T"],
) -> Float[Tensor, " B"]:
    """KL(prod_t P_enc(z_t|y) || P_pri(z_1 .. z_n)), nats per sentence, an exact sum.

    sum_t E ln P_enc(z_t|y) - E ln P[z_1] - sum_t P_enc(z_t)' ln A P_enc(z_{t+1}), the words being independent given y.
    """
    enc = log_enc.exp() * mask[:, :, None]
    own = (enc * log_enc).sum((1, 2))
    prior = (enc[:, 0] * log_start).sum(-1) + ((enc[:, :-1] @ log_transition) * enc[:, 1:]).sum((1, 2))
    return own - prior
