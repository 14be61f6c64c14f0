"""A comparison: what passes, what does not, what JSON holds of it."""

import json
import math

import pytest

from textlatent.theory.row import Check, Figure, Row


@pytest.mark.parametrize(
    ("computed", "relation", "passed"),
    [
        (1.0, "=", True),
        (1.05, "=", True),
        (1.2, "=", False),
        (0.8, "=", False),
        (0.2, "<=", True),
        (1.05, "<=", True),
        (1.2, "<=", False),
        (7.0, ">=", True),
        (0.95, ">=", True),
        (0.8, ">=", False),
        (math.nan, "=", False),
        (math.nan, "<=", False),
        (math.inf, ">=", False),
    ],
)
def test_what_passes(computed: float, relation, passed: bool) -> None:  # noqa: ANN001
    assert Check("x", computed, "1", 1.0, tolerance=0.1, relation=relation).passed is passed


def test_a_row_holds_where_all_of_it_does() -> None:
    good, bad = Check("x", 1.0, "1", 1.0), Check("x", 2.0, "1", 1.0)
    assert Row("T1", "a", "b", "c", (good, good)).passed
    assert not Row("T1", "a", "b", "c", (good, bad)).passed
    assert not Row("T1", "a", "b", "c", ()).passed


def test_json_holds_it() -> None:
    row = Row("T1", "a", "b", "c", (Check("x", math.nan, "1", 1.0),), Figure("bound", {"nll": 1.0}))
    held = json.loads(json.dumps(row.to_dict(), allow_nan=False))
    assert held["checks"][0]["computed"] is held["checks"][0]["difference"] is None
    assert held["checks"][0]["passed"] is held["passed"] is False
    assert held["figure"] == {"kind": "bound", "data": {"nll": 1.0}}
    assert Row("T1", "a", "b", "c", ()).to_dict()["figure"] is None
