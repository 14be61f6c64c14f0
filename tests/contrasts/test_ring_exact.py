"""Marginals, entropy, divergence and the mode of rings, against the sum over all Y."""

from itertools import product

import pytest
import torch

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_exact import (
    divergence,
    entropy,
    expected_score,
    log_prob,
    marginals,
    mode,
    pair_marginals,
)

KINDS = list(product(("shared", "fields", "each"), (True, False)))


@pytest.mark.parametrize("labels", [2, 3, 4])
@pytest.mark.parametrize("sites", range(1, 9))
def test_everything_is_the_sum_over_all_y(sites: int, labels: int) -> None:
    for kind, closed in KINDS:
        ring = random_ring(sites, labels, kind=kind, closed=closed)
        oracle, close = Enumerated(ring), {"rtol": 1e-11, "atol": 1e-13}
        torch.testing.assert_close(log_prob(ring, oracle.y), oracle.p.log(), **close)
        each = torch.stack([oracle.marginal(n) for n in range(sites)])
        torch.testing.assert_close(marginals(ring), each, **close)
        for n, table in enumerate(pair_marginals(ring)):
            expected = oracle.marginal(n, (n + 1) % sites) if sites > 1 else oracle.marginal(0).diag()
            torch.testing.assert_close(table, expected, **close)
        torch.testing.assert_close(entropy(ring), -(oracle.p * oracle.p.log()).sum(), **close)
        best = mode(ring)
        torch.testing.assert_close(best.log_prob, oracle.p.max().log(), **close)
        torch.testing.assert_close(ring.score(best.y), oracle.score.max(), **close)  # rings turn: there may be equals


@pytest.mark.parametrize(("kind", "closed"), KINDS)
def test_the_divergence_of_two_rings(kind: str, closed: bool) -> None:
    one, other = (random_ring(5, 3, kind=kind, closed=closed, seed=seed) for seed in (1, 2))
    p, q = Enumerated(one), Enumerated(other)
    expected = (p.p * (p.p.log() - q.p.log())).sum()
    torch.testing.assert_close(divergence(one, other), expected, rtol=1e-11, atol=0.0)
    assert divergence(one, one).abs().item() < 1e-12


def test_a_long_ring_forgets_its_length() -> None:
    """Entropy per site tends to ln lambda - coupling * E s / N; a million sites are no different from ten thousand."""
    short, long = Ring.coupled(1.0, sites=10**4), Ring.coupled(1.0, sites=10**6)
    assert (entropy(long) / 10**6).item() == pytest.approx((entropy(short) / 10**4).item(), rel=1e-10)
    torch.testing.assert_close(marginals(long)[-1], marginals(short)[0], rtol=1e-9, atol=0.0)
    assert mode(short).y.unique().numel() == 1


def test_the_mode_of_an_odd_ring_whose_neighbours_repel_has_one_fault() -> None:
    best = mode(Ring.coupled(-2.0, sites=7, values=(-1.0, 1.0))).y
    assert int((best == best.roll(1)).sum()) == 1


def test_the_expected_score_is_of_the_ring_itself_unless_another_is_named() -> None:
    ring = random_ring(4, 3)
    oracle = Enumerated(ring)
    torch.testing.assert_close(expected_score(ring), oracle.p @ oracle.score, rtol=1e-12, atol=1e-13)
    other = random_ring(4, 3, seed=5)
    torch.testing.assert_close(expected_score(ring, of=other), oracle.p @ other.score(oracle.y), rtol=1e-12, atol=1e-13)


def test_rings_of_different_size_have_no_divergence() -> None:
    with pytest.raises(ValueError, match="same sites and labels, got 3 and 4 sites, 3 and 3 labels"):
        divergence(Ring.coupled(1.0, sites=3), Ring.coupled(1.0, sites=4))
