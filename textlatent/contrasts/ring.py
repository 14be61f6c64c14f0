"""The ring: labels around a circle, a potential for each edge and each site, P(Y) = exp(score(Y)) / Z (THEORY T14).

    score(Y) = sum_n fields[n][Y_n] + sum_n edges[n][Y_n, Y_{n+1}],    Y_N = Y_0

The formula is kept at every N. At N = 2 the two edges join the same two sites, so that a shared potential counts twice;
at N = 1 the one edge joins the site to itself and gives edges[a, a]. T14 itself asks for N >= 3. An open chain is the
ring whose closing edge is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Ring:
    """Potentials in nats, float64.

    Attributes:
        edges: one [q, q] for all edges, or one for each: [N, q, q] (edge n joins the sites n and n + 1, the last closes
            the ring), [N - 1, q, q] where the ring is open.
        fields: one [q] for all sites, or one for each, [N, q].
        sites: N.
        closed: False for an open chain, whose closing edge is 0.

    Raises:
        ValueError: shapes that do not fit together, or a potential that is not finite.
    """

    edges: Tensor
    fields: Tensor
    sites: int
    closed: bool = True

    def __post_init__(self) -> None:
        """Refuse what is no ring."""
        labels, count = self.edges.shape[-1], self.sites - (not self.closed)
        if self.sites < 1:
            raise ValueError(f"a ring needs at least one site, got {self.sites}.")
        if tuple(self.edges.shape) not in ((labels, labels), (count, labels, labels)):
            raise ValueError(
                f"edges must be [q, q], or [{count}, q, q] for {self.sites} sites of "
                f"{'a ring' if self.closed else 'an open chain'}, got {list(self.edges.shape)}."
            )
        if tuple(self.fields.shape) not in ((labels,), (self.sites, labels)):
            raise ValueError(
                f"fields must be [{labels}] or [{self.sites}, {labels}], as the edges have {labels} labels, got "
                f"{list(self.fields.shape)}."
            )
        for name in ("edges", "fields"):
            value = getattr(self, name)
            if not bool(value.isfinite().all()):
                raise ValueError(f"{name} must be finite; for a pair that must not occur take -50, 2e-22 of the rest.")
            object.__setattr__(self, name, value.double())

    @classmethod
    def of(
        cls, edges: Float[Tensor, "*n q q"], fields: Tensor | None = None, *, sites: int, closed: bool = True
    ) -> Self:
        """The ring of these potentials; no fields are fields of 0."""
        return cls(edges, edges.new_zeros(edges.shape[-1]) if fields is None else fields, sites, closed)

    @classmethod
    def coupled(
        cls, coupling: float, *, sites: int, values: Sequence[float] = (-1.0, 0.0, 1.0), closed: bool = True
    ) -> Self:
        """T14's ring, P(Y) = exp(coupling * sum_n v_n v_{n+1}) / Z; label k has the value values[k]."""
        numbers = torch.tensor(values, dtype=torch.float64)
        return cls.of(coupling * numbers[:, None] * numbers, sites=sites, closed=closed)

    @classmethod
    def potts(cls, coupling: float, *, sites: int, labels: int, closed: bool = True) -> Self:
        """`coupling` nats for each pair of equal neighbours, whatever the label."""
        return cls.of(coupling * torch.eye(labels, dtype=torch.float64), sites=sites, closed=closed)

    @property
    def labels(self) -> int:
        """Q."""
        return self.edges.shape[-1]

    @property
    def shared(self) -> bool:
        """Whether every edge and every site has the same potential."""
        return self.edges.ndim == 2 and self.fields.ndim == 1

    def edge_potentials(self) -> Float[Tensor, "N q q"]:
        """The potential of each edge, nats; the closing one last, 0 where the ring is open."""
        joined = self.edges.expand(self.sites - (not self.closed), -1, -1)
        return joined if self.closed else torch.cat([joined, joined.new_zeros(1, self.labels, self.labels)])

    def site_potentials(self) -> Float[Tensor, "N q"]:
        """The potential of each site, nats."""
        return self.fields.expand(self.sites, -1)

    def log_transfer(self) -> Float[Tensor, "N q q"]:
        """Ln T_n: each edge's potential and the field of the site before it; Z = trace(T_0 T_1 ... T_{N-1})."""
        return self.edge_potentials() + self.site_potentials()[..., None]

    def score(self, y: Int[Tensor, "*b N"]) -> Float[Tensor, "*b"]:
        """Ln of the unnormalised probability of each Y, nats.

        Raises:
            ValueError: another number of sites, or a label that is not there.
        """
        self.check(y)
        following = y.roll(-1, -1)
        if self.shared:
            each = (self.edges + self.fields[:, None])[y, following]
            if self.closed:
                return each.sum(-1)
            return each[..., :-1].sum(-1) + self.fields[y[..., -1]]
        return self.log_transfer()[torch.arange(self.sites), y, following].sum(-1)

    def energy(self, y: Int[Tensor, "*b N"]) -> Float[Tensor, "*b"]:
        """-score(Y), nats: P(Y) = exp(-energy) / Z."""
        return -self.score(y)

    def check(self, y: Tensor) -> None:
        """Refuse labels that are not of this ring.

        Raises:
            ValueError: another number of sites, or a label that is not there.
        """
        if y.shape[-1] != self.sites:
            raise ValueError(f"the ring has {self.sites} sites, got {y.shape[-1]} labels a row.")
        if y.numel() and not (0 <= int(y.min()) and int(y.max()) < self.labels):
            raise ValueError(f"labels must be 0 to {self.labels - 1}, got {int(y.min())} to {int(y.max())}.")
