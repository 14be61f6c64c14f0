"""Moments of open chains: what is refused (the moments themselves are tests/contrasts/test_ring_moments.py's)."""

import pytest
import torch

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import count_rows
from textlatent.contrasts.ring_fit import fit
from textlatent.contrasts.ring_sampling import sample


def test_a_chain_that_is_too_long_is_told_what_to_do() -> None:
    """Its pseudo-likelihood, which asks for triples alone, is fitted all the same."""
    chain = Ring.potts(0.5, sites=30_000, labels=3, closed=False)
    counts = count_rows(sample(chain, 1, seed=0), labels=3, closed=False)
    with pytest.raises(ValueError, match="at most 20,000 sites, got 30,000; take the pseudo-likelihood"):
        fit(counts, Basis.potts(3))
    found = fit(counts, Basis.potts(3), method="pseudo_likelihood")
    assert found.theta.item() == pytest.approx(0.5, abs=5.0 * found.inverse_hessian().sqrt().item())


def test_a_long_chain_has_the_fit_of_the_ring_it_nearly_is() -> None:
    y = sample(Ring.potts(0.5, sites=5000, labels=3), 1, seed=0)
    ring, chain = (fit(count_rows(y, labels=3, closed=closed), Basis.potts(3)) for closed in (True, False))
    error = ring.inverse_hessian().sqrt().item()
    assert chain.theta.item() == pytest.approx(ring.theta.item(), abs=0.1 * error)
    torch.testing.assert_close(chain.inverse_hessian(), ring.inverse_hessian(), rtol=1e-2, atol=0.0)
