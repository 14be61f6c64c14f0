"""Mean and covariance of a ring's counts, against the sum over all Y, and at sizes no sum reaches."""

import math

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import Enumerated, random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_moments import Moments, chain_moments, path, ring_moments


def _counts(oracle: Enumerated) -> Tensor:
    """Of each Y: its pairs, and on an open chain its last label."""
    ring, y, q = oracle.ring, oracle.y, oracle.ring.labels
    table = torch.zeros(len(y), q * q + q * (not ring.closed), dtype=torch.float64)
    for n in range(ring.sites - (not ring.closed)):
        table[torch.arange(len(y)), y[:, n] * q + y[:, (n + 1) % ring.sites]] += 1.0
    if not ring.closed:
        table[torch.arange(len(y)), q * q + y[:, -1]] += 1.0
    return table


def _moments(ring: Ring, sizes: list[int]) -> list[Moments]:
    transfer, wanted = ring.edges + ring.fields[:, None], torch.tensor(sizes)
    return ring_moments(transfer, wanted) if ring.closed else chain_moments(transfer, ring.fields, wanted)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("labels", [2, 3])
def test_moments_are_sums_over_all_y(labels: int, closed: bool) -> None:
    sizes = [1, 2, 3, 4, 7][not closed :]
    one = random_ring(3, labels, closed=closed)
    for size, found in zip(sizes, _moments(one, sizes), strict=True):
        oracle = Enumerated(Ring(one.edges, one.fields, size, closed))
        counts = _counts(oracle)
        mean = oracle.p @ counts
        covariance = (counts * oracle.p[:, None]).T @ counts - mean[:, None] * mean
        torch.testing.assert_close(found.log_partition, oracle.log_z, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(found.mean, mean, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(found.covariance, covariance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sites", [10**4, 10**6])
def test_the_variance_of_a_long_ising_ring(sites: int) -> None:
    """Var s / N tends to 1 - tanh^2(coupling), as ln Z tends to N ln 2 cosh(coupling)."""
    ring = Ring.coupled(0.5, sites=sites, values=(-1.0, 1.0))
    (moments,) = _moments(ring, [sites])
    values = torch.tensor([1.0, -1.0, -1.0, 1.0]).double()
    assert (values @ moments.mean / sites).item() == pytest.approx(math.tanh(0.5), rel=1e-9)
    assert (values @ moments.covariance @ values / sites).item() == pytest.approx(1 - math.tanh(0.5) ** 2, rel=1e-7)


def test_a_path_is_the_sum_it_says() -> None:
    matrix = random_ring(3, 3).edges.exp() / 5.0
    for length in (0, 1, 2, 5, 8):
        found, power = path(matrix, length), torch.linalg.matrix_power
        torch.testing.assert_close(found.power, power(matrix, length), rtol=1e-12, atol=0.0)
        expected = torch.zeros(3, 3, 3, 3).double()
        for k in range(length):
            expected += torch.einsum("bc,da->bcda", power(matrix, k), power(matrix, length - 1 - k))
        torch.testing.assert_close(found.between, expected, rtol=1e-12, atol=0.0)
