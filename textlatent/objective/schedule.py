"""beta as a function of the step: constant, linear, cyclical."""

SCHEDULES = ("constant", "linear", "cyclical")


def beta_at(
    step: int,
    *,
    beta: float,
    schedule: str = "constant",
    schedule_steps: int | None = None,
    beta_start: float = 0.0,
    cycles: int = 4,
    ramp: float = 0.5,
    zero: float = 0.0,
) -> float:
    """The rate's weight at a step (no unit).

    Args:
        step: optimiser steps done before this one.
        beta: the weight at the end, and from schedule_steps on.
        schedule: "constant"; "linear", from beta_start to beta over schedule_steps; "cyclical", in each of `cycles`
            equal cycles 0 for a share `zero` of it, the same rise over a share `ramp`, then held.
        schedule_steps: length of the rise, or of all cycles together.
        beta_start: where a rise starts.
        cycles: M of the source.
        ramp: R of the source.
        zero: share of a cycle without a charge, before its rise; 0.5 with one cycle and ramp 0.25 is Optimus's.

    Source: Bowman et al. 2016, arXiv:1511.06349 (linear); Fu et al. 2019, arXiv:1903.10145, eq. 6 (cyclical); Li et al.
    2020, arXiv:2004.04092 (zero).
    """
    if schedule == "constant" or schedule_steps is None or step >= schedule_steps:
        return beta
    if schedule == "linear":
        progress = step / schedule_steps
    else:
        place = (step * cycles / schedule_steps) % 1.0
        if place < zero:
            return 0.0
        progress = min(1.0, (place - zero) / ramp)
    return beta_start + (beta - beta_start) * progress
