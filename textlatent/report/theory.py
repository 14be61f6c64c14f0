"""Claims to project: a card each, its equation, what was computed beside its closed form, figures that move."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from textlatent.report.mathml import equations, prose

_HERE = Path(__file__).parent
TEMPLATE, SCRIPT = _HERE / "theory.html.jinja", _HERE / "theory.js"
FIGURES = ("tradeoff", "bound", "gaussian", "water", "rules", "course", "steps", "ring", "channel", "collapse")
"""The drawings that theory.js knows."""


def theory_page(theory: Mapping[str, Any]) -> str:
    """The page as HTML: self-contained, its only script its own figures; nothing in it asks the network for anything.

    Args:
        theory: the content of theory.json.

    Raises:
        ValueError: a figure that cannot be drawn, or an equation that cannot be set.
    """
    rows: Sequence[Mapping[str, Any]] = theory["claims"]
    figures = {row["name"]: row["figure"] for row in rows if row["figure"]}
    if unknown := [each["kind"] for each in figures.values() if each["kind"] not in FIGURES]:
        raise ValueError(f"no figure is called {unknown[0]!r}; theory.js draws {', '.join(FIGURES)}.")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(prose=prose, equations=equations, number=number, short=short)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        theory=theory,
        rows=rows,
        held=sum(row["passed"] for row in rows),
        figures=_for_script(figures),
        script=SCRIPT.read_text(encoding="utf-8"),
    )


def number(value: float | None) -> str:
    """A number to compare: ten digits, thousands marked, a true minus sign; "not a number" where there is none."""
    if value is None:
        return "not a number"
    if value == int(value) and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−").replace("−0", "0") if value == 0 else f"{value:,.0f}".replace("-", "−")
    text = f"{value:.10g}"
    return short(value) if "e" in text else text.replace("-", "−")


def short(value: float | None) -> str:
    """A size to glance at: two digits, a power of ten where it is far from 1."""
    if value is None:
        return "not a number"
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.2g}".replace("-", "−") if abs(value) < 100 else f"{value:,.0f}".replace("-", "−")
    digits, power = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')} · 10^{int(power)}".replace("-", "−")


def _for_script(figures: Mapping[str, Any]) -> str:
    """JSON that may stand in a <script>: no text in it can end the element."""
    return json.dumps(figures, allow_nan=False).replace("<", "\\u003c")
