"""Every Y of a small ring, and what a sum over all of them says: the oracle of the tests of rings."""

from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from textlatent.contrasts.ring import Ring


class Enumerated:
    """A ring whose q^N configurations are all written down, and scored one potential at a time."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        self.y = torch.tensor(list(product(range(ring.labels), repeat=ring.sites)))

    @cached_property
    def score(self) -> Tensor:
        """From the formula, term by term."""
        ring, last = self.ring, self.ring.sites - (not self.ring.closed)
        total = torch.zeros(len(self.y), dtype=torch.float64)
        for n in range(ring.sites):
            total += (ring.fields if ring.fields.ndim == 1 else ring.fields[n])[self.y[:, n]]
        for n in range(last):
            edge = ring.edges if ring.edges.ndim == 2 else ring.edges[n]
            total += edge[self.y[:, n], self.y[:, (n + 1) % ring.sites]]
        return total

    @cached_property
    def log_z(self) -> Tensor:
        return self.score.logsumexp(0)

    @cached_property
    def p(self) -> Tensor:
        return (self.score - self.log_z).exp()

    def marginal(self, *sites: int) -> Tensor:
        """P of the labels at these sites, [q, ..., q]."""
        code = torch.zeros(len(self.y), dtype=torch.long)
        for site in sites:
            code = code * self.ring.labels + self.y[:, site]
        table = torch.zeros(self.ring.labels ** len(sites), dtype=torch.float64).index_add(0, code, self.p)
        return table.reshape((self.ring.labels,) * len(sites))

    def conditional(self, site: int) -> Tensor:
        """P(Y_site = a | the rest) for each Y and a: P of the q configurations that share the rest, over their sum."""
        q, n = self.ring.labels, self.ring.sites
        stride = q ** (n - 1 - site)
        code = (self.y * q ** torch.arange(n - 1, -1, -1)).sum(1)
        others = (code - self.y[:, site] * stride)[:, None] + torch.arange(q) * stride
        weights = self.p[others]
        return weights / weights.sum(1, keepdim=True)


def random_ring(
    sites: int, labels: int, *, kind: str = "shared", closed: bool = True, spread: float = 1.0, seed: int = 0
) -> Ring:
    """Potentials drawn at random: "shared", "fields" (shared edges, a field for each site) or "each"."""
    random = torch.Generator().manual_seed(1000 * seed + 100 * sites + 10 * labels)

    def drawn(*shape: int) -> Tensor:
        return spread * torch.randn(*shape, generator=random, dtype=torch.float64)

    many = (sites - (not closed),) if kind == "each" else ()
    each = (sites,) if kind in ("each", "fields") else ()
    return Ring(drawn(*many, labels, labels), drawn(*each, labels), sites, closed)
