"""Pseudo-likelihood against maximum likelihood: their asymptotic variances on the same ring, computed exactly."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import Counts
from textlatent.contrasts.ring_errors import pseudo_score_covariance
from textlatent.contrasts.ring_moments import ring_moments
from textlatent.contrasts.ring_partition import balance
from textlatent.contrasts.ring_terms import pseudolikelihood


@dataclass(frozen=True)
class Comparison:
    """Asymptotic covariances of theta from rings of N sites, times the number of rings, nats^2.

    Attributes:
        maximum_likelihood: the inverse Fisher information, [K, K].
        pseudo_likelihood: the inverse Godambe information, [K, K].
        efficiency: of each parameter, variance under ML over variance under PL, at most 1, [K].
    """

    maximum_likelihood: Tensor
    pseudo_likelihood: Tensor
    efficiency: Tensor


def compare_pl_ml(ring: Ring, basis: Basis) -> Comparison:
    """How much the pseudo-likelihood loses on this ring, by the transfer matrix at any N >= 3.

    On the Ising ring the efficiency of the coupling tends to sech^2(coupling) as N grows (THEORY T14).

    Args:
        ring: closed, potentials shared.
        basis: the parameters, in which the ring's potentials are the truth.

    Raises:
        ValueError: potentials that are not shared, an open chain, fewer than three sites, or a parameter that moves
            along the gauge alone.
    """
    if not (ring.shared and ring.closed):
        raise ValueError("the comparison is for closed rings with shared potentials.")
    transfer, design = ring.edges + ring.fields[:, None], basis.design(closed=True)
    moments = ring_moments(transfer, torch.tensor([ring.sites]))
    information = design @ moments.covariance @ design.T
    variability = pseudo_score_covariance(transfer, basis, ring.sites)
    expected = _expected_counts(transfer, ring.sites)
    sensitivity = design @ pseudolikelihood(expected, transfer, ring.fields).hessian @ design.T
    one, other = (torch.linalg.pinv(each, rtol=1e-10, hermitian=True) for each in (information, sensitivity))
    godambe = other @ variability @ other
    told = information.diagonal() > 1e-10 * design.square().sum(1) * ring.sites
    if not bool(told.all()):
        raise ValueError("a parameter of the basis moves along the gauge alone, and no data tell it; take it out.")
    return Comparison(one, godambe, one.diagonal() / godambe.diagonal())


def _expected_counts(transfer: Float[Tensor, "q q"], sites: int) -> Counts:
    """The counts that a ring of N sites is expected to show."""
    balanced, _, _ = balance(transfer)
    rest = torch.linalg.matrix_power(balanced, sites - 2)
    triples = torch.einsum("lc,cr,rl->lcr", balanced, balanced, rest)
    triples = sites * triples / triples.sum()
    nothing = torch.zeros_like(transfer)
    return Counts(
        triples.sum(2), triples, nothing, nothing, torch.tensor([sites]), torch.ones(1, dtype=torch.float64), True
    )
