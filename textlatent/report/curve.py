"""The rate-distortion curve: what was reached, what could be, and what z carries at each rate."""

import math
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.diagnostics.curve import Curve, Setting
from textlatent.diagnostics.point import GAUSSIAN
from textlatent.report.drawing import BETA, DISTORTION, FAINT, INFORMATION, INK, QUIET, RATE

_GROUND = "#f4f1ec"
_FAMILIES = {GAUSSIAN: (RATE, "o", "Gaussian"), "vq": (BETA, "s", "codes")}
"""Colour, mark and name of each family; any other is green, its mark a triangle."""
_BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6}


def curve_figure(curve: Curve) -> Figure:
    """Distortion against rate; beside it -ELBO and IW-NLL, and information, against rate (nats per sentence).

    Bars are 95 % intervals over sentences; where a setting has several seeds each is a small dot.

    Raises:
        ValueError: the curve has no point yet.
    """
    if not curve.points:
        raise ValueError(f"the curve {curve.name} has no finished point to draw; run `textlatent curve` again.")
    figure = Figure(figsize=(12.5, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.62, 1.0))
    plane, cost, use = (figure.add_subplot(cell) for cell in (grid[:, 0], grid[0, 1], grid[1, 1]))
    _draw_plane(plane, curve)
    _draw_cost(cost, curve)
    _draw_information(use, curve)
    for axes in (plane, cost, use):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.set_xlim(*_rates(curve))
        axes.set_xlabel("rate, nats per sentence", fontsize=9)
        axes.yaxis.label.set_fontsize(9)
        axes.title.set_fontsize(10.5)
    left = f"; points still to come: {len(curve.left)}" if curve.left else ""
    figure.suptitle(f"{curve.name}: {_count(curve)} of {curve.split}{left}", fontsize=10, x=0.01, ha="left")
    return figure


def _count(curve: Curve) -> str:
    seeds = {len(setting.points) for setting in curve.settings()}
    over = f", {max(seeds)} seeds" if max(seeds) > 1 else ""
    beside = f" and {len(curve.others())} beside" if curve.beside else ""
    return f"{len(curve.settings())} settings{over}{beside}, {curve.points[0].rate.count:,} sentences"


def _family(name: str) -> tuple[str, str, str]:
    return _FAMILIES.get(name, (INFORMATION, "^", name))


def _rates(curve: Curve) -> tuple[float, float]:
    """The shared horizontal axis: rate 0 with some air, and what was reached (under a uniform prior, where codes)."""
    points = (*curve.points, *curve.beside)
    uniform = [point.codes.uniform_rate for point in points if point.codes is not None]
    most = max([1.0, *(point.rate.value for point in points), *uniform])
    return -0.04 * most, 1.1 * most


def _legend(axes: Axes, size: float, place: Literal["upper left", "upper right"], *, columns: int = 1) -> None:
    axes.legend(fontsize=size, loc=place, ncols=columns, framealpha=0.85, edgecolor="none", fancybox=False)


def _column(settings: Sequence[Setting], quantity: str) -> list[float]:
    return [setting.mean(quantity).value for setting in settings]


def _bars(settings: Sequence[Setting], quantity: str) -> list[float]:
    """Half widths of the 95 % intervals over sentences; 0 where an error is not known."""
    errors = [1.96 * setting.mean(quantity).se for setting in settings]
    return [0.0 if math.isnan(error) else error for error in errors]


def _known(setting: Setting, curve: Curve) -> str:
    """What a setting was asked for, in a word."""
    if setting.points[0].label:
        return setting.points[0].label
    return f"{setting.asked:g}" if curve.axis == "target_rate" else f"β {setting.asked:g}"


# ------------------------------------------------------------------------------------------------------- the plane


def _draw_plane(axes: Axes, curve: Curve) -> None:
    """Distortion against rate, the hull through it, and the straight lines along which -ELBO is the same."""
    settings, hull = curve.settings() + curve.others(), curve.hull()
    shown = settings + ([Setting(None, (curve.baseline,))] if curve.baseline else [])
    distortions = [value for setting in shown for value in (p.distortion.value for p in setting.points)]
    margin = max(0.08 * (max(distortions) - min(distortions)), max(_bars(shown, "distortion")), 0.05)
    low, high = min(distortions) - 1.5 * margin, max(distortions) + 1.5 * margin
    axes.set_ylim(low, high)
    _draw_iso(axes, _rates(curve), (low, high), above=curve.exact_entropy or -math.inf)
    _draw_limits(axes, curve, (low, high))
    several = len(curve.families()) > 1
    colour = QUIET if several else _family(curve.families()[0])[0]
    axes.plot(_column(hull, "rate"), _column(hull, "distortion"), color=colour, lw=1.4, zorder=3, label="lower hull")
    for family in curve.families():
        own = [setting for setting in settings if setting.points[0].family == family]
        _draw_settings(axes, own, [setting in hull for setting in own], family, named=several)
    if curve.baseline is not None:
        axes.plot(0.0, curve.baseline.distortion.value, "D", ms=7, color=DISTORTION, zorder=5, label="language model")
    for setting in settings:
        place = (setting.mean("rate").value, setting.mean("distortion").value)
        _annotate(axes, _known(setting, curve), place)
    asked = {"target_rate": "rate asked for", "beta": "β", "codes": "positions of codes"}[curve.axis]
    axes.set(ylabel="distortion, nats per sentence", title=f"Rate and distortion; labels: {asked}")
    _legend(axes, 7.5, "upper right")


