"""Exact sums over all sentences, without listing them: beginnings with the same belief about the class are one row.

After a beginning y' of a sentence, all that the rest depends on is P(class | y'). Beginnings with the same posterior
go into one row, which keeps their total P, their number and the entropy among them (the chain rule):

    H(y) = H(row) + sum_row P(row) H(y' | row)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray as Array

_SAME = 1e-12  # posteriors closer than this, and zero at the same classes, are one


@dataclass(frozen=True)
class Beliefs:
    """Beginnings of sentences, grouped by what they tell about the class.

    Attributes:
        joint: P(row, class) [n, C].
        within: entropy among the beginnings of a row, nats [n].
        count: how many beginnings a row holds [n].
    """

    joint: Float64[Array, "n C"]
    within: Float64[Array, " n"]
    count: Int64[Array, " n"]

    @classmethod
    def start(cls, joint: Float64[Array, " C"]) -> Self:
        """The empty beginning, joint [C] its probability with each class."""
        return cls(joint[None], np.zeros(1), np.ones(1, dtype=np.int64))

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """The rows of all parts, whose beginnings must be distinct."""
        parts = list(parts)
        fields = (np.concatenate([getattr(p, name) for p in parts]) for name in ("joint", "within", "count"))
        return cls(*fields)

    def read_all(self, words: Iterable[Mapping[str, Float64[Array, " C"]]]) -> Self:
        """The beginnings longer by one word for each table, word -> P(word | class)."""
        beliefs = self
        for table in words:
            beliefs = beliefs.concatenate([beliefs._read(row) for row in table.values()])._merge()
        return beliefs

    def entropy(self) -> float:
        """Entropy of the beginnings, nats."""
        mass = self.joint.sum(1)
        return entropy_of_table(mass) + float((mass * self.within).sum())

    def _read(self, row: Float64[Array, " C"]) -> Self:
        joint = self.joint * row
        alive = joint.any(1)
        return type(self)(joint[alive], self.within[alive], self.count[alive])

    def _merge(self) -> Self:
        mass = self.joint.sum(1)
        joint = self.joint[:, self.joint.any(0)]
        posterior = np.where(joint > 0, 1 + np.rint(joint / mass[:, None] / _SAME), 0).astype(np.int64)
        _, group = np.unique(posterior, axis=0, return_inverse=True)
        group = group.reshape(-1)
        size = int(group.max()) + 1
        joint = np.zeros((size, self.joint.shape[1]))
        np.add.at(joint, group, self.joint)
        count = np.zeros(size, dtype=np.int64)
        np.add.at(count, group, self.count)
        share = mass / joint.sum(1)[group]
        within = np.bincount(group, weights=share * (self.within - np.log(share)), minlength=size)
        return type(self)(joint, within, count)


def entropy_of_table(p: Float64[Array, "..."]) -> float:
    """-sum p ln p, nats, with 0 ln 0 = 0."""
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())
