"""ln Z: three routes, against enumeration, closed forms and each other up to a million sites."""

import math
from itertools import product

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_partition import balance, log_partition

ROUTES = ("products", "scan", "eigenvalues")


@pytest.mark.parametrize("labels", [1, 2, 3, 4])
@pytest.mark.parametrize("sites", range(1, 9))
def test_every_route_is_the_sum_over_all_y(sites: int, labels: int) -> None:
    for kind, closed in product(("shared", "fields", "each"), (True, False)):
        ring = random_ring(sites, labels, kind=kind, closed=closed)
        expected = Enumerated(ring).log_z.item()
        for route in ROUTES if ring.shared and closed else ROUTES[:2]:
            assert log_partition(ring, route=route).item() == pytest.approx(expected, rel=1e-12, abs=1e-12), route


@pytest.mark.parametrize(
    ("coupling", "sites", "expected"),
    [
        (1.0, 3, 4.217967079480),
        (1.0, 4, 5.476954446312),
        (1.0, 7, 9.379689883544),
        (-1.0, 3, 3.735911710384),
        (-1.0, 7, 9.310438419421),
        (0.0, 5, 5 * math.log(3)),
    ],
)
@pytest.mark.parametrize("route", ROUTES)
def test_the_values_of_t14(coupling: float, sites: int, expected: float, route: str) -> None:
    ring = Ring.coupled(coupling, sites=sites)
    assert log_partition(ring, route=route).item() == pytest.approx(expected, abs=1e-12)


def _three_labels(coupling: float, sites: int) -> float:
    """Ln Z of T14's ring from its eigenvalues in closed form."""
    root = math.sqrt((2 * math.cosh(coupling) - 1) ** 2 + 8)
    high, low = ((1 + 2 * math.cosh(coupling) + sign * root) / 2 for sign in (1, -1))
    rest = (low / high) ** sites + (2 * math.sinh(coupling) / high) ** sites
    return sites * math.log(high) + math.log1p(rest)


@pytest.mark.parametrize("sites", [3, 10, 1001, 10**6])
@pytest.mark.parametrize("coupling", [1.0, 0.3])
def test_three_routes_agree_with_the_closed_form(coupling: float, sites: int) -> None:
    ring, expected = Ring.coupled(coupling, sites=sites), _three_labels(coupling, sites)
    for route in ROUTES if coupling == 1.0 or sites < 10**6 else ROUTES[::2]:
        assert log_partition(ring, route=route).item() == pytest.approx(expected, rel=1e-12), route


@pytest.mark.parametrize("sites", [3, 4, 1000, 10**6])
def test_potts_and_ising_in_closed_form(sites: int) -> None:
    coupling, labels = 0.8, 4
    high, low = math.exp(coupling) + labels - 1, math.exp(coupling) - 1
    potts = sites * math.log(high) + math.log1p((labels - 1) * (low / high) ** sites)
    ising = sites * math.log(2 * math.cosh(coupling)) + math.log1p(math.tanh(coupling) ** sites)
    for route in ("products", "eigenvalues"):
        ring = Ring.potts(coupling, sites=sites, labels=labels)
        assert log_partition(ring, route=route).item() == pytest.approx(potts, rel=1e-12)
        ring = Ring.coupled(coupling, sites=sites, values=(-1.0, 1.0))
        assert log_partition(ring, route=route).item() == pytest.approx(ising, rel=1e-12)


@pytest.mark.parametrize("kind", ["shared", "each"])
@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_products_and_scan_agree_on_long_rings_of_any_potentials(kind: str, spread: float) -> None:
    """Potentials of hundreds of nats overflow an exponential; eigenvalues are complex, Z is not."""
    ring = random_ring(5000, 3, kind=kind, spread=spread)
    expected = log_partition(ring)
    assert bool(expected.isfinite())
    torch.testing.assert_close(log_partition(ring, route="scan"), expected, rtol=1e-12, atol=0.0)
    if kind == "shared":
        torch.testing.assert_close(log_partition(ring, route="eigenvalues"), expected, rtol=1e-12, atol=0.0)


def test_a_sum_without_compensation_would_be_worse() -> None:
    """The same increments added up in one float64: the reason why the scan keeps their rounding errors."""
    sites = 10**6
    exact, plain = _three_labels(1.0, sites), 0.0
    for _ in range(sites):
        plain += exact / sites
    scanned = log_partition(Ring.coupled(1.0, sites=sites), route="scan").item()
    assert abs(scanned - exact) < 1e-8 < abs(plain - exact)


def test_a_gauge_moves_nothing() -> None:
    ring = random_ring(7, 3)
    shift = torch.tensor([0.0, 400.0, -900.0]).double()
    moved = Ring(ring.edges + shift[:, None] - shift, ring.fields, 7)
    for route in ROUTES:
        assert log_partition(moved, route=route).item() == pytest.approx(log_partition(ring).item(), rel=1e-11)


@pytest.mark.parametrize("spread", [0.3, 3.0, 30.0, 300.0])
def test_the_balanced_matrix_is_similar_and_its_rows_add_up_to_one(spread: float) -> None:
    """At 300 nats two labels take turns: an eigenvalue is all but the largest's opposite."""
    matrix = random_ring(5, 4, spread=spread).edges
    balanced, vector, rate = balance(matrix)
    again = balanced.log() + vector[:, None] - vector + rate
    there = balanced > 0.0
    torch.testing.assert_close(again[there], matrix[there], rtol=1e-11, atol=1e-10)
    torch.testing.assert_close(balanced.sum(1), torch.ones(4).double(), rtol=1e-9, atol=0.0)


def test_the_gradient_is_the_expected_count() -> None:
    ring = random_ring(5, 3)
    edges = ring.edges.clone().requires_grad_()
    log_partition(Ring(edges, ring.fields, 5)).backward()
    oracle = Enumerated(ring)
    expected = sum(oracle.marginal(n, (n + 1) % 5) for n in range(5))
    torch.testing.assert_close(edges.grad, expected, rtol=1e-12, atol=1e-13)


def test_routes_that_cannot_be_taken() -> None:
    with pytest.raises(ValueError, match="route must be products, scan or eigenvalues, got 'best'"):
        log_partition(Ring.coupled(1.0, sites=3), route="best")
    for ring in (random_ring(4, 2, kind="each"), random_ring(4, 2, closed=False)):
        with pytest.raises(ValueError, match="take the route products or scan"):
            log_partition(ring, route="eigenvalues")
    frustrated = Ring.coupled(-20.0, sites=3, values=(-1.0, 1.0))  # (2 cosh 20)^3 - (2 sinh 20)^3
    with pytest.raises(ValueError, match="powers of the eigenvalues cancel"):
        log_partition(frustrated, route="eigenvalues")
    assert log_partition(frustrated).item() == pytest.approx(Enumerated(frustrated).log_z.item(), rel=1e-14)
