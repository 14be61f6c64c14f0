"""Every claim by its name, in the order of the theory, and the file that shows it."""

import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

from textlatent.theory.row import Row

CLAIMS: dict[str, str] = {
    "T1": "autoencoder:rate_and_distortion",
    "T2": "autoencoder:evidence_bound",
    "T3": "importance:importance_sampling",
    "T4": "gradient:reparameterisation",
    "T5": "rate:gaussian_divergence",
    "T6": "rate:rate_is_a_channel",
    "T6b": "fixed_encoder:encoder_first",
    "T6c": "vectors:squared_and_absolute_error",
    "T6d": "vectors:plain_autoencoder",
    "T7": "codes:three_rules",
    "T8": "codes:rolling_average",
    "T9": "game:players",
    "T10": "gradient:no_gradient_through_codes",
    "T11": "code_prior:rate_of_codes",
    "T12": "exact:expectation_maximisation",
    "T13": "generator:no_gradient_to_a_generator",
    "T14": "ring:pseudo_likelihood",
    "T15": "channel:capacity",
    "T16": "collapse:collapse",
    "T17": "use:what_z_retains",
}
"""Name -> file and function of this room."""


def find_claims(names: Iterable[str] = ()) -> list[str]:
    """The names asked for, in the theory's order, each once; all of them where none is asked for.

    Raises:
        ValueError: a name that no claim has.
    """
    asked = {name[:1].upper() + name[1:].lower() for name in names}
    if unknown := sorted(asked - CLAIMS.keys()):
        raise ValueError(f"no claim is called {unknown[0]}; they are {', '.join(CLAIMS)}.")
    return [name for name in CLAIMS if name in asked or not asked]


def claim(name: str) -> Callable[[], Row]:
    """The function that shows a claim."""
    file, function = CLAIMS[name].split(":")
    return getattr(import_module(f"textlatent.theory.{file}"), function)


def show(names: Iterable[str] = ()) -> Iterator[tuple[Row, float]]:
    """The row of each claim as it is computed, and the seconds it took.

    Raises:
        ValueError: as `find_claims`.
    """
    for name in find_claims(names):
        started = time.perf_counter()
        row = claim(name)()
        assert row.name == name
        yield row, time.perf_counter() - started
