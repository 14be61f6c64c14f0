"""A fitted ring to look at: which neighbours attract, how well that is known, what pseudo-likelihood makes of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.report.drawing import DISTORTION, QUIET, RATE

_NAMES = {" ": "␣", "\t": "⇥", "�": "…"}
ML, PL = "maximum_likelihood", "pseudo_likelihood"
UNSEEN = "#e6ecef"
"""Where a table has no number."""
_KEYS = ("theta_nats", "se_nats")


def save_fit_figure(path: Path, card: Mapping[str, Any]) -> None:
    """The potentials with their errors, and pseudo-likelihood against maximum likelihood, from fit.json.

    A pair that never occurs is left grey: the ridge alone says how far below the others its potential is.
    """
    figure = Figure(figsize=(12.5, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 5)
    heat, errors, against = (figure.add_subplot(part) for part in (grid[:, :3], grid[1, 3:], grid[0, 3:]))
    symbols = [_NAMES.get(symbol, symbol) for symbol in card["symbols"]]
    size = len(symbols)
    theta, se = (np.array(card[ML][key])[: size * size].reshape(size, size) for key in ("theta_nats", "se_nats"))
    seen = np.array(card["pairs"]) > 0
    shown = _heat(figure, heat, np.where(seen, theta, np.nan), symbols, centred=True)
    weak = np.argwhere(seen & (np.abs(theta) < 2.0 * se))
    heat.plot(weak[:, 1], weak[:, 0], ".", color=QUIET, markersize=2.0 if size > 12 else 5.0)
    heat.set(ylabel="label", xlabel="label after it", title="Potential of each pair that occurs, maximum likelihood")
    shown.set_label("nats; a dot: within two standard errors of 0")
    _heat(figure, errors, np.where(seen, se, np.nan), symbols, centred=False).set_label("nats")
    errors.set(title="Its standard error (sandwich)")
    _against(against, card, seen.flatten())
    figure.savefig(path, dpi=130)


def save_sites_figure(
    path: Path,
    *,
    edges: Sequence[Any],
    fields: Sequence[Any],
    symbols: Sequence[str],
    metrics: Sequence[Mapping[str, Any]],
) -> None:
    """What each site prefers, how strongly each edge binds, and the course of the training."""
    figure = Figure(figsize=(12.5, 5.6), layout="constrained")
    grid = figure.add_gridspec(2, 5)
    heat, strength, course = (figure.add_subplot(part) for part in (grid[:, :3], grid[0, 3:], grid[1, 3:]))
    free, single = _separate(np.array(edges), np.array(fields))
    names = [_NAMES.get(symbol, symbol) for symbol in symbols]
    _heat(figure, heat, single.T, names, centred=True, columns=len(single)).set_label("nats")
    heat.set(xlabel="site", ylabel="label", title="What each site prefers, its edges aside")
    norms = np.sqrt((free**2).mean((1, 2)))
    strength.bar(np.arange(len(norms)) + 0.5, norms, width=0.8, color=RATE)
    strength.set(xlabel="site", ylabel="nats", title="How strongly neighbours bind (root mean square)")
    for event, colour, style in (("log", QUIET, "-"), ("validate", DISTORTION, "o-")):
        rows = [(row["step"], row["distortion_nats"]) for row in metrics if row["event"] == event]
        course.plot(*zip(*rows, strict=True), style, color=colour, markersize=3, linewidth=1.0, label=event)
    course.set(xlabel="step", ylabel="nats per ring", title="The course of the training")
    course.legend(frameon=False, fontsize=8)
    for axes in (strength, course):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _separate(edges: np.ndarray, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges whose rows and columns add up to 0, and fields that hold what was taken out of them."""
    count, single = len(fields), fields.copy()
    rows, columns, whole = edges.mean(2), edges.mean(1), edges.mean((1, 2))
    for n in range(len(edges)):
        single[n] += rows[n] - whole[n]
        single[(n + 1) % count] += columns[n] - whole[n]
    free = edges - rows[:, :, None] - columns[:, None, :] + whole[:, None, None]
    return free, single - single.mean(1, keepdims=True)


def _heat(
    figure: Figure, axes: Axes, table: np.ndarray, rows: Sequence[str], *, centred: bool, columns: int | None = None
) -> Any:
    """A table as colours, blue below 0 and red above, symbols on its axes; its colour bar."""
    top = float(np.nanmax(np.abs(table))) or 1.0
    lowest, colours = (-top, "RdBu_r") if centred else (0.0, "Greys")
    image = axes.imshow(table, cmap=colours, aspect="auto", vmin=lowest, vmax=top)
    size = 8 if len(rows) <= 36 else 6
    axes.set_yticks(range(len(rows)), rows, fontsize=size if centred else 5)
    if columns is None:
        axes.set_xticks(range(len(rows)), rows, fontsize=size if centred else 5)
    axes.set_facecolor(UNSEEN)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure.colorbar(image, ax=axes, pad=0.01, fraction=0.05)


def _against(axes: Axes, card: Mapping[str, Any], seen: np.ndarray) -> None:
    """Every pair that occurs by both methods, with both errors, and the line where they would be equal."""
    tables = {method: [np.array(card[method][key])[: len(seen)][seen] for key in _KEYS] for method in (ML, PL)}
    (x, dx), (y, dy) = tables[ML], tables[PL]
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    axes.plot([low, high], [low, high], color=QUIET, linewidth=0.8)
    axes.errorbar(x, y, xerr=dx, yerr=dy, fmt=".", color=RATE, ecolor="#bcd3dd", markersize=2.5, elinewidth=0.5)
    ratio = np.median((dy / dx)[dx > 0] ** 2)
    axes.set(xlabel="maximum likelihood, nats", ylabel="pseudo-likelihood, nats")
    axes.set_title(f"The same potentials; median variance {ratio:.2f} times as large")
    axes.spines[["top", "right"]].set_visible(False)
