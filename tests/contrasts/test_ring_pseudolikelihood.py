"""The pseudo-likelihood, against conditionals by enumeration and the closed forms of T14."""

import math

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_exact import log_prob
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood, site_conditionals


@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("sites", range(1, 9))
def test_conditionals_and_their_product(sites: int, labels: int) -> None:
    for kind, closed in (("shared", True), ("each", True), ("shared", False), ("fields", False)):
        ring = random_ring(sites, labels, kind=kind, closed=closed)
        oracle = Enumerated(ring)
        expected = torch.stack([oracle.conditional(n) for n in range(sites)], 1)  # [all, N, q]
        found = site_conditionals(ring, oracle.y)
        torch.testing.assert_close(found.exp(), expected, rtol=1e-11, atol=1e-13)
        own = expected.gather(-1, oracle.y[..., None]).squeeze(-1)
        torch.testing.assert_close(
            negative_log_pseudolikelihood(ring, oracle.y), -own.log().sum(1), rtol=1e-11, atol=1e-12
        )
        some = torch.arange(sites)[1:-1]
        torch.testing.assert_close(
            negative_log_pseudolikelihood(ring, oracle.y, sites=some),
            -own[:, 1:-1].log().sum(1),
            rtol=1e-11,
            atol=1e-12,
        )


@pytest.mark.parametrize("sites", [3, 4, 7, 1000, 10**6])
def test_the_values_of_t14(sites: int) -> None:
    """-ln PL(all 0) = N ln 3 and -ln PL(all 1) = -ln PL(all -1) = N ln(1 + e^-2 + e^-4)."""
    ring = Ring.coupled(1.0, sites=sites)
    for label, per_site in ((1, math.log(3)), (2, math.log(1 + math.exp(-2) + math.exp(-4)))):
        found = negative_log_pseudolikelihood(ring, torch.full((sites,), label)).item()
        assert found == pytest.approx(sites * per_site, rel=1e-12)
    ones, minus = (negative_log_pseudolikelihood(ring, torch.full((sites,), label)).item() for label in (2, 0))
    assert ones == pytest.approx(minus, rel=1e-14)


@pytest.mark.parametrize("coupling", [-0.7, 0.4, 3.0])
def test_other_couplings(coupling: float) -> None:
    ring, ones = Ring.coupled(coupling, sites=10), torch.full((10,), 2)
    uniform = 10 * math.log(1 + math.exp(-2 * coupling) + math.exp(-4 * coupling))
    assert negative_log_pseudolikelihood(ring, ones).item() == pytest.approx(uniform, rel=1e-12)
    alternating = torch.tensor([0, 2] * 5)
    expected = 10 * math.log(1 + math.exp(2 * coupling) + math.exp(4 * coupling))
    assert negative_log_pseudolikelihood(ring, alternating).item() == pytest.approx(expected, rel=1e-12)


def test_it_is_no_negative_log_likelihood() -> None:
    """All 1 at coupling 1: 0.143 nats a site against 0.335; and the exponentials over all Y do not add up to 1."""
    ring = Ring.coupled(1.0, sites=1000)
    ones = torch.full((1000,), 2)
    assert negative_log_pseudolikelihood(ring, ones).item() / 1000 == pytest.approx(0.142932, abs=1e-6)
    assert -log_prob(ring, ones).item() / 1000 == pytest.approx(0.335095, abs=1e-5)
    small = Enumerated(Ring.coupled(1.0, sites=4))
    assert negative_log_pseudolikelihood(small.ring, small.y).neg().exp().sum().item() > 1.5


def test_without_edges_it_is_the_likelihood() -> None:
    fields = random_ring(6, 3, kind="fields").fields
    ring, y = Ring(torch.zeros(3, 3), fields, 6), torch.randint(3, (9, 6), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(negative_log_pseudolikelihood(ring, y), -log_prob(ring, y), rtol=1e-12, atol=0.0)


def test_a_gauge_moves_nothing() -> None:
    ring, y = random_ring(6, 3), torch.randint(3, (9, 6), generator=torch.Generator().manual_seed(1))
    shift = torch.tensor([3.0, -1.0, 0.5]).double()
    moved = Ring(ring.edges + shift[:, None] - shift, ring.fields, 6)
    torch.testing.assert_close(
        negative_log_pseudolikelihood(moved, y), negative_log_pseudolikelihood(ring, y), rtol=1e-12, atol=0.0
    )


def test_labels_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="labels must be 0 to 2"):
        site_conditionals(Ring.coupled(1.0, sites=3), torch.tensor([0, 1, 3]))