def _annotate(axes: Axes, text: str, place: tuple[float, float]) -> None:
    axes.annotate(
        text, place, xytext=(7, 6), textcoords="offset points", fontsize=8, color=INK, zorder=6, bbox=dict(_BOX)
    )


def _draw_settings(
    axes: Axes, settings: Sequence[Setting], on_hull: Sequence[bool], family: str, *, named: bool
) -> None:
    """One mark per setting, full on the hull and hollow above it; the seeds behind it as dots.

    Codes under a prior that has learned cost less than P ln K: a thin line leads to that rate, where a tick stands.
    """
    colour, mark, name = _family(family)
    for codes, setting in ((setting.points[0].codes, setting) for setting in settings):
        if codes is not None and codes.uniform_rate - setting.mean("rate").value > 0.01:
            ends, height = [setting.mean("rate").value, codes.uniform_rate], setting.mean("distortion").value
            axes.plot(ends, [height, height], ":", color=colour, lw=0.9, zorder=2)
            axes.plot(
                ends[1:], [height], "|", color=colour, ms=9, zorder=3, label=_once(axes, "rate under a uniform prior")
            )
    rates, distortions = _column(settings, "rate"), _column(settings, "distortion")
    wide, high = _bars(settings, "rate"), _bars(settings, "distortion")
    axes.errorbar(
        rates, distortions, xerr=wide, yerr=high, fmt="none", ecolor=colour, elinewidth=0.9, alpha=0.55, zorder=3
    )
    for full, label in ((True, "on the hull"), (False, "above the hull")):
        at = [i for i, on in enumerate(on_hull) if on is full]
        if at:
            face = colour if full else "white"
            x, y = [rates[i] for i in at], [distortions[i] for i in at]
            said = f"{name}, {label}" if named else label
            axes.plot(x, y, mark, ms=7, mfc=face, mec=colour, mew=1.4, zorder=4, label=said)
    seeds = [point for setting in settings if len(setting.points) > 1 for point in setting.points]
    if seeds:
        x, y = [p.rate.value for p in seeds], [p.distortion.value for p in seeds]
        axes.plot(x, y, ".", ms=5, color=INK, alpha=0.6, zorder=5, label=_once(axes, "each seed"))


def _once(axes: Axes, label: str) -> str:
    """The label, or one the legend leaves out where it has that label already."""
    return f"_{label}" if label in axes.get_legend_handles_labels()[1] else label


def _draw_iso(axes: Axes, rates: tuple[float, float], distortions: tuple[float, float], *, above: float) -> None:
    """Faint lines rate + distortion = c at round c `above` what is possible, c written where they leave the panel."""
    highest = rates[1] + distortions[1]
    lowest = max(rates[0] + distortions[0], above)
    step = _round_step((highest - lowest) / 8)
    for k in range(math.ceil(lowest / step), math.floor(highest / step) + 1):
        c = k * step
        axes.plot(rates, [c - rates[0], c - rates[1]], color=FAINT, lw=0.7, zorder=1)
        y = c - rates[1]
        at = (rates[1], y) if distortions[0] <= y <= distortions[1] else (c - distortions[0], distortions[0])
        if distortions[0] <= at[1] <= distortions[1]:
            text = f"{c:g}"
            axes.annotate(
                text, at, xytext=(-2, 2), textcoords="offset points", fontsize=6.5, color=QUIET, ha="right", zorder=1
            )
    axes.plot([], [], color=FAINT, lw=1.0, label="same -ELBO, its nats written on it")


