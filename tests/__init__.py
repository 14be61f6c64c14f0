"""The type checker that pytest puts on every annotated function of the tensor rooms."""

from collections.abc import Callable

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception


def checked(function: Callable) -> Callable:
    """`function` with its arguments, shapes and result checked; one that returns `Self` stays as it is.

    beartype knows `Self` only where the whole class is decorated. An int will do for a float (PEP 484).
    """
    try:
        return beartype(function, conf=BeartypeConf(is_pep484_tower=True))
    except BeartypeDecorHintPep673Exception:
        return function
