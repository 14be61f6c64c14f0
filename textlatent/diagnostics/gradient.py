"""Estimates of a gradient beside the gradient itself: norm, bias and variance, from draws of the estimate."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

CERTAIN = 4.0
"""Standard errors that a squared bias must lie above 0 to be called one (ours: one in 30,000 by chance)."""


@dataclass(frozen=True)
class Measured:
    """An estimator of a gradient, measured.

    Attributes:
        norm: |mean of the estimates|.
        exact_norm: |the gradient|.
        bias_square: |E estimate - gradient|^2, estimated without bias (it may be negative), exact if nothing is drawn.
        bias_square_se: its standard error, by the jackknife (sqrt 2 too large where there is no bias); 0 where nothing
            is drawn.
        variance: E |estimate - E estimate|^2, all entries together.
        draws: how many estimates it rests on.
    """

    norm: float
    exact_norm: float
    bias_square: float
    bias_square_se: float
    variance: float
    draws: int

    @property
    def bias(self) -> float:
        """The bias's length, 0 where its square came out negative."""
        return math.sqrt(max(0.0, self.bias_square))

    @property
    def bias_limit(self) -> float:
        """The largest bias that the draws leave open: its square CERTAIN standard errors above the estimate."""
        return math.sqrt(max(0.0, self.bias_square) + CERTAIN * self.bias_square_se)

    @property
    def biased(self) -> bool:
        """Whether the draws show a bias: more than CERTAIN standard errors, and more than rounding."""
        rounding = (1e-12 * max(self.exact_norm, 1.0)) ** 2
        return self.bias_square > max(CERTAIN * self.bias_square_se, rounding)


def measure_gradient(estimates: Float[Tensor, "R n"], exact: Float[Tensor, " n"]) -> Measured:
    """The estimates beside the gradient.

    |E g - e|^2 is the mean of (g_r - e).(g_s - e) over pairs r != s, which |mean - e|^2 overshoots by variance / R.

    Args:
        estimates: independent draws of an estimate; one where nothing is drawn.
        exact: the gradient.

    Raises:
        ValueError: no estimate.
    """
    count = len(estimates)
    if not count:
        raise ValueError("a gradient is measured from at least one estimate, got none.")
    estimates, exact = estimates.double(), exact.double()
    mean, off = estimates.mean(0), estimates - exact
    if count == 1:
        return Measured(float(mean.norm()), float(exact.norm()), float(off.square().sum()), 0.0, 0.0, 1)
    total, squares = off.sum(0), off.square().sum(1)
    along = off @ total

    def pairs(sum_square: Tensor, square_sum: Tensor, n: int) -> Tensor:
        return (sum_square - square_sum) / (n * (n - 1))

    whole = pairs(total @ total, squares.sum(), count)
    error = 0.0
    if count > 2:
        without = pairs(total @ total - 2.0 * along + squares, squares.sum() - squares, count - 1)
        error = float(((count - 1) / count * (without - without.mean()).square().sum()).sqrt())
    variance = float(estimates.var(0).sum())
    return Measured(float(mean.norm()), float(exact.norm()), float(whole), error, variance, count)
