"""Fits: the truth from a complete data set, closed forms, the gauge, a ridge, and data that have no maximiser."""

import math

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import Counts, count_rows
from textlatent.contrasts.ring_fit import METHODS, fit
from textlatent.contrasts.ring_sampling import sample

# a chain of one edge has a larger gauge: its potentials are its pairs alone
CASES = [(sites, labels, closed) for sites, labels in ((3, 3), (4, 2), (5, 3), (4, 4)) for closed in (True, False)]
CASES.append((2, 2, True))


def _complete(ring: Ring) -> Counts:
    """All q^N configurations, each weighted by its exact probability."""
    oracle = Enumerated(ring)
    return count_rows(oracle.y, labels=ring.labels, closed=ring.closed, weights=oracle.p)


def _gauge_fixed(theta: torch.Tensor, labels: int, *, closed: bool, fields: bool, ends: bool = True) -> torch.Tensor:
    """Theta without its part along the potentials that change no P: the smallest that make the same ring."""
    moves = []
    for a in range(labels):
        edges, single = torch.zeros(labels, labels).double(), torch.zeros(labels).double()
        if closed:
            edges[a, :] += 1.0
            edges[:, a] -= 1.0
            moves.append((edges, single))
            if fields:  # a field of the site, taken back on the edge after it
                taken = torch.zeros(labels, labels).double()
                taken[a, :] = -1.0
                moves.append((taken, torch.eye(labels)[a].double()))
    moves.append((torch.ones(labels, labels).double(), torch.zeros(labels).double()))
    if fields:
        moves.append((torch.zeros(labels, labels).double(), torch.ones(labels).double()))
    gauge = torch.stack([torch.cat([edges.flatten(), single]) for edges, single in moves])[:, : len(theta)]
    return theta - gauge.T @ torch.linalg.lstsq(gauge.T, theta[:, None], driver="gelsd").solution[:, 0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize(("sites", "labels", "closed"), CASES)
def test_a_complete_data_set_returns_the_truth(
    sites: int, labels: int, closed: bool, fields: bool, method: str
) -> None:
    ring = random_ring(sites, labels, closed=closed)
    truth = torch.cat([ring.edges.flatten(), ring.fields])[: labels * labels + labels * fields]
    ring = Ring(ring.edges, ring.fields * fields, sites, closed)
    found = fit(_complete(ring), Basis.full(labels, fields=fields), method=method)
    expected = _gauge_fixed(truth, labels, closed=closed, fields=fields)
    torch.testing.assert_close(found.theta, expected, rtol=0.0, atol=1e-8)
    oracle = Enumerated(found.ring(sites))
    torch.testing.assert_close(oracle.p, Enumerated(ring).p, rtol=0.0, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_t14s_coupling_and_potts_from_complete_data(method: str) -> None:
    for truth in (1.0, -0.4):
        found = fit(_complete(Ring.coupled(truth, sites=5)), Basis.coupling(), method=method)
        assert found.theta.item() == pytest.approx(truth, abs=1e-9)
        found = fit(_complete(Ring.potts(truth, sites=4, labels=4)), Basis.potts(4), method=method)
        assert found.theta.item() == pytest.approx(truth, abs=1e-9)


def test_the_estimators_of_an_ising_ring_in_closed_form() -> None:
    """tanh(2 coupling) = 2 S / (N + C) by pseudo-likelihood, S = sum e_n, C = sum e_n e_{n+1}, e_n = y_n y_{n+1}.

    By maximum likelihood tanh(coupling) = S / N, up to tanh^N of the coupling, nothing at N = 400.
    """
    y = sample(Ring.coupled(0.6, sites=400, values=(-1.0, 1.0)), 1, seed=0)
    values = 2.0 * y[0].double() - 1.0
    edge = values * values.roll(-1)
    total, product = edge.sum().item(), (edge * edge.roll(-1)).sum().item()
    counts, basis = count_rows(y, labels=2), Basis.coupling((-1.0, 1.0))
    pseudo = fit(counts, basis, method="pseudo_likelihood").theta.item()
    assert math.tanh(2 * pseudo) == pytest.approx(2 * total / (400 + product), rel=1e-10)
    likely = fit(counts, basis).theta.item()
    assert math.tanh(likely) == pytest.approx(total / 400, rel=1e-10)


def test_the_likelihood_of_a_markov_chain_is_its_ring_with_one_more_site() -> None:
    """Independent sites: both fits are the frequencies of the labels, and both values N times their entropy."""
    y = torch.tensor([[0, 0, 0, 1, 2], [1, 0, 2, 0, 0], [0, 1, 0, 0, 2]])
    edges, fields = torch.zeros(2, 3, 3).double(), torch.eye(3)[1:].double()
    basis = Basis(edges, fields, ("field 1", "field 2"))
    share = torch.bincount(y.flatten()).double() / y.numel()
    for method in METHODS:
        found = fit(count_rows(y, labels=3), basis, method=method)
        torch.testing.assert_close(found.theta, (share[1:] / share[0]).log(), rtol=1e-10, atol=1e-10)
        assert found.value == pytest.approx(-(y.numel() * share * share.log()).sum().item(), rel=1e-12)


def test_a_ridge_shrinks_and_makes_every_corpus_fit() -> None:
    y = torch.full((5, 6), 1)
    for method in METHODS:
        strong, weak = (fit(count_rows(y, labels=3), Basis.full(3), method=method, ridge=r) for r in (10.0, 0.1))
        assert strong.theta.norm() < weak.theta.norm()
        assert weak.theta.isfinite().all()
    counts = _complete(random_ring(4, 3))
    free, held = fit(counts, Basis.full(3)), fit(counts, Basis.full(3), ridge=1e-9)
    torch.testing.assert_close(held.theta, free.theta, rtol=0.0, atol=1e-6)
    assert held.value >= free.value - 1e-12


def test_the_penalised_gradient_is_nothing_at_the_end() -> None:
    from textlatent.contrasts.ring_terms import pseudolikelihood

    counts = count_rows(sample(random_ring(6, 3), 20, seed=0), labels=3)
    found = fit(counts, Basis.full(3), method="pseudo_likelihood", ridge=2.0)
    terms = pseudolikelihood(counts, found.theta.reshape(3, 3), torch.zeros(3).double())
    torch.testing.assert_close(terms.gradient, -2.0 * found.theta, rtol=1e-8, atol=1e-9)
    assert found.value == pytest.approx(terms.value.item(), rel=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_data_without_a_finite_maximiser_are_told(method: str) -> None:
    ordered = count_rows(torch.full((5, 8), 2), labels=3)
    with pytest.raises(ValueError, match="Give ridge > 0, or more data"):
        fit(ordered, Basis.coupling(), method=method)
    never = torch.tensor([[0, 1, 0, 1, 1], [0, 0, 1, 0, 1], [0, 2, 1, 1, 1], [2, 1, 2, 0, 0]])  # no pair 2, 2
    with pytest.raises(ValueError, match="Give ridge > 0, or more data"):
        fit(count_rows(never, labels=3), Basis.full(3), method=method)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"method": "best"}, "method must be one of maximum_likelihood, pseudo_likelihood, got 'best'"),
        ({"ridge": -1.0}, "ridge must be >= 0, got -1"),
        ({"basis": Basis.full(2)}, "same labels, got 3 and 2"),
        ({"most_steps": 1}, "did not converge in 1 Newton steps"),
    ],
)
def test_what_is_refused(change: dict, sentence: str) -> None:
    arguments = {"basis": Basis.full(3)} | change
    with pytest.raises(ValueError, match=sentence):
        fit(_complete(random_ring(4, 3)), **arguments)


def test_too_many_labels_are_refused() -> None:
    counts = count_rows(torch.arange(60)[None], labels=60)
    with pytest.raises(ValueError, match="at most 48 labels, got 60"):
        fit(counts, Basis.potts(60))