def _round_step(width: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten at or above `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= width * 0.999)


def _draw_limits(axes: Axes, curve: Curve, distortions: tuple[float, float]) -> None:
    """The exact entropy, below which no -ELBO can be; the language model's NLL, where z begins to pay."""
    rates = _rates(curve)
    if curve.exact_entropy is not None:
        line = [curve.exact_entropy - rate for rate in rates]
        axes.fill_between(rates, line, distortions[0] - 1.0, color=_GROUND, zorder=0)
        axes.plot(
            rates, line, color=INK, ls="--", lw=1.1, zorder=2, label=f"exact entropy H = {curve.exact_entropy:.2f}"
        )
    if curve.baseline is not None:
        nll = curve.baseline.distortion.value
        line = [nll - rate for rate in rates]
        axes.plot(rates, line, color=DISTORTION, ls="-.", lw=1.0, zorder=2, label=f"language model's NLL {nll:.2f}")


# -------------------------------------------------------------------------------------------------- the two beside


def _draw_cost(axes: Axes, curve: Curve) -> None:
    """-ELBO and IW-NLL against rate, with what bounds them; seeds as dots around their mean."""
    settings = sorted(curve.settings() + curve.others(), key=lambda setting: setting.mean("rate").value)
    for family in curve.families():
        _draw_family_cost(axes, [s for s in settings if s.points[0].family == family], family)
    if curve.baseline is not None:
        axes.axhline(curve.baseline.distortion.value, color=DISTORTION, ls="-.", lw=1.0, label="language model")
    if curve.exact_entropy is not None:
        axes.axhline(curve.exact_entropy, color=INK, ls="--", lw=1.0, label="exact entropy")
    if curve.exact_here is not None:
        axes.axhline(curve.exact_here.value, color=QUIET, ls=":", lw=1.2, label="exact, these sentences")
    bar = max(_bars(settings, "neg_elbo"))
    if bar:  # one for all: what the sentences add to every point alike cancels between two of them
        axes.errorbar(
            0.98 * _rates(curve)[1], settings[-1].mean("neg_elbo").value, yerr=bar, color=QUIET, capsize=2, lw=1.0
        )
        axes.plot([], [], color=QUIET, lw=1.0, label="95 % over the sentences they share")
    axes.set(ylabel="nats per sentence", title="What a sentence costs")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.35 * (high - low))  # room for the legend
    _legend(axes, 7, "upper left", columns=2)


def _draw_family_cost(axes: Axes, settings: Sequence[Setting], family: str) -> None:
    """-ELBO and IW-NLL of one family; of codes -ELBO, which IW-NLL is, whatever K, and -ln P(y) where it was summed."""
    rates, samples = _column(settings, "rate"), settings[0].points[0].samples
    seeds = [point for setting in settings if len(setting.points) > 1 for point in setting.points]
    lines = [("neg_elbo", "-ELBO", "o", INK), ("iw_nll", f"IW-NLL, K = {samples}", "s", RATE)]
    if family != GAUSSIAN:
        colour, mark, name = _family(family)
        lines = [("neg_elbo", f"-ELBO, {name}", mark, colour)]
    for quantity, label, mark, colour in lines:
        axes.plot(rates, _column(settings, quantity), f"{mark}-", ms=4, lw=1.0, color=colour, label=label)
        values = [getattr(point, quantity).value for point in seeds]
        axes.plot([point.rate.value for point in seeds], values, ".", ms=4, color=colour, alpha=0.5)
    if summed := [setting for setting in settings if setting.summed]:
        at, nll = _column(summed, "rate"), _column(summed, "marginal_nll")
        colour, mark, name = _family(family)
        axes.plot(at, nll, f"{mark}--", ms=4, mfc="white", lw=1.0, color=colour, label=f"-ln P(y), {name}")


def _draw_information(axes: Axes, curve: Curve) -> None:
    """The interval of I(y; z) at every point, under the rate that bounds it; its lower end's cap where in sight."""
    every = (*curve.points, *curve.beside)
    known = [(point, point.information) for point in every if point.information is not None]
    axes.plot(_rates(curve), _rates(curve), color=INK, ls="--", lw=1.0, label="information = rate")
    if not known:
        return
    x = [point.rate.value for point, _ in known]
    low, high = [each.low for _, each in known], [each.high for _, each in known]
    for family in curve.families():
        colour, _, name = _family(family)
        at = [i for i, (point, _) in enumerate(known) if point.family == family]
        own, below, above = ([values[i] for i in at] for values in (x, low, high))
        said = "information, 95 % interval" + (f", {name}" if len(curve.families()) > 1 else "")
        axes.vlines(own, below, above, color=colour, lw=5, alpha=0.55, label=said)
        for ends in (below, above):
            axes.plot(own, ends, "_", ms=8, mew=1.4, color=colour)
    top, cap = 1.08 * max([*high, *x]), known[0][1].cap
    if cap < 1.25 * top:
        top = max(top, 1.05 * cap)
        axes.axhline(cap, color=QUIET, ls=":", lw=1.2, label=f"cap ln N = {cap:.2f}")
    axes.set_ylim(min(0.0, *low), top)
    axes.set(ylabel="nats per sentence", title="What z says of its sentence")
    _legend(axes, 7, "upper left")
