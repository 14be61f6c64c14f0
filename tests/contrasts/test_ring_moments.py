"""Mean and covariance of a ring's counts, against the sum over all Y, and at sizes no sum reaches."""

import math

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_chain import chain_means, chain_moments
from textlatent.contrasts.ring_moments import Moments, path, ring_means, ring_moments


def _counts(oracle: Enumerated) -> Tensor:
    """Of each Y: its pairs, and on an open chain its last label."""
    ring, y, q = oracle.ring, oracle.y, oracle.ring.labels
    table = torch.zeros(len(y), q * q + q * (not ring.closed), dtype=torch.float64)
    for n in range(ring.sites - (not ring.closed)):
        table[torch.arange(len(y)), y[:, n] * q + y[:, (n + 1) % ring.sites]] += 1.0
    if not ring.closed:
        table[torch.arange(len(y)), q * q + y[:, -1]] += 1.0
    return table


def _moments(ring: Ring, sizes: list[int], numbers: Tensor | None = None) -> Moments:
    transfer, wanted = ring.edges + ring.fields[:, None], torch.tensor(sizes)
    if ring.closed:
        return ring_moments(transfer, wanted, numbers)
    return chain_moments(transfer, ring.fields, wanted, numbers)


def _by_sum(one: Ring, size: int) -> Moments:
    oracle = Enumerated(Ring(one.edges, one.fields, size, one.closed))
    counts = _counts(oracle)
    mean = oracle.p @ counts
    return Moments(oracle.log_z, mean, (counts * oracle.p[:, None]).T @ counts - mean[:, None] * mean)


@pytest.mark.parametrize("walk", [2048, 0])
@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("labels", [2, 3])
def test_moments_are_sums_over_all_y(labels: int, closed: bool, walk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one size each, and of a corpus of all of them; by walking and by doubling."""
    monkeypatch.setattr("textlatent.contrasts.ring_moments.WALK", walk)
    sizes = [1, 2, 3, 4, 7][not closed :]
    one, numbers = random_ring(3, labels, closed=closed), torch.tensor([0.5, 2.0, 1.0, 3.0, 1.0]).double()[not closed :]
    expected = [_by_sum(one, size) for size in sizes]
    for size, each in zip(sizes, expected, strict=True):
        _same(_moments(one, [size]), each)
    parts = zip(numbers, expected, strict=True)
    whole = [[n * getattr(each, name) for name in Moments.__dataclass_fields__] for n, each in parts]
    _same(_moments(one, sizes, numbers), Moments(*(sum(part) for part in zip(*whole, strict=True))))


def _same(found: Moments, expected: Moments) -> None:
    torch.testing.assert_close(found.log_partition, expected.log_partition, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(found.covariance, expected.covariance, rtol=1e-10, atol=1e-11)


def test_the_means_of_each_size() -> None:
    sizes = torch.tensor([2, 3, 5])
    for closed, means in ((True, ring_means), (False, chain_means)):
        one = random_ring(3, 3, closed=closed)
        transfer = one.edges + one.fields[:, None]
        found = means(transfer, sizes) if closed else means(transfer, one.fields, sizes)
        for row, size in enumerate(sizes.tolist()):
            torch.testing.assert_close(found.mean[row], _by_sum(one, size).mean, rtol=1e-11, atol=1e-12)
            torch.testing.assert_close(
                found.log_partition[row], _by_sum(one, size).log_partition, rtol=1e-12, atol=1e-12
            )


@pytest.mark.parametrize("sites", [10**4, 10**7])
def test_the_variance_of_a_long_ising_ring(sites: int) -> None:
    """Var s / N tends to 1 - tanh^2(coupling), as ln Z tends to N ln 2 cosh(coupling)."""
    ring = Ring.coupled(0.5, sites=sites, values=(-1.0, 1.0))
    moments = _moments(ring, [sites])
    values = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    assert (values @ moments.mean / sites).item() == pytest.approx(math.tanh(0.5), rel=1e-12)
    assert (values @ moments.covariance @ values / sites).item() == pytest.approx(1 - math.tanh(0.5) ** 2, rel=1e-12)


def test_a_path_is_the_sum_it_says() -> None:
    matrix = random_ring(3, 3).edges.exp() / 5.0
    for length in (0, 1, 2, 5, 8):
        found, power = path(matrix, length), torch.linalg.matrix_power
        torch.testing.assert_close(found.power, power(matrix, length), rtol=1e-12, atol=0.0)
        expected = torch.zeros(3, 3, 3, 3).double()
        for k in range(length):
            expected += torch.einsum("bc,da->bcda", power(matrix, k), power(matrix, length - 1 - k))
        torch.testing.assert_close(found.between, expected, rtol=1e-12, atol=0.0)


def test_sites_that_determine_each_other_have_no_covariance() -> None:
    ring = Ring.coupled(40.0, sites=10, values=(-1.0, 1.0))
    with pytest.raises(ValueError, match="neighbours bind so strongly that sites determine each other"):
        _moments(ring, [10])
