"""The stop before an update that is not finite."""

import math
from collections.abc import Callable
from typing import Any


def must_be_finite(sums: dict[str, Any], *, step: int, precision: str, saved: Callable[[], list[int]]) -> None:
    """Nothing, if the sums are finite; they are the same on every process, so that all of them stop or none.

    Args:
        sums: rate (None where none is defined) and distortion of a step, nats, and the gradient's norm.
        step: the number of the step, from 1.
        precision: "fp32" or "bf16".
        saved: returns the steps with a checkpoint, newest first.

    Raises:
        FloatingPointError: one of them is not a finite number; the message says what to do.
    """
    defined = [name for name in ("rate", "distortion", "gradient_norm") if sums[name] is not None]
    wrong = [name for name in defined if not math.isfinite(sums[name])]
    if not wrong:
        return
    steps = saved()
    rounded = " or training.precision: fp32" if precision == "bf16" else ""
    raise FloatingPointError(
        f"the {' and the '.join(wrong).replace('_', ' ')} stopped being a finite number at step {step}; the weights "
        f"were not updated with it. Newest checkpoint: {f'step-{steps[0]}' if steps else 'none yet'}. Begin again "
        f"under another name, with a lower training.learning_rate or more training.warmup_steps{rounded}."
    )
