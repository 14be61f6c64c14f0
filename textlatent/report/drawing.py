"""Colours that a page can change, labels at the ends of lines, and figures as SVG inside a page."""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, QUIET, FAINT = "#222222", "#8a8a8a", "#dedede"
RATE, DISTORTION, BETA = "#0b6e99", "#b5502b", "#7a5195"
INFORMATION, MISMATCH = "#00795b", "#c98a00"
CLASSES = ("#0072b2", "#d55e01", "#009e73", "#cc79a7", "#b79f00", "#56b4e9", "#6a4c93", "#8c564b")
"""After Okabe and Ito 2008 (colour universal design), yellow and black replaced: they vanish on white and on black."""

_VARIABLES = {
    INK: "currentColor",
    QUIET: "var(--quiet)",
    FAINT: "var(--faint)",
    RATE: "var(--rate)",
    DISTORTION: "var(--distortion)",
    BETA: "var(--beta)",
    INFORMATION: "var(--information)",
    MISMATCH: "var(--mismatch)",
    **{colour: f"var(--class-{i})" for i, colour in enumerate(CLASSES)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
_NOISE = [
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"<metadata>.*?</metadata>",
        r"<!--.*?-->",
        r"<defs>\s*<style.*?</style>\s*</defs>",  # would hold for the whole page
        r'\sxmlns(?::xlink)?="[^"]*"',  # known in HTML
        r'\sid="(?![mp][0-9a-f]{10}")[^"]*"',  # names of groups, the same in every figure
        r"; font-family: [^;\"]*",  # the page's
        r'\stransform="rotate\(-0 [^"]*"',
    )
]
WIDTH, HEIGHT = 4.6, 2.9
"""Inches; 331 units of the SVG, about the width of a phone, so that 10.5 points are 10.5 pixels or more."""


class Label(NamedTuple):
    """A name to stand at the height `at` (in data coordinates) beside the axes."""

    at: float
    text: str
    colour: str


class Picture(NamedTuple):
    """A figure of the page: its drawing, and what it says to who cannot see it."""

    title: str
    caption: str
    svg: str


def new_figure(
    rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Figure, list[Axes]]:
    """A figure in the page's style and its axes, row by row."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
    axes = [each for row in grid for each in row]
    for each in axes:
        bare(each)
    return figure, axes


def bare(axes: Axes) -> None:
    """Leave the two spines that carry ticks."""
    axes.spines[["top", "right"]].set_visible(False)


def label_ends(axes: Axes, labels: Sequence[Label], *, apart: float = 0.095) -> None:
    """Write the labels right of the axes at their heights, moved apart where they would meet.

    Args:
        axes: whose limits are final.
        labels: in any order.
        apart: the least distance, as a share of the axes' height.
    """
    to_axes = axes.transData + axes.transAxes.inverted()
    left = axes.get_xlim()[0]
    wanted = sorted(((min(max(to_axes.transform((left, x.at))[1], 0.0), 1.0), x) for x in labels), key=lambda w: w[0])
    places: list[float] = []
    for height, _ in wanted:
        places.append(max(height, places[-1] + apart) if places else height)
    if places and places[-1] > 1.0:  # pushed out at the top: push back from there
        places[-1] = 1.0
        for i in range(len(places) - 2, -1, -1):
            places[i] = min(places[i], places[i + 1] - apart)
    for place, (_, label) in zip(places, wanted, strict=True):
        axes.text(
            1.02, place, label.text, color=label.colour, transform=axes.transAxes, va="center", ha="left", fontsize=9.5
        )


def inline_svg(figure: Figure, *, name: str, label: str) -> str:
    """The figure as an <svg> element to stand in HTML: text as text, its colours the page's variables.

    Args:
        figure: made by `new_figure`.
        name: unlike that of any other figure of the page; the ids within begin from it.
        label: what the drawing shows, in words, for readers who cannot see it.
    """
    out = io.StringIO()
    with matplotlib.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    for noise in _NOISE:
        drawn = noise.sub("", drawn)
    drawn = drawn.replace("xlink:href", "href")
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, variable)
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawn)
    assert size is not None
    head = f'<svg class="figure" role="img" aria-label="{escape(label)}" viewBox="0 0 {size[1]} {size[2]}">'
    return re.sub(r"\n\s*", "\n", head + drawn[drawn.index(">") + 1 :]).strip()
