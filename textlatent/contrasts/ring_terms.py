"""What a fit descends: -ln likelihood or -ln pseudo-likelihood of a corpus's counts, its gradient and exact Hessian.

Everything is in the D numbers that the data see: the q^2 of ln T[a, b] = edges[a, b] + fields[a] and, on open chains,
the q fields of the last site.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.contrasts.ring_chain import chain_moments
from textlatent.contrasts.ring_counts import Counts
from textlatent.contrasts.ring_moments import ring_moments


class Terms(NamedTuple):
    """Nats, their gradient [D] and Hessian [D, D]."""

    value: Tensor
    gradient: Tensor
    hessian: Tensor


def likelihood(counts: Counts, transfer: Float[Tensor, "q q"], last: Float[Tensor, " q"]) -> Terms:
    """-ln P of the corpus given the sizes of its sequences: sum_N m_N ln Z_N - counts . potentials."""
    observed, potentials = counts.pairs.flatten(), transfer.flatten()
    if counts.closed:
        moments = ring_moments(transfer, counts.sizes, counts.numbers)
    else:
        moments = chain_moments(transfer, last, counts.sizes, counts.numbers)
        observed, potentials = torch.cat([observed, _last_labels(counts)]), torch.cat([potentials, last])
    return Terms(moments.log_partition - observed @ potentials, moments.mean - observed, moments.covariance)


def pseudolikelihood(counts: Counts, transfer: Float[Tensor, "q q"], last: Float[Tensor, " q"]) -> Terms:
    """-sum over sites of ln P(Y_n | its neighbours): one softmax for each pair of neighbours' labels, from triples."""
    labels, square = counts.labels, counts.labels**2
    inner = _softmax(counts.triples.transpose(1, 2), transfer[:, None, :] + transfer.T[None])  # [l, r, c]
    first, final = _softmax(counts.first.T, transfer.T), _softmax(counts.last, transfer + last)
    gradient = inner.residual.sum(1) + inner.residual.sum(0).T + first.residual.T + final.residual
    spread, one = inner.spread, torch.eye(labels, dtype=torch.float64)  # spread[l, r, c, d]
    hessian = torch.einsum("lcd,lm->lcmd", spread.sum(1) + final.spread, one)  # both as (left, site)
    hessian += torch.einsum("rcd,rs->crds", spread.sum(0) + first.spread, one)  # both as (site, right)
    across = torch.einsum("lrcd->lcdr", spread)  # one as (left, site), the other as (site, right)
    hessian += across + across.permute(2, 3, 0, 1)
    value = inner.value + first.value + final.value
    if counts.closed:
        return Terms(value, gradient.flatten(), hessian.reshape(square, square))
    full = torch.zeros(square + labels, square + labels, dtype=torch.float64)
    full[:square, :square] = hessian.reshape(square, square)
    full[:square, square:] = final.spread.reshape(square, labels)
    full[square:, :square] = full[:square, square:].T
    full[square:, square:] = final.spread.sum(0)
    return Terms(value, torch.cat([gradient.flatten(), final.residual.sum(0)]), full)


class _Softmax(NamedTuple):
    """A table of softmaxes, one a context: nats, expected - observed counts, and counts times the covariances."""

    value: Tensor
    residual: Tensor
    spread: Tensor


def _softmax(observed: Float[Tensor, "*k q"], scores: Float[Tensor, "*k q"]) -> _Softmax:
    log_p = scores.log_softmax(-1)
    p, total = log_p.exp(), observed.sum(-1, keepdim=True)
    spread = total[..., None] * (torch.diag_embed(p) - p[..., :, None] * p[..., None, :])
    return _Softmax(-(observed * log_p).sum(), total * p - observed, spread)


def _last_labels(counts: Counts) -> Float[Tensor, " q"]:
    """How often each label stands at the end of an open chain."""
    return counts.last.sum(0)
