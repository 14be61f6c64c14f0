"""T14: the ring, whose partition function is known, and the pseudo-likelihood that needs none."""

import itertools
import math

import torch

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_partition import log_partition
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood
from textlatent.theory.row import Check, Figure, Row

_LARGE = 1_000_000
_KNOWN = {3: 4.217967079480, 4: 5.476954446312, 7: 9.379689883544}


def pseudo_likelihood() -> Row:
    """T14."""
    checks = []
    for sites in (7, _LARGE):
        ring = Ring.coupled(1.0, sites=sites)
        for label, form, each in (
            (1, r"$N \ln 3$", math.log(3.0)),
            (2, r"$N \ln (1 + e^{-2} + e^{-4})$", math.log1p(math.exp(-2.0) + math.exp(-4.0))),
        ):
            found = negative_log_pseudolikelihood(ring, torch.full((sites,), label))
            checks.append(
                Check(
                    f"-ln PL(all {label - 1}), N = {sites:,}",
                    float(found),
                    form,
                    sites * each,
                    tolerance=1e-12 * sites * each,
                )
            )
    for sites, known in _KNOWN.items():
        ring = Ring.coupled(1.0, sites=sites)
        checks.append(
            Check(
                f"ln Z, N = {sites}",
                float(log_partition(ring)),
                f"sum over all {3**sites:,} states",
                _enumerated(sites),
                tolerance=1e-12 * known,
            )
        )
    large = Ring.coupled(1.0, sites=_LARGE)
    eigen = torch.linalg.eigvalsh(torch.exp(large.edges))
    limit = _LARGE * math.log(float(eigen.max()))
    checks.append(
        Check(
            f"ln Z, N = {_LARGE:,}",
            float(log_partition(large)),
            "N ln of the transfer matrix's largest eigenvalue",
            limit,
            tolerance=1e-12 * limit,
        )
    )
    one = Ring.coupled(1.0, sites=100)
    sure = -float(one.score(torch.full((100,), 2)) - log_partition(one)) / 100
    checks.append(
        Check(
            "-ln P(all 1) a site, N = 100",
            sure,
            "more than twice what PL says of it",
            2.0 * math.log1p(math.exp(-2.0) + math.exp(-4.0)),
            relation=">=",
            tolerance=0.0,
        )
    )
    return Row(
        "T14",
        "Pseudo-likelihood is no likelihood",
        "Labels -1, 0, 1 around a ring, neighbours coupled. The pseudo-likelihood asks of each site only what its "
        "neighbours make of it, so it needs no $Z$. All 0 costs $\\ln 3$ a site, for two neighbours at 0 say nothing; "
        "all 1 costs 0.14, less than half of its true cost. On a ring $Z$ is known, so the two can be compared.",
        r"P(Y) = \frac{1}{Z} e^{\theta \sum_n Y_n Y_{n+1}}, \quad PL(Y) = \prod_n P(Y_n | Y_{-n})",
        tuple(checks),
        Figure("ring", {}),
    )


def _enumerated(sites: int) -> float:
    """Ln Z as the sum over all 3^N states, energies added up one by one."""
    energies = [
        sum(a * b for a, b in zip(y, (*y[1:], y[0]), strict=True)) for y in itertools.product((-1, 0, 1), repeat=sites)
    ]
    return math.log(math.fsum(math.exp(e) for e in energies))
