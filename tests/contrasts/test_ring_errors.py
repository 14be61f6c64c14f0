"""Standard errors: J by enumeration, both J against each other, and the coverage of intervals by simulation."""

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import count_rows
from textlatent.contrasts.ring_errors import (
    model_variability,
    pseudo_score_covariance,
    sandwich,
    sequence_variability,
    standard_errors,
)
from textlatent.contrasts.ring_fit import METHODS, Fit, fit
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood
from textlatent.contrasts.ring_sampling import sample

CORPORA = 300


def _score(theta: Tensor, basis: Basis, y: Tensor, *, closed: bool, interior: bool = False) -> Tensor:
    """The gradient of ln PL of each row, by automatic differentiation."""

    def value(at: Tensor) -> Tensor:
        edges, fields = basis.potentials(at)
        sites = torch.arange(1, y.shape[1] - 1) if interior else None
        return -negative_log_pseudolikelihood(Ring(edges, fields, y.shape[1], closed), y, sites=sites)

    return torch.autograd.functional.jacobian(value, theta)


@pytest.mark.parametrize(("sites", "labels"), [(3, 2), (4, 2), (7, 2), (3, 3), (4, 3), (5, 3)])
def test_the_covariance_of_the_score_is_a_sum_over_all_y(sites: int, labels: int) -> None:
    ring, basis = random_ring(sites, labels), Basis.full(labels, fields=True)
    oracle, theta = Enumerated(ring), torch.cat([ring.edges.flatten(), ring.fields])
    scores = _score(theta, basis, oracle.y, closed=True)
    torch.testing.assert_close(oracle.p @ scores, torch.zeros_like(theta), rtol=0.0, atol=1e-12)  # at every N
    expected = (scores * oracle.p[:, None]).T @ scores
    found = pseudo_score_covariance(ring.edges + ring.fields[:, None], basis, sites)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "closed", "interior"),
    [(method, closed, False) for method in METHODS for closed in (True, False)] + [("pseudo_likelihood", False, True)],
)
def test_the_scores_of_sequences_are_gradients(method: str, closed: bool, interior: bool) -> None:
    y = sample(random_ring(5, 3, closed=closed), 30, seed=0)
    counts, basis = count_rows(y, labels=3, closed=closed), Basis.full(3, fields=True)
    found = fit(counts.interior() if interior else counts, basis, method=method, ridge=0.5)
    if method == "pseudo_likelihood":
        scores = _score(found.theta, basis, y, closed=closed, interior=interior)
    else:
        from textlatent.contrasts.ring_exact import log_prob

        def value(at: Tensor) -> Tensor:
            return log_prob(Ring(*basis.potentials(at), 5, closed), y)

        scores = torch.autograd.functional.jacobian(value, found.theta)
    centred = scores - scores.mean(0)
    offsets = torch.arange(31) * 5
    given = sequence_variability(found, y.flatten(), offsets, interior=interior)
    torch.testing.assert_close(given, centred.T @ centred, rtol=1e-9, atol=1e-10)


def test_both_variabilities_agree_where_the_model_is_right() -> None:
    """2,000 rings from the truth: the entries of J within 6 standard errors of a covariance, about sqrt(2 / 2000)."""
    y = sample(Ring.coupled(0.7, sites=9), 2000, seed=0)
    for method in METHODS:
        found = fit(count_rows(y, labels=3), Basis.coupling(), method=method)
        own = model_variability(found).item()
        seen = sequence_variability(found, y.flatten(), torch.arange(2001) * 9).item()
        assert abs(seen / own - 1.0) < 6.0 * (2.0 / 2000) ** 0.5


def test_under_maximum_likelihood_the_sandwich_is_the_inverse_information() -> None:
    y = sample(random_ring(8, 3, spread=0.3), 300, seed=0)
    found = fit(count_rows(y, labels=3), Basis.full(3))
    torch.testing.assert_close(
        sandwich(found, model_variability(found)), found.inverse_hessian(), rtol=1e-6, atol=1e-12
    )


def _coverage(method: str, robust: bool) -> tuple[float, float]:
    """Share of 95 % intervals that hold the truth, and what the naive inverse Hessian would have had, of CORPORA."""
    truth, rows, sites = 1.0, 40, 8
    ring, basis, hit, naive = Ring.coupled(truth, sites=sites), Basis.coupling(), 0, 0
    drawn = sample(ring, CORPORA * rows, seed=7).reshape(CORPORA, rows, sites)
    for y in drawn:
        found: Fit = fit(count_rows(y, labels=3), basis, method=method)
        if robust:
            score = sequence_variability(found, y.flatten(), torch.arange(rows + 1) * sites)
        else:
            score = model_variability(found)
        off = abs(found.theta.item() - truth)
        hit += off < 1.96 * standard_errors(sandwich(found, score)).item()
        naive += off < 1.96 * found.inverse_hessian().sqrt().item()
    return hit / CORPORA, naive / CORPORA


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "robust"), [("pseudo_likelihood", False), ("pseudo_likelihood", True), ("maximum_likelihood", True)]
)
def test_95_of_100_intervals_hold_the_truth(method: str, robust: bool) -> None:
    """Of 300 corpora, 0.95 +- 4 x 0.0126; a pseudo-likelihood's inverse Hessian alone would be too short."""
    covered, naive = _coverage(method, robust)
    assert covered == pytest.approx(0.95, abs=0.05)
    if method == "pseudo_likelihood":
        assert naive < covered


def test_what_has_no_errors_is_refused() -> None:
    chain = random_ring(5, 3, closed=False)
    y = sample(chain, 50, seed=0)
    found = fit(count_rows(y, labels=3, closed=False), Basis.potts(3), method="pseudo_likelihood")
    with pytest.raises(ValueError, match="take sequence_variability for open chains"):
        model_variability(found)
    with pytest.raises(ValueError, match="at least two of them; for one take model_variability"):
        sequence_variability(found, y[0], torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="needs N >= 3 sites, got 2"):
        pseudo_score_covariance(torch.zeros(3, 3).double(), Basis.potts(3), 2)
