"""Models so small that everything about them can be summed or integrated exactly.

They are typed Any: claims reach into their parts and set numbers by hand.
"""

import math
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.models.gaussian_vae import SentenceVAE, SentenceVAEConfig
from textlatent.models.vector import VectorAutoencoder, VectorAutoencoderConfig

PAD, BOS, EOS = 0, 1, 2
VOCABULARY = 5
TOKENS: dict[str, Any] = {"vocab_size": VOCABULARY, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
_BERT: dict[str, Any] = {"model_type": "bert", "intermediate_size": 32}
_GPT: dict[str, Any] = {"model_type": "gpt2", "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
_SIZE: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
_NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
ENCODER: dict[str, Any] = {**_BERT, **_SIZE, **TOKENS, **_NO_DROPOUT, "max_position_embeddings": 8}
DECODER: dict[str, Any] = {"backbone": {**_GPT, **_SIZE, **TOKENS, "max_position_embeddings": 8}, "max_tokens": 4}


def sentence_vae(*, latent_size: int = 1, prior: str = "standard", seed: int = 0) -> Any:
    """A sentence VAE of a few hundred random numbers, in float64, whose decoder hears z."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = SentenceVAEConfig(encoder=dict(ENCODER), decoder=dict(DECODER), latent_size=latent_size, prior=prior)
        model = SentenceVAE(config).double().eval()
    return louder(model)


@torch.no_grad()
def louder(model: Any, *, scale: float = 3.0) -> Any:
    """The model with its matrices `scale` times their start, so that its distributions are far from uniform."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.mul_(scale)
    return model


def every_sentence(words: int = 2) -> tuple[Int[Tensor, "N T"], Int[Tensor, " N"]]:
    """All that a decoder can write, cut at `words`: exactly one of these happens. Tokens, and lengths."""
    others = [token for token in range(VOCABULARY) if token != EOS]
    rows = [[*row, EOS] for n in range(words) for row in product(others, repeat=n)]
    rows += [list(row) for row in product(others, repeat=words)]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.tensor([row + [PAD] * (words - len(row)) for row in rows]), lengths


def gauss_hermite(nodes: int) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Points and log weights: sum w f(x) = E f(x), x ~ N(0, 1), exact for polynomials below degree 2n."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(points), torch.from_numpy(weights).log() - 0.5 * math.log(2.0 * math.pi)


def linear_gaussian(*, lam: float = 2.0, seed: int = 0) -> tuple[Any, Float[Tensor, "n n"]]:
    """y = W z + noise of variance 1/(2 lam) with Bayes' own encoder, float64; and the covariance of y.

    W has orthogonal columns, so that the posterior is diagonal: precision 1 + 2 lam |W_d|^2, mean 2 lam W_d y over it.
    """
    random = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(4, 2, generator=random, dtype=torch.float64)).Q
    weight = basis * torch.tensor([1.5, 0.8], dtype=torch.float64)
    precision = 1.0 + 2.0 * lam * weight.square().sum(0)
    model = vector_model(size=4, latent_size=2, variance="shared", lam=lam)
    with torch.no_grad():
        model.encoder.point.network[0].weight.copy_(2.0 * lam * weight.T / precision[:, None])
        model.encoder.log_variance.copy_(-precision.log())
        model.decoder.network[0].weight.copy_(weight)
    return model, weight @ weight.T + torch.eye(4, dtype=torch.float64) / (2.0 * lam)


def vector_model(**settings: Any) -> Any:
    """A vector autoencoder in float64, its linear maps without offset."""
    model = VectorAutoencoder(VectorAutoencoderConfig(**settings)).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    return model


def table(*shape: int, seed: int, power: float = 1.0) -> Float[Tensor, "..."]:
    """Rows of probabilities, drawn once for all."""
    random = torch.Generator().manual_seed(seed)
    drawn = torch.rand(*shape, generator=random, dtype=torch.float64).pow(power)
    return drawn / drawn.sum(-1, keepdim=True)


def farthest(computed: Tensor, expected: Tensor) -> tuple[float, float]:
    """The pair of entries that differ most, so that one comparison stands for all of them."""
    computed, expected = torch.broadcast_tensors(computed.detach().double(), expected.detach().double())
    gap = (computed - expected).abs().flatten()
    at = int(gap.nan_to_num(nan=math.inf).argmax())
    return float(computed.flatten()[at]), float(expected.flatten()[at])
