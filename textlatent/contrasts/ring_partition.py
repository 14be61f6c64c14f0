"""ln Z of a ring by three routes: eigenvalues, products in log space, a scan with compensated sums (THEORY T14)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_tree import levels, log_power, log_product

_DOUBLINGS = 50  # 2^50 sites: what is left of the second eigenvalue is below rounding, or as large as the first


def log_partition(ring: Ring, *, route: str = "products") -> Float[Tensor, ""]:
    """Ln Z, nats; carries a gradient by the route "products".

    Args:
        ring: open or closed.
        route: "products" in log space (repeated squaring, or a tree where potentials differ), "scan" from site to site
            with compensated sums, "eigenvalues" of the one transfer matrix of a closed ring with shared potentials.

    Raises:
        ValueError: an unknown route; eigenvalues where there is more than one matrix, or where their powers cancel.
    """
    if route == "products":
        return _by_products(ring)
    if route == "scan":
        return _by_scan(ring.log_transfer())
    if route != "eigenvalues":
        raise ValueError(f"route must be products, scan or eigenvalues, got {route!r}.")
    if not (ring.shared and ring.closed):
        raise ValueError("eigenvalues need one transfer matrix around a closed ring; take the route products or scan.")
    return _by_eigenvalues(ring.edges + ring.fields[:, None], ring.sites)


def _by_products(ring: Ring) -> Tensor:
    if not ring.shared:
        return levels(ring.log_transfer())[-1][0].diagonal().logsumexp(0)
    matrix = ring.edges + ring.fields[:, None]
    if ring.closed:
        return log_power(matrix, ring.sites).diagonal().logsumexp(0)
    if ring.sites == 1:
        return ring.fields.logsumexp(0)
    return (log_power(matrix, ring.sites - 1) + ring.fields).flatten().logsumexp(0)


def balance(matrix: Float[Tensor, "q q"]) -> tuple[Float[Tensor, "q q"], Float[Tensor, " q"], Float[Tensor, ""]]:
    """A similar matrix of numbers near 1: exp(matrix) = exp(rate) diag(e^v) B diag(e^-v); B's rows add up to 1.

    v is ln of the right Perron vector, so that a power or trace of B neither overflows nor vanishes, whatever the
    potentials.

    Returns:
        B, v and the rate, ln of the largest eigenvalue, nats.
    """
    vector, rate = _perron(matrix)
    balanced = (matrix + vector - vector[:, None] - rate).exp()
    if float((balanced.sum(1) - 1.0).abs().max()) > 1e-10:
        # an eigenvalue nearly as large of another sign or phase: halfway to the identity it falls behind
        still = torch.where(torch.eye(len(matrix), dtype=torch.bool), 0.0, -math.inf).to(matrix)
        vector, _ = _perron(torch.logaddexp(matrix - rate, still))
        balanced = (matrix + vector - vector[:, None] - rate).exp()
    return balanced, vector, rate


def _perron(matrix: Float[Tensor, "q q"]) -> tuple[Float[Tensor, " q"], Float[Tensor, ""]]:
    """Ln of the right vector and of the value of the largest eigenvalue of exp(matrix), from up to 2^50 factors."""
    power, rate = matrix, matrix.new_zeros(())
    for doubling in range(_DOUBLINGS):
        top = power.max()
        rate = rate + top / 2.0**doubling
        before, power = power, log_product(power - top, power - top)
        if float((power - before).abs().max()) < 1e-15:
            rate = rate + top / 2.0**doubling  # what all further doublings would add
            break
    vector = power.logsumexp(1)
    return vector - vector.max(), rate


def _by_eigenvalues(matrix: Tensor, sites: int) -> Tensor:
    """Ln sum_k lambda_k^N, the largest factored out; eigenvalues may be negative or complex.

    Raises:
        ValueError: the powers cancel, as they do on an odd ring whose neighbours strongly repel.
    """
    balanced, _, rate = balance(matrix)
    values = torch.linalg.eigvals(balanced)
    size, top = values.abs(), values.abs().max()
    terms = (size / top) ** sites * (sites * values.angle()).cos()
    total = terms.sum()
    # each eigenvalue carries some rounding, N times as much its N-th power
    lost = 4.0 * torch.finfo(torch.float64).eps * sites * (size / top).pow(sites).sum() / total.abs()
    value = sites * (rate + top.log()) + total.log()
    if not (total > 0.0 and lost <= 1e-11 * max(1.0, abs(float(value)))):
        raise ValueError("the powers of the eigenvalues cancel, and few digits are left; take the route products.")
    return value


def _by_scan(log_t: Float[Tensor, "N q q"]) -> Tensor:
    """Ln trace of the product, from left to right; the steps of sqrt(N) stretches at once, then the stretches.

    Each row's largest term is taken out at every step and summed apart with its rounding error: in one float64 the sum
    over 10^6 sites would lose about 2e-5 nats.
    """
    steps = math.isqrt(len(log_t) - 1) + 1
    missing = -len(log_t) % steps
    nothing = torch.where(torch.eye(log_t.shape[-1], dtype=torch.bool), 0.0, -math.inf).to(log_t)
    stretches = torch.cat([log_t, nothing.expand(missing, -1, -1)]).unflatten(0, (-1, steps))
    row = stretches[:, 0]
    high, low = torch.zeros_like(row[..., 0]), torch.zeros_like(row[..., 0])
    for n in range(1, steps):
        row, high, low = _taken_out(log_product(row, stretches[:, n]), high, low)
    first, above, under = row[0], high[0], low[0]
    for n in range(1, len(row)):
        offset = (high[n] - high[n, 0]) + (low[n] - low[n, 0])
        first, above, under = _taken_out(log_product(first, row[n] + offset[:, None]), above, under)
        above, under = _plus(above, under, high[n, 0])
        under = under + low[n, 0]
    offset = (above - above[0]) + (under - under[0])
    return above[0] + (under[0] + (first.diagonal() + offset).logsumexp(0))


def _taken_out(row: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    top = row.amax(-1)
    return row - top[..., None], *_plus(high, low, top)


def _plus(high: Tensor, low: Tensor, term: Tensor) -> tuple[Tensor, Tensor]:
    """High + low + term, the rounding error of the sum kept in low (Neumaier 1974)."""
    total = high + term
    error = torch.where(high.abs() >= term.abs(), (high - total) + term, (term - total) + high)
    return total, low + error
