"""Exact P(y) of a sentence VAE with a small z: Gauss-Hermite quadrature over the prior."""

import math

import numpy as np
import torch
from torch import Tensor

from textlatent.models import SentenceVAE


def gauss_hermite(nodes: int, dimensions: int) -> tuple[Tensor, Tensor]:
    """Points [n^D, D] and log-weights [n^D] with sum w f(z) = E f(z), z ~ N(0, I), for polynomials below degree 2n."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    z = torch.cartesian_prod(*[torch.from_numpy(points)] * dimensions).view(-1, dimensions)
    log_weights = torch.from_numpy(weights).log() - 0.5 * math.log(2 * math.pi)
    return z, torch.cartesian_prod(*[log_weights] * dimensions).view(-1, dimensions).sum(1)


@torch.no_grad()
def log_prob(model: SentenceVAE, tokens: Tensor, *, nodes: int, lengths: Tensor | None = None) -> Tensor:
    """ln P(y), nats, of each row of tokens [N, T] (of its first `lengths`; a row need not end): [N]."""
    prior = model.prior()
    unit, log_weights = gauss_hermite(nodes, model.config.latent_size)
    z = prior.mean + prior.std * unit  # [n, D]
    lengths = torch.full((len(tokens),), tokens.shape[1]) if lengths is None else lengths
    mask = torch.arange(tokens.shape[1]) < lengths[:, None]
    rows = []
    for row, kept in zip(tokens, mask, strict=True):
        token = model.decoder.log_prob_token(row.repeat(len(z), 1), z, kept.repeat(len(z), 1))
        rows.append(torch.logsumexp(token.sum(1) + log_weights, 0))
    return torch.stack(rows)
