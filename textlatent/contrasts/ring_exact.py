"""What a ring says exactly: probabilities, marginals, entropy, divergence, and the most probable Y (THEORY T14)."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_partition import balance, log_partition
from textlatent.contrasts.ring_tree import descend, levels, max_product


class Mode(NamedTuple):
    """The most probable Y and its ln P(Y), nats."""

    y: Tensor
    log_prob: Tensor


def log_prob(ring: Ring, y: Int[Tensor, "*b N"]) -> Float[Tensor, "*b"]:
    """Ln P(Y), nats: score(Y) - ln Z."""
    return ring.score(y) - log_partition(ring)


def pair_marginals(ring: Ring) -> Float[Tensor, "N q q"]:
    """P(Y_n = a, Y_{n+1} = b) for each edge, the closing pair last: the gradient of ln Z in the edges' potentials."""
    if ring.shared and ring.closed:
        balanced, _, _ = balance(ring.edges + ring.fields[:, None])
        others = torch.linalg.matrix_power(balanced, ring.sites - 1)
        one = balanced * others.T
        return (one / one.sum()).expand(ring.sites, -1, -1)
    with torch.enable_grad():
        transfer = ring.log_transfer().detach().clone().requires_grad_()
        total = levels(transfer)[-1][0].diagonal().logsumexp(0)
        (gradient,) = torch.autograd.grad(total, transfer)
    return gradient


def marginals(ring: Ring) -> Float[Tensor, "N q"]:
    """P(Y_n = a) for each site."""
    return pair_marginals(ring).sum(-1)


def expected_score(ring: Ring, of: Ring | None = None) -> Float[Tensor, ""]:
    """E score(Y), nats: of the ring itself, or of another ring's potentials under this ring's P."""
    other = ring if of is None else of
    return (pair_marginals(ring) * other.log_transfer()).sum()


def entropy(ring: Ring) -> Float[Tensor, ""]:
    """H(Y) = ln Z - E score(Y), nats."""
    return log_partition(ring) - expected_score(ring)


def divergence(ring: Ring, other: Ring) -> Float[Tensor, ""]:
    """KL(P_ring || P_other), nats.

    Raises:
        ValueError: another number of sites or labels.
    """
    if (ring.sites, ring.labels) != (other.sites, other.labels):
        raise ValueError(
            f"a divergence needs the same sites and labels, got {ring.sites} and {other.sites} sites, {ring.labels} "
            f"and {other.labels} labels."
        )
    return expected_score(ring) - expected_score(ring, of=other) - log_partition(ring) + log_partition(other)


def mode(ring: Ring) -> Mode:
    """The most probable Y, [N], and its ln P(Y), nats; among equals the one with the lowest Y_0."""
    tree = levels(ring.log_transfer(), max_product)
    first = tree[-1][0].diagonal().argmax()
    y = descend(tree, first[None], lambda scores: scores.argmax(-1))[0]
    return Mode(y, log_prob(ring, y))
