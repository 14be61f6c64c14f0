"""The pseudo-likelihood of a ring: the product over sites of P(Y_n | the rest), which needs no Z (THEORY T14).

It is a score of its own and no probability of Y: all 1 at coupling 1 costs 0.143 nats a site by it, 0.335 by -ln P(Y).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.contrasts.ring import Ring


def conditional_scores(
    ring: Ring, y: Int[Tensor, "*b N"], *, sites: Int[Tensor, " n"] | None = None
) -> Float[Tensor, "*b n q"]:
    """Ln P(Y_n = a | the rest) up to a constant of each site, nats: what its field and its two edges say of a.

    Args:
        ring: any; at N = 1 the one edge joins the site to itself, and nothing is left to be given.
        y: the labels of all sites.
        sites: which sites; all if not given.
    """
    ring.check(y)
    chosen = torch.arange(ring.sites) if sites is None else sites
    if ring.sites == 1:
        alone = ring.site_potentials() + ring.edge_potentials().diagonal(dim1=-2, dim2=-1)
        return alone[chosen].expand(*y.shape[:-1], -1, -1)
    before, after = (chosen - 1) % ring.sites, (chosen + 1) % ring.sites
    if ring.shared and ring.closed:
        return ring.fields + ring.edges[y[..., before]] + ring.edges.T[y[..., after]]
    edges = ring.edge_potentials()
    left, right = edges[before, y[..., before]], edges.transpose(-1, -2)[chosen, y[..., after]]
    return ring.site_potentials()[chosen] + left + right


def site_conditionals(
    ring: Ring, y: Int[Tensor, "*b N"], *, sites: Int[Tensor, " n"] | None = None
) -> Float[Tensor, "*b n q"]:
    """Ln P(Y_n = a | the rest), nats, for each site and label; all sites if none are named."""
    return conditional_scores(ring, y, sites=sites).log_softmax(-1)


def negative_log_pseudolikelihood(
    ring: Ring, y: Int[Tensor, "*b N"], *, sites: Int[Tensor, " n"] | None = None
) -> Float[Tensor, "*b"]:
    """-sum_n ln P(Y_n | the rest), nats; over the sites named, all if none are.

    Source: Besag 1975, Statistical analysis of non-lattice data.
    """
    chosen = torch.arange(ring.sites) if sites is None else sites
    of_label = site_conditionals(ring, y, sites=chosen).gather(-1, y[..., chosen, None])
    return -of_label.squeeze(-1).sum(-1)
