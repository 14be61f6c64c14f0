"""Does a ring's fit know how large the corpus was? Counting and both fits, apart, from 10^4 to 10^7 sites.

The peer is the obvious way: one evaluation of the pseudo-likelihood and its gradient, site by site, of which a
first-order fit needs some dozens.
"""

import time
from typing import Any

import torch
from torch import Tensor

from tests.benchmarks.fresh import measure
from tests.benchmarks.table import ratios, show, spread
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import Counts, count_rows
from textlatent.contrasts.ring_errors import model_variability, sandwich
from textlatent.contrasts.ring_fit import METHODS, fit
from textlatent.contrasts.ring_partition import log_partition
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood
from textlatent.contrasts.ring_sampling import sample

SIZES = (10**4, 10**5, 10**6, 10**7)
RUNS = 5
LABELS = 3


def _corpus(sites: int) -> Tensor:
    """One ring of so many sites, drawn a million at a time; at the joints its law is off by nothing one could see."""
    piece = min(sites, 10**6)
    ring = Ring.coupled(0.7, sites=piece)
    return torch.cat([sample(ring, 1, seed=seed)[0] for seed in range(sites // piece)])[None]


def _fit(counts: Counts) -> None:
    for method in METHODS:
        found = fit(counts, Basis.full(LABELS), method=method)
        sandwich(found, model_variability(found))


def _site_by_site(y: Tensor) -> None:
    edges = torch.zeros(LABELS, LABELS, dtype=torch.float64, requires_grad=True)
    negative_log_pseudolikelihood(Ring.of(edges, sites=y.shape[1]), y).sum().backward()


def _timed(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def fits(runs: int) -> dict[str, Any]:
    """Seconds of each run: counting, both fits with their errors, and one gradient site by site."""
    seconds: dict[str, list[float]] = {}
    for sites in SIZES:
        y = _corpus(sites)
        counts = count_rows(y, labels=LABELS)
        for _ in range(runs):
            seconds.setdefault(f"count {sites}", []).append(_timed(lambda y=y: count_rows(y, labels=LABELS)))
            seconds.setdefault(f"fit {sites}", []).append(_timed(lambda counts=counts: _fit(counts)))
            seconds.setdefault(f"gradient {sites}", []).append(_timed(lambda y=y: _site_by_site(y)))
    return {"seconds": seconds}


def partitions(runs: int) -> dict[str, Any]:
    """Seconds of each run: ln Z of a million sites by each route."""
    ring, seconds = Ring.coupled(1.0, sites=10**6), {}
    for route in ("eigenvalues", "products", "scan"):
        seconds[route] = [_timed(lambda route=route: log_partition(ring, route=route)) for _ in range(runs)]
    return {"seconds": seconds}


def test_seconds_of_a_fit(benchmark: Any) -> None:
    result = measure(benchmark, "tests.benchmarks.test_ring_speed:fits", RUNS)
    seconds = result["seconds"]
    rows = [
        (
            f"fits at {sites:,} / at {SIZES[0]:,} sites",
            spread(ratios(seconds[f"fit {sites}"], seconds[f"fit {SIZES[0]}"]), digits=2),
        )
        for sites in SIZES[1:]
    ]
    for what in ("fit", "count", "gradient"):
        rows += [(f"{what}, {sites:,} sites, seconds", spread(seconds[f"{what} {sites}"])) for sites in SIZES]
    show("a ring of 3 labels, nine potentials by both methods with their errors", result["machine"], rows)


def test_seconds_of_ln_z(benchmark: Any) -> None:
    result = measure(benchmark, "tests.benchmarks.test_ring_speed:partitions", RUNS)
    seconds = result["seconds"]
    rows = [("scan / products", spread(ratios(seconds["scan"], seconds["products"]), digits=0))]
    rows += [(f"{route}, seconds", spread(each, digits=4)) for route, each in seconds.items()]
    show("ln Z of a million sites", result["machine"], rows)
