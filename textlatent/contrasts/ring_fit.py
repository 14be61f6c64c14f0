"""A ring fitted to counts by maximum likelihood or pseudo-likelihood: Newton's method with the exact Hessian.

Both are convex. Potentials that differ by u[a] - u[b] on every edge, or by a constant, are the same ring (the gauge);
the fit starts at 0 and never moves along such a direction, so that it returns the smallest potentials that fit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import Counts
from textlatent.contrasts.ring_terms import Terms, likelihood, pseudolikelihood

METHODS = {"maximum_likelihood": likelihood, "pseudo_likelihood": pseudolikelihood}
LABELS_AT_MOST = 48
"""q^2 x q^2 numbers of a Hessian: 42 MB at 48 labels, and its inverse some seconds."""

Objective = Callable[[Tensor], Terms]

_FLAT = 1e-10  # a curvature below this share of the largest is none
_STRIDE = 4.0  # nats that a potential moves in one step at most
_GONE = 1e-9  # curvature left, as a share of that at 0, where the maximiser is at infinity


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Attributes:
        theta: the parameters, nats, [K].
        basis: what they mean.
        method: maximum_likelihood or pseudo_likelihood.
        ridge: nats charged for theta: ridge / 2 * |theta|^2.
        value: the minimum over the corpus, nats, ridge not counted.
        hessian: of the whole corpus in theta, ridge counted, 0 along the gauge, [K, K].
        counts: what was fitted.
        steps: Newton steps taken.
    """

    theta: Tensor
    basis: Basis
    method: str
    ridge: float
    value: float
    hessian: Tensor
    counts: Counts
    steps: int

    def ring(self, sites: int) -> Ring:
        """The fitted ring (or open chain) of so many sites."""
        return Ring(*self.basis.potentials(self.theta), sites=sites, closed=self.counts.closed)

    def inverse_hessian(self) -> Float[Tensor, "K K"]:
        """Its inverse off the gauge: under maximum likelihood the covariance of theta if the model is right."""
        return torch.linalg.pinv(self.hessian, rtol=_FLAT, hermitian=True)


def fit(
    counts: Counts,
    basis: Basis,
    *,
    method: str = "maximum_likelihood",
    ridge: float = 0.0,
    most_steps: int = 100,
) -> Fit:
    """The potentials of `basis` that fit best; the cost depends on q and on the different sizes, not on the corpus.

    Args:
        counts: of the corpus; `counts.interior()` leaves the ends of open chains out of the pseudo-likelihood.
        basis: the potentials allowed, shared by all edges and sites.
        method: maximum_likelihood or pseudo_likelihood.
        ridge: nats charged for theta: ridge / 2 * |theta|^2; above 0 there is always a finite maximiser.
        most_steps: Newton steps after which to give up.

    Raises:
        ValueError: an unknown method, labels that differ or are too many, no finite maximiser, a direction that the
            data leave open, or no convergence.
    """
    _refuse(counts, basis, method, ridge)
    terms_of, design = METHODS[method], basis.design(closed=counts.closed)

    def objective(theta: Tensor) -> Terms:
        edges, fields = basis.potentials(theta)
        found = terms_of(counts, edges + fields[:, None], fields)
        hessian = design @ found.hessian @ design.T
        penalised = found.value + ridge / 2.0 * theta.square().sum()
        return Terms(penalised, design @ found.gradient + ridge * theta, (hessian + hessian.T) / 2.0)

    bent = _directions(objective(torch.zeros(len(basis), dtype=torch.float64)).hessian)
    if not ridge:
        _refuse_open(bent, counts, basis, method)
    try:
        theta, there, steps = _newton(objective, bent, ridge=ridge, most_steps=most_steps)
    except ValueError as fault:
        raise ValueError(f"{method}: {fault}") from None
    value = float(there.value - ridge / 2.0 * theta.square().sum())
    inside = bent @ bent.T  # nothing along the gauge, where a ridge alone would bend
    return Fit(theta, basis, method, ridge, value, inside @ there.hessian @ inside + ridge * inside, counts, steps)


