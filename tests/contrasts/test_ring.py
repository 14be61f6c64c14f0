"""The formula of T14, its special cases, and what is refused."""

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_partition import log_partition


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("kind", ["shared", "fields", "each"])
@pytest.mark.parametrize("sites", [1, 2, 3, 5])
def test_the_score_is_the_sum_of_the_potentials(sites: int, kind: str, closed: bool) -> None:
    ring = random_ring(sites, 3, kind=kind, closed=closed)
    oracle = Enumerated(ring)
    torch.testing.assert_close(ring.score(oracle.y), oracle.score, rtol=1e-13, atol=1e-13)
    assert torch.equal(ring.energy(oracle.y), -ring.score(oracle.y))


def test_the_ring_of_t14() -> None:
    ring = Ring.coupled(1.0, sites=4)
    values = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [0, 1, 1, 0], [-1, -1, 0, 1]])
    expected = (values * values.roll(-1, -1)).sum(-1)
    torch.testing.assert_close(ring.score(values.long() + 1), expected.double())
    assert Ring.coupled(2.5, sites=4).score(values.long() + 1).tolist() == (2.5 * expected).tolist()


def test_one_and_two_sites_keep_the_formula() -> None:
    """At N = 1 the edge joins the site to itself, s = Y^2; at N = 2 the product counts twice."""
    assert Ring.coupled(1.0, sites=1).score(torch.tensor([[0], [1], [2]])).tolist() == [1.0, 0.0, 1.0]
    assert Ring.coupled(1.0, sites=2).score(torch.tensor([[2, 2], [2, 0], [1, 2]])).tolist() == [2.0, -2.0, 0.0]


def test_potts_rewards_equal_neighbours() -> None:
    assert Ring.potts(0.7, sites=3, labels=4).score(torch.tensor([[3, 3, 1]])).item() == pytest.approx(0.7)


@pytest.mark.parametrize("kind", ["shared", "fields", "each"])
def test_an_open_chain_is_the_ring_whose_closing_edge_is_nothing(kind: str) -> None:
    chain = random_ring(5, 3, kind=kind, closed=False)
    ring = Ring(chain.edge_potentials(), chain.fields, 5)
    assert torch.equal(ring.edges[-1], torch.zeros(3, 3).double())
    y = Enumerated(ring).y
    torch.testing.assert_close(chain.score(y), ring.score(y), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(log_partition(chain), log_partition(ring), rtol=1e-13, atol=0.0)


def test_turning_and_mirroring_change_no_score() -> None:
    ring, y = random_ring(6, 3), torch.randint(3, (20, 6), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ring.score(y.roll(2, -1)), ring.score(y))
    mirrored = Ring(ring.edges.T, ring.fields, 6)
    torch.testing.assert_close(mirrored.score(y.flip(-1)), ring.score(y))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Ring.coupled(1.0, sites=0), "at least one site"),
        (lambda: Ring(torch.zeros(3, 2), torch.zeros(2), 4), r"edges must be \[q, q\], or \[4, q, q\]"),
        (lambda: Ring.of(torch.zeros(4, 2, 2), sites=4, closed=False), "3, q, q.* for 4 sites of an open chain"),
        (lambda: Ring(torch.zeros(2, 2), torch.zeros(3), 4), r"fields must be \[2\] or \[4, 2\]"),
        (lambda: Ring.of(torch.full((2, 2), -torch.inf), sites=4), "edges must be finite"),
        (lambda: Ring.coupled(1.0, sites=3).score(torch.zeros(1, 4).long()), "3 sites, got 4"),
        (lambda: Ring.coupled(1.0, sites=3).score(torch.full((1, 3), 3)), "labels must be 0 to 2, got 3"),
    ],
)
def test_what_is_no_ring_is_refused(make, sentence: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=sentence):
        make()
