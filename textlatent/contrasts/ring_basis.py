"""Which potentials a ring may have: shared edges and fields as a linear map of K free parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Basis:
    """edges = sum_k theta_k edges[k], fields = sum_k theta_k fields[k], theta in nats.

    Attributes:
        edges: [K, q, q].
        fields: [K, q].
        names: one for each parameter.
    """

    edges: Tensor
    fields: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        """K."""
        return len(self.edges)

    @property
    def labels(self) -> int:
        """Q."""
        return self.edges.shape[-1]

    @classmethod
    def coupling(cls, values: Sequence[float] = (-1.0, 0.0, 1.0)) -> Self:
        """T14's one parameter: theta v_a v_b, label k having the value values[k]."""
        numbers = torch.tensor(values, dtype=torch.float64)
        return cls((numbers[:, None] * numbers)[None], numbers.new_zeros(1, len(numbers)), ("coupling",))

    @classmethod
    def potts(cls, labels: int, *, fields: bool = False) -> Self:
        """One parameter for equal neighbours, and if asked for one for each label but the first."""
        edges = torch.eye(labels, dtype=torch.float64)[None]
        names = ["coupling"] + [f"field {a}" for a in range(1, labels)] * fields
        each = torch.eye(labels, dtype=torch.float64)[1:] * float(fields)
        each = each[: len(names) - 1]
        return cls(
            torch.cat([edges, edges.new_zeros(len(each), labels, labels)]),
            torch.cat([edges.new_zeros(1, labels), each]),
            tuple(names),
        )

    @classmethod
    def full(cls, labels: int, *, fields: bool = False) -> Self:
        """Every pair its own potential, and if asked for every label its own field.

        On a closed ring fields say nothing that the pairs do not; at the ends of an open chain they do.
        """
        pairs, alone = labels * labels, labels * fields
        edges = torch.zeros(pairs + alone, labels, labels, dtype=torch.float64)
        edges[:pairs] = torch.eye(pairs, dtype=torch.float64).reshape(pairs, labels, labels)
        single = torch.zeros(pairs + alone, labels, dtype=torch.float64)
        single[pairs:] = torch.eye(labels, dtype=torch.float64)[:alone]
        names = [f"{a},{b}" for a in range(labels) for b in range(labels)] + [f"field {a}" for a in range(alone)]
        return cls(edges, single, tuple(names))

    def potentials(self, theta: Float[Tensor, " K"]) -> tuple[Float[Tensor, "q q"], Float[Tensor, " q"]]:
        """Edges and fields at these parameters, nats."""
        return torch.tensordot(theta, self.edges, 1), torch.tensordot(theta, self.fields, 1)

    def design(self, *, closed: bool) -> Float[Tensor, "K D"]:
        """How each parameter moves the D numbers that the likelihood sees.

        These are the transfer matrix edges[a, b] + fields[a], q^2 numbers, and on an open chain the field of the last
        site, q more.
        """
        transfer = (self.edges + self.fields[..., None]).flatten(1)
        return transfer if closed else torch.cat([transfer, self.fields], 1)