def _newton(
    objective: Objective, bent: Float[Tensor, "K r"], *, ridge: float, most_steps: int
) -> tuple[Float[Tensor, " K"], Terms, int]:
    """The minimum inside the directions `bent`, what the objective says there, and the steps it took.

    Raises:
        ValueError: no convergence, or a curvature that vanishes on the way.
    """
    theta, one = torch.zeros(len(bent), dtype=torch.float64), torch.eye(bent.shape[1], dtype=torch.float64)
    here = objective(theta)
    scale = (bent.T @ here.hessian @ bent).diagonal().sqrt()
    for step in range(1, most_steps + 1):
        hessian = bent.T @ here.hessian @ bent + ridge * one
        if not ridge and bool((torch.linalg.eigvalsh(hessian / scale / scale[:, None]) < _GONE).any()):
            raise ValueError(
                "there is no finite maximiser: some pair of labels never (or always) occurs where it could, and its "
                "potential goes to infinity. Give ridge > 0, or more data."
            )
        move = -bent @ torch.linalg.solve(hessian, bent.T @ here.gradient)
        theta, here, small = _line_search(theta, here, move, objective)
        if small:
            return theta, here, step
    raise ValueError(f"it did not converge in {most_steps} Newton steps; give ridge > 0.")


def _line_search(theta: Tensor, here: Terms, move: Tensor, objective: Objective) -> tuple[Tensor, Terms, bool]:
    """The Newton step, or half of it, and half again, until it gains; True where it was too small to matter."""
    size, slope = float(move.abs().max()), float(here.gradient @ move)
    short = size < 1e-9 * (1.0 + float(theta.abs().max()))
    if short or -slope < 1e-16 * (1.0 + abs(float(here.value))):
        return theta + move, objective(theta + move), True  # quadratic convergence: the next step would be 1e-18
    share = min(1.0, _STRIDE / size)
    while True:
        there = objective(theta + share * move)
        # a sum of many nats cannot tell a gain below its own rounding
        if float(there.value) <= float(here.value) + 1e-4 * share * slope + 1e-13 * abs(float(here.value)):
            return theta + share * move, there, False
        share /= 2.0


def _directions(hessian: Float[Tensor, "K K"]) -> Float[Tensor, "K r"]:
    """An orthonormal basis of the directions in which the objective bends at theta = 0: all but the gauge."""
    values, vectors = torch.linalg.eigh(hessian)
    return vectors[:, values > _FLAT * values[-1]]


def _refuse(counts: Counts, basis: Basis, method: str, ridge: float) -> None:
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}.")
    if counts.labels != basis.labels:
        raise ValueError(f"counts and basis must have the same labels, got {counts.labels} and {basis.labels}.")
    if counts.labels > LABELS_AT_MOST:
        raise ValueError(
            f"Newton's method takes at most {LABELS_AT_MOST} labels, got {counts.labels}; merge the rare ones, or "
            "train the ring through the loop."
        )
    if ridge < 0.0:
        raise ValueError(f"ridge must be >= 0, got {ridge}.")


def _refuse_open(found: Tensor, counts: Counts, basis: Basis, method: str) -> None:
    """Refuse data that leave open what another corpus would settle: contexts of the pseudo-likelihood never seen.

    Raises:
        ValueError: there are such directions.
    """
    if method != "pseudo_likelihood":
        return
    triples, first, last = (
        torch.full_like(each, float(each.sum() > 0)) for each in (counts.triples, counts.first, counts.last)
    )
    even = replace(counts, triples=triples, first=first, last=last)
    nothing = torch.zeros_like(counts.pairs)
    design = basis.design(closed=counts.closed)
    hessian = pseudolikelihood(even, nothing, nothing[0]).hessian
    settled = _directions(design @ hessian @ design.T).shape[1]
    if found.shape[1] < settled:
        raise ValueError(
            f"these data settle {found.shape[1]} of {settled} directions of the potentials: some neighbours never "
            "occur. Give ridge > 0, or more data."
        )
