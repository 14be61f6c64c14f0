"""A claim's row: what it says, its equation, and comparisons of what the package computes with the closed form."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Relation = Literal["=", "<=", ">="]


@dataclass(frozen=True)
class Check:
    """One number that the package computes, and the one that it should be.

    Attributes:
        what: what was computed, in words; TeX between dollar signs.
        computed: by functions of this package.
        closed_form: where the other number comes from, in words; TeX between dollar signs.
        expected: that number.
        tolerance: how far `computed` may be off, from rounding or from a standard error.
        relation: of computed to expected; "<=" and ">=" are bounds, which may be exceeded by the tolerance alone.
        unit: of both.
    """

    what: str
    computed: float
    closed_form: str
    expected: float
    tolerance: float = 1e-12
    relation: Relation = "="
    unit: str = "nats"

    @property
    def difference(self) -> float:
        """computed - expected."""
        return self.computed - self.expected

    @property
    def passed(self) -> bool:
        """Whether the relation holds within the tolerance; a number that is not finite never does."""
        if not math.isfinite(self.difference):
            return False
        if self.relation == "<=":
            return self.difference <= self.tolerance
        if self.relation == ">=":
            return self.difference >= -self.tolerance
        return abs(self.difference) <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it; a number that is not finite is null."""
        names = ("what", "computed", "closed_form", "expected", "difference", "tolerance", "relation", "unit", "passed")
        values = {name: getattr(self, name) for name in names}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class Figure:
    """Numbers for a drawing that moves.

    Attributes:
        kind: which drawing, one of report/theory.html.jinja's.
        data: its numbers, computed by the package.
    """

    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A claim, shown.

    Attributes:
        name: "T1" to "T17".
        title: in a few words.
        claim: in a few sentences; TeX between dollar signs.
        equation: TeX.
        checks: what was compared; the claim holds where all of them pass.
        figure: a drawing that moves, or None.
    """

    name: str
    title: str
    claim: str
    equation: str
    checks: tuple[Check, ...]
    figure: Figure | None = field(default=None)

    @property
    def passed(self) -> bool:
        """Whether there is something to compare and all of it passed."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As theory.json holds it."""
        return {
            "name": self.name,
            "title": self.title,
            "claim": self.claim,
            "equation": self.equation,
            "passed": self.passed,
            "checks": [check.to_dict() for check in self.checks],
            "figure": self.figure and {"kind": self.figure.kind, "data": dict(self.figure.data)},
        }
