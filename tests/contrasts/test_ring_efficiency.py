"""Pseudo-likelihood against maximum likelihood: by enumeration, in closed form, and where they are equal."""

import math

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_efficiency import compare_pl_ml

ISING = Basis.coupling((-1.0, 1.0))


def _ising(coupling: float, sites: int) -> Ring:
    return Ring.coupled(coupling, sites=sites, values=(-1.0, 1.0))


@pytest.mark.parametrize(("sites", "expected"), [(8, 0.7611), (12, 0.7841), (16, 0.7863)])
def test_the_ising_ring_by_the_sum_over_all_y(sites: int, expected: float) -> None:
    """ln PL = sum_n coupling x_n m_n - ln 2 cosh(coupling m_n), m_n the sum of both neighbours; derivatives by hand."""
    oracle = Enumerated(_ising(0.5, sites))
    x = 2.0 * oracle.y.double() - 1.0
    around = x.roll(1, -1) + x.roll(-1, -1)
    slope = (0.5 * around).tanh()
    score, bend = (x * around - around * slope).sum(1), (around.square() * (1.0 - slope.square())).sum(1)
    sensitivity, variability = oracle.p @ bend, oracle.p @ score.square()
    total = oracle.score / 0.5
    information = oracle.p @ total.square() - (oracle.p @ total) ** 2
    by_sum = (sensitivity**2 / variability / information).item()
    assert by_sum == pytest.approx(expected, abs=5e-5)
    assert compare_pl_ml(oracle.ring, ISING).efficiency.item() == pytest.approx(by_sum, rel=1e-10)


@pytest.mark.parametrize("coupling", [0.1, 0.5, -0.8, 1.2])
def test_its_limit_is_sech_squared(coupling: float) -> None:
    found = compare_pl_ml(_ising(coupling, 10**4), ISING)
    assert found.efficiency.item() == pytest.approx(1.0 / math.cosh(coupling) ** 2, abs=1e-6)
    fisher = 10**4 * (1.0 - math.tanh(coupling) ** 2)
    assert found.maximum_likelihood.item() == pytest.approx(1.0 / fisher, rel=1e-6)


def test_independent_sites_lose_nothing() -> None:
    """Without edges the pseudo-likelihood is the likelihood, fields and all."""
    basis = Basis(torch.zeros(2, 3, 3).double(), torch.eye(3)[1:].double(), ("field 1", "field 2"))
    ring = Ring(torch.zeros(3, 3).double(), torch.tensor([0.0, 0.5, -1.0]).double(), 7)
    torch.testing.assert_close(compare_pl_ml(ring, basis).efficiency, torch.ones(2).double(), rtol=1e-10, atol=0.0)


def test_no_parameter_is_known_better_than_by_maximum_likelihood() -> None:
    found = compare_pl_ml(random_ring(6, 3), Basis.potts(3, fields=True))
    assert bool((found.efficiency < 1.0).all())
    worse = torch.linalg.eigvalsh(found.pseudo_likelihood - found.maximum_likelihood)
    assert bool((worse > -1e-12).all())


def test_what_cannot_be_compared() -> None:
    for ring in (random_ring(4, 2, kind="each"), random_ring(4, 2, closed=False)):
        with pytest.raises(ValueError, match="closed rings with shared potentials"):
            compare_pl_ml(ring, Basis.potts(2))
    along = Basis(torch.ones(1, 2, 2).double(), torch.zeros(1, 2).double(), ("constant",))
    with pytest.raises(ValueError, match="along the gauge alone"):
        compare_pl_ml(_ising(0.5, 5), along)
