"""What each dimension of z carries: its rate, and how far its mean moves."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from textlatent.diagnostics.usage import THRESHOLD
from textlatent.report.drawing import INK, QUIET, RATE, Label, Picture, inline_svg, label_ends, new_figure

LEAST_TOP = 0.1
"""Nats that the axis of rates reaches at least, so that dead dimensions look dead."""


def draw_rates(axes: Axes, ledger: Mapping[str, Any]) -> None:
    """Bars of rate_nats.per_dimension, largest first (of codes in order), with 1.96 standard errors to either side."""
    cells = ledger["rate_nats"].get("per_dimension") or []
    if not has_codes(ledger):
        cells = sorted(cells, key=lambda cell: cell["value"], reverse=True)
    first = 0 if has_codes(ledger) else 1
    at = range(first, len(cells) + first)
    axes.bar(
        at,
        [cell["value"] for cell in cells],
        yerr=[1.96 * (cell["se"] or 0.0) for cell in cells],
        error_kw={"ecolor": INK, "elinewidth": 1.0},
        color=RATE,
        label="rate, nats",
    )


def has_codes(ledger: Mapping[str, Any]) -> bool:
    """Whether what is told apart are positions of codes, which have an order, and no dimensions."""
    return "codes_used" in ledger


def draw_variances(axes: Axes, ledger: Mapping[str, Any]) -> None:
    """active_units.spectrum, largest first, and the threshold of activity; nothing for codes, which have none."""
    spectrum = ledger["active_units"].get("spectrum") or []
    if has_codes(ledger):
        return
    variances = sorted((cell["value"] if isinstance(cell, Mapping) else cell for cell in spectrum), reverse=True)
    axes.plot(range(1, len(variances) + 1), variances, "o-", ms=3, lw=0.8, color=INK, label="variance of the mean")
    axes.axhline(THRESHOLD, color=QUIET, ls=":", lw=1.0, label=f"active above {THRESHOLD:g}")


def dimension_pictures(ledger: Mapping[str, Any]) -> list[Picture]:
    """Rate per dimension and the spectrum of variances; fewer where the ledger has less."""
    pictures = []
    if ledger["rate_nats"].get("per_dimension"):
        pictures.append(_rates_picture(ledger))
    if ledger["active_units"].get("spectrum"):
        pictures.append(_variances_picture(ledger))
    return pictures


def _rates_picture(ledger: Mapping[str, Any]) -> Picture:
    figure, (axes,) = new_figure()
    draw_rates(axes, ledger)
    what = "position" if has_codes(ledger) else "dimension"
    first = 0 if has_codes(ledger) else 1
    axes.set(xlabel=what if has_codes(ledger) else f"{what}, sorted", ylabel="nats per sentence")
    axes.set(
        ylim=(0.0, max(axes.get_ylim()[1], LEAST_TOP)),
        xlim=(first - 0.6, len(ledger["rate_nats"]["per_dimension"]) + first - 0.4),
    )
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    rates = sorted((cell["value"] for cell in ledger["rate_nats"]["per_dimension"]), reverse=True)
    most = next((i + 1 for i in range(len(rates)) if sum(rates[: i + 1]) >= 0.9 * sum(rates)), 0)
    caption = f"{sum(rates):.2f} nats per sentence over {len(rates)} {what}s"
    if sum(rates) >= 0.005:
        caption += f", 90 % of them in {most}; the largest {_listed(rates)}"
    caption += ". Bars: 1.96 standard errors to either side."
    return Picture(f"Rate of each {what}", caption, inline_svg(figure, name="rates", label=f"Rate. {caption}"))


def _variances_picture(ledger: Mapping[str, Any]) -> Picture:
    cell = ledger["active_units"]
    figure, (axes,) = new_figure()
    draw_variances(axes, ledger)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set(xlabel="dimension, sorted", ylabel="variance of the mean", ylim=(max(low, 1e-9), max(high, 2.0)))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    label_ends(axes, [Label(THRESHOLD, f"{THRESHOLD:g}", QUIET)])
    caption = (
        f"{cell['value']:g} of {cell['of']} dimensions move with the sentence: the variance of their mean, in units of "
        f"the prior's, is above {THRESHOLD:g}."
    )
    return Picture("Variance spectrum", caption, inline_svg(figure, name="spectrum", label=f"Variances. {caption}"))


def _listed(values: list[float]) -> str:
    return ", ".join(f"{value:.2f}" for value in values[:4] if value >= 0.005)
