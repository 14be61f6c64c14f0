"""Student's t: how far a 95 % interval reaches where the standard error itself rests on a few values."""

import math

import torch

from textlatent.nats.bounds import NINETY_FIVE

_MANY = 1e4  # degrees of freedom: t lies within 0.0003 of the normal's from here on
_POINTS = 200_001


def ninety_five(degrees: float) -> float:
    """The t with P(|T| < t) = 0.95, in standard errors: 12.7 of 1 degree of freedom, 4.3 of 2, 1.96 of very many.

    With t = sqrt(degrees) tan(a) the law of a is cos(a)^(degrees - 1) on (-pi/2, pi/2), up to its sum: integrated by
    the trapezoid rule and inverted.

    Args:
        degrees: of freedom, a whole number or not; NaN where the error's own is not in doubt.

    Raises:
        ValueError: fewer than 1 degree.

    Source: Student 1908, The probable error of a mean.
    """
    if degrees < 1.0:
        raise ValueError(f"Student's t needs at least 1 degree of freedom, got {degrees:g}; take two values or more.")
    if not degrees < _MANY:
        return NINETY_FIVE
    angle = torch.linspace(0.0, math.pi / 2, _POINTS, dtype=torch.float64)
    within = torch.cumulative_trapezoid(angle.cos().clamp(min=0.0) ** (degrees - 1.0), angle)
    at = int(torch.searchsorted(within, 0.95 * within[-1]))
    return math.sqrt(degrees) * math.tan(angle[at + 1].item())


def joined_degrees(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of sqrt(sum_i se_i^2), each part a standard error and its own degrees; NaN of no error.

    (sum_i se_i^2)^2 / sum_i (se_i^4 / degrees_i): no fewer than the fewest of them.

    Source: Welch 1947; Satterthwaite 1946.
    """
    doubt = math.fsum(se**4 / degrees for se, degrees in parts)
    if not doubt > 0.0:
        return math.nan
    whole = math.fsum(se**2 for se, _ in parts) ** 2
    return max(whole / doubt, min(degrees for _, degrees in parts))  # which rounding may fall short of
