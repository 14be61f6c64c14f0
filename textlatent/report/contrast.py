"""What has a gradient and what has none: one table of systems and estimators, drawn on a page and as a figure."""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.report.drawing import DISTORTION, FAINT, INFORMATION, INK, QUIET, RATE, Picture, inline_svg, new_figure
from textlatent.report.html import TEMPLATE, nats

PAGE = Path(__file__).parent / "contrast.html.jinja"
LEAST = 1e-4
"""Of the exact gradient's length: what is drawn at the left end of a logarithmic axis that 0 is not on."""


def contrast_page(content: Mapping[str, Any]) -> str:
    """The page as HTML, self-contained: the table, the three zeros, the estimators on one word."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(nats=nats, number=number)
    style = re.search(r"<style>.*?</style>", TEMPLATE.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    return environment.from_string(PAGE.read_text(encoding="utf-8")).render(
        content=content,
        style=style[0],
        rows=content["rows"],
        pictures=contrast_pictures(content),
        shapes=_by_estimator(content["one_word"]),
    )


def contrast_pictures(content: Mapping[str, Any]) -> list[Picture]:
    """Bias and noise of each estimator; the finite differences; the noise that jumps."""
    found = []
    for name, title, caption, draw, height in (
        (
            "bias",
            "Bias and noise at the generator",
            "In units of the exact gradient's length. Filled: the bias that the draws show; hollow: no more than this, "
            "as far as they tell. Bars: the standard deviation of one estimate.",
            _draw_estimators,
            4.6,
        ),
        (
            "differences",
            "Finite differences at fixed noise",
            "Share of the sentences whose cost changes when the tables move by h: counted, and as predicted from the "
            "tables alone. Below the line of one sentence in all nothing was felt.",
            _draw_differences,
            2.9,
        ),
    ):
        figure, (axes,) = new_figure(height=height)
        draw(axes, content)
        found.append(Picture(title, caption, inline_svg(figure, name=f"contrast-{name}", label=f"{title}. {caption}")))
    return found


def contrast_figure(content: Mapping[str, Any]) -> Figure:
    """Both pictures side by side, for a paper or a slide."""
    figure = Figure(figsize=(12.5, 5.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.4, 1.0))
    _draw_estimators(left, content)
    _draw_differences(right, content)
    left.set_title("Bias and noise at the generator", fontsize=11)
    right.set_title("Who feels a step of h at fixed noise", fontsize=11)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def number(value: float | None) -> str:
    """A number over many orders of magnitude to read: 0 is 0, else three digits."""
    if value is None:
        return "–"
    if value == 0.0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}".replace("-", "−")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}".replace("-", "−")


def _draw_estimators(axes: Axes, content: Mapping[str, Any]) -> None:
    """A line for each estimator: its bias as a dot, its standard deviation as a bar."""
    rows = [row for row in content["rows"] if row["system"] == "bigram GAN"][::-1]
    for height, row in enumerate(rows):
        exact = row["exact_norm"] or 1.0
        bias = (row["bias"] if row["biased"] else row["bias_limit"]) / exact
        spread = math.sqrt(row["variance"]) / exact
        if spread:
            axes.plot([LEAST, max(spread, LEAST)], [height, height], color=FAINT, linewidth=7, solid_capstyle="butt")
        place = max(bias, LEAST)
        filled = row["biased"]
        axes.plot(
            [place],
            [height],
            marker="o",
            color=DISTORTION if filled else INFORMATION,
            markerfacecolor=(DISTORTION if filled else "none"),
            markersize=6,
        )
    axes.set_xscale("log")
    axes.set_xlim(LEAST / 1.6, max([3.0, *(1.5 * math.sqrt(r["variance"]) / (r["exact_norm"] or 1.0) for r in rows)]))
    axes.axvline(1.0, color=QUIET, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(rows)), [row["estimator"].replace("_", " ") for row in rows])
    axes.set_xlabel("of the exact gradient's length")


def _draw_differences(axes: Axes, content: Mapping[str, Any]) -> None:
    """The share of sentences that feel a step, counted and predicted, against the step."""
    found, total = content["zero"]["differences"], content["zero"]["sentences"]
    steps = [each["step"] for each in found]
    axes.plot(steps, [each["predicted"] for each in found], color=RATE, label="predicted")
    counted = [(each["step"], each["words_changed"]) for each in found if each["words_changed"] > 0]
    axes.plot(*zip(*counted, strict=True), "o", color=INK, markersize=5, label="counted") if counted else None
    none = [each["step"] for each in found if each["words_changed"] == 0]
    axes.plot(none, [0.5 / total] * len(none), "v", color=DISTORTION, markersize=6, label="none felt it")
    axes.axhline(1.0 / total, color=QUIET, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("step h of the tables' logits")
    axes.set_ylabel(f"share of {total:,} sentences")
    axes.legend(frameon=False, fontsize=9, loc="upper left", labelcolor=INK)


def _by_estimator(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Estimator -> cost -> its numbers."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["estimator"], {})[row["cost"]] = row
    return found
