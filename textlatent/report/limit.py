"""R(D) of a decoder of codes, and the model above it."""

import math

from matplotlib.figure import Figure

from textlatent.diagnostics.limit import CodeLimit
from textlatent.report.drawing import BETA, DISTORTION, QUIET, RATE, bare


def limit_figure(limit: CodeLimit, *, name: str) -> Figure:
    """Distortion against rate (nats per sentence): what can be reached with this decoder, and what was."""
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    bare(axes)
    rates = [point.rate for point in limit.points]
    distortions = [point.distortion for point in limit.points]
    axes.plot(rates, distortions, color=RATE, lw=1.8, label="R(D): best encoder and prior, this decoder")
    axes.fill_between(rates, distortions, min(distortions) - 1.0, color=RATE, alpha=0.08, lw=0)
    axes.plot(limit.rate, limit.distortion, "s", ms=8, color=BETA, label="the model", zorder=4)
    axes.plot([limit.least.rate, limit.rate], [limit.distortion] * 2, color=BETA, lw=1.0, ls="--")
    middle = 0.5 * (limit.least.rate + limit.rate)
    axes.annotate(
        f"{limit.excess:.2f} nats", (middle, limit.distortion), xytext=(0, 5), textcoords="offset points", ha="center"
    )
    best = limit.best.rate + limit.best.distortion
    ends = (0.0, max([limit.rate, *rates]) * 1.05)
    axes.plot(
        ends, [best - rate for rate in ends], color=QUIET, lw=1.0, ls=":", label=f"rate + distortion = {best:.2f}"
    )
    axes.plot(limit.best.rate, limit.best.distortion, "o", ms=5, color=DISTORTION, label="its least")
    cap = math.log(limit.sentences)
    if cap < ends[1]:
        axes.axvline(cap, color=QUIET, lw=0.8)
        axes.annotate(f" ln {limit.sentences:,}", (cap, 1.0), xycoords=("data", "axes fraction"), va="top", color=QUIET)
    spread = max([limit.distortion, *distortions]) - min(distortions)
    axes.set_xlim(*ends)
    axes.set_ylim(min(distortions) - 0.08 * spread, max([limit.distortion, *distortions]) + 0.08 * spread)
    axes.set(xlabel="rate, nats per sentence", ylabel="distortion, nats per sentence")
    axes.set_title(f"{name}: {limit.codes:,} codes, {limit.sentences:,} sentences", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    return figure
