"""Draws against the exact P by chi-square; colours that make a block of Gibbs sampling one."""

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_sampling import colours, gibbs, sample

DRAWS = 40_000


def _chi_square(y: Tensor, oracle: Enumerated) -> tuple[float, int]:
    """The statistic over all configurations, those expected fewer than 5 times taken together; degrees of freedom."""
    q, n = oracle.ring.labels, oracle.ring.sites
    code = (y * q ** torch.arange(n - 1, -1, -1)).sum(1)
    seen = torch.bincount(code, minlength=q**n).double()
    expected = len(y) * oracle.p
    rare = expected < 5.0
    if bool(rare.any()):
        seen = torch.cat([seen[~rare], seen[rare].sum()[None]])
        expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    return float(((seen - expected).square() / expected).sum()), len(expected) - 1


def _passes(y: Tensor, oracle: Enumerated) -> bool:
    """Below mean + 4 standard deviations of a chi-square: one seed in some ten thousand would fail."""
    statistic, freedom = _chi_square(y, oracle)
    return statistic < freedom + 4.0 * (2.0 * freedom) ** 0.5


@pytest.mark.parametrize(
    ("sites", "labels", "kind", "closed"),
    [
        (1, 3, "shared", True),
        (2, 3, "shared", True),
        (3, 3, "shared", True),
        (5, 2, "each", True),
        (4, 3, "fields", True),
        (5, 3, "shared", False),
        (6, 2, "each", False),
    ],
)
def test_exact_draws_and_gibbs_have_the_law_of_the_ring(sites: int, labels: int, kind: str, closed: bool) -> None:
    ring = random_ring(sites, labels, kind=kind, closed=closed, spread=0.7)
    oracle = Enumerated(ring)
    assert _passes(sample(ring, DRAWS, seed=1), oracle)
    start = torch.zeros(DRAWS, sites, dtype=torch.long)
    assert not _passes(start, oracle)
    assert _passes(gibbs(ring, start, sweeps=30, seed=2), oracle)


def test_a_sweep_leaves_the_law_as_it_is() -> None:
    """From exact draws, one sweep on an odd ring: with two colours, two neighbours would be drawn at once."""
    ring = Ring.coupled(1.5, sites=3, values=(-1.0, 1.0))
    oracle = Enumerated(ring)
    assert _passes(gibbs(ring, sample(ring, DRAWS, seed=3), sweeps=1, seed=4), oracle)


def test_two_colours_on_an_odd_ring_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can tell."""
    ring = Ring.coupled(1.5, sites=3, values=(-1.0, 1.0))
    two = [torch.tensor([0, 2]), torch.tensor([1])]
    monkeypatch.setattr("textlatent.contrasts.ring_sampling.colours", lambda ring: two)
    assert not _passes(gibbs(ring, sample(ring, DRAWS, seed=3), sweeps=1, seed=4), Enumerated(ring))


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("sites", range(1, 9))
def test_neighbours_differ_in_colour(sites: int, closed: bool) -> None:
    ring = Ring.coupled(1.0, sites=sites, closed=closed)
    blocks = colours(ring)
    assert torch.cat(blocks).sort().values.tolist() == list(range(sites))
    of = torch.zeros(sites, dtype=torch.long)
    for number, block in enumerate(blocks):
        of[block] = number
    edges = [(n, (n + 1) % sites) for n in range(sites - (not closed))]
    assert all(of[a] != of[b] for a, b in edges if a != b)
    assert len(blocks) == (1 if sites == 1 else 3 if closed and sites % 2 else 2)


def test_pairs_of_a_long_ring() -> None:
    """A million sites in one draw: equal neighbours as often as the ring says, within 5 standard errors."""
    ring = Ring.coupled(1.0, sites=10**6)
    y = sample(ring, 1, seed=0)[0]
    from textlatent.contrasts.ring_exact import pair_marginals

    expected = pair_marginals(ring)[0].diagonal().sum().item()
    seen = (y == y.roll(-1)).double()
    blocks = seen.reshape(1000, 1000).mean(1)
    assert abs(seen.mean().item() - expected) < 5.0 * blocks.std().item() / 1000**0.5


def test_the_same_seed_is_the_same_draw() -> None:
    ring = random_ring(6, 3)
    assert torch.equal(sample(ring, 5, seed=1), sample(ring, 5, seed=1))
    assert not torch.equal(sample(ring, 50, seed=1), sample(ring, 50, seed=2))


def test_nothing_to_draw_is_refused() -> None:
    ring = Ring.coupled(1.0, sites=3)
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        sample(ring, 0, seed=0)
    with pytest.raises(ValueError, match="sweeps must be >= 1, got 0"):
        gibbs(ring, torch.zeros(1, 3).long(), sweeps=0, seed=0)
    with pytest.raises(ValueError, match="3 sites, got 4"):
        gibbs(ring, torch.zeros(1, 4).long(), sweeps=1, seed=0)
