"""Where z lies: the aggregate posterior against the prior, and a map of the posteriors' means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from textlatent.diagnostics.projection import Plane
from textlatent.report.drawing import CLASSES, INFORMATION, INK, QUIET, Picture, inline_svg, new_figure

MARKERS = ("o", "^", "s")
APART = 0.25
"""Share of the variance between the groups from which on their names stand at their middles, if they have room."""
WIDE = 5.5
"""Inches: two to a row of a wide page, still read on a phone."""
MOST_POINTS, MOST_CLASSES = 1500, len(CLASSES) * len(MARKERS)


@dataclass(frozen=True)
class Density:
    """One dimension of z, in the prior's standard deviations where there is a factorised Gaussian prior.

    Attributes:
        dimension: its number, from 0.
        at: where, [G].
        aggregate: density of the aggregate posterior there, [G].
        prior: density of the prior there, [G]; None where it does not factorise into Gaussians.
        mismatch: KL(agg || pri) of this dimension, nats; None where it was not computed.
        rate: of this dimension, nats per sentence; None where it has no closed form.
    """

    dimension: int
    at: Float[Tensor, " G"]
    aggregate: Float[Tensor, " G"]
    prior: Float[Tensor, " G"] | None
    mismatch: float | None
    rate: float | None


class Name(NamedTuple):
    """A group to be named: its name, its middle in the plane, colour and marker."""

    name: str
    middle: tuple[float, float]
    style: dict[str, Any]


@dataclass(frozen=True)
class Map:
    """The posteriors' means in their principal plane.

    Attributes:
        plane: in the prior's standard deviations where `scaled`.
        group: of each sentence, an index of `names`, -1 for none, [N].
        names: of the groups.
        grouped_by: what the groups are: "label", "length in tokens".
        points: what the points are: "posterior means", "code vectors".
        prior_centre: where the prior's mean lies in the plane; None where there is no factorised Gaussian prior.
    """

    plane: Plane
    group: Tensor
    names: Sequence[str]
    grouped_by: str
    prior_centre: tuple[float, float] | None
    points: str = "posterior means"


def densities_picture(densities: Sequence[Density], *, total_correlation: Sequence[float] | None = None) -> Picture:
    """The aggregate posterior of a few dimensions, the prior's density dashed over it.

    Args:
        densities: of the dimensions.
        total_correlation: both ends of its 95 % interval, nats, where it is known.
    """
    columns = 2 if len(densities) > 1 else 1
    rows = math.ceil(len(densities) / columns)
    figure, axes = new_figure(rows, columns, width=WIDE, height=0.9 + 1.75 * rows)
    for each, density in zip(axes, densities, strict=False):
        _draw_density(each, density)
    for each in axes[len(densities) :]:
        each.set_axis_off()
    scaled = densities[0].prior is not None
    figure.supxlabel("z, in the prior's standard deviations" if scaled else "z", fontsize=10.5, color=INK)
    caption = "Filled: the aggregate posterior, the mixture of all the sentences' posteriors. "
    caption += "Dashed: the prior. " if scaled else "The prior is no product of Gaussians and is not drawn. "
    known = [f"{d.dimension}: {d.mismatch:.3f}" for d in densities if d.mismatch is not None]
    caption += f"KL(aggregate || prior) of dimension {', '.join(known)} nats. " if known else ""
    if total_correlation is not None:
        low, high = total_correlation
        caption += f"Total correlation between dimensions: {low:.3f} to {high:.3f} nats (95 %)."
    drawn = inline_svg(figure, name="densities", label=f"Aggregate posterior. {caption}")
    return Picture("Aggregate posterior against the prior", caption.strip(), drawn)


def _draw_density(axes: Axes, density: Density) -> None:
    axes.fill_between(density.at.tolist(), density.aggregate.tolist(), color=INFORMATION, alpha=0.35, lw=0)
    axes.plot(density.at.tolist(), density.aggregate.tolist(), color=INFORMATION, lw=1.2)
    if density.prior is not None:
        axes.plot(density.at.tolist(), density.prior.tolist(), color=INK, lw=1.0, ls="--")
    rate = "" if density.rate is None else f": {density.rate:.2f} nats"
    axes.set_title(f"dimension {density.dimension}{rate}", loc="left", fontsize=9.5)
    axes.set_ylim(bottom=0.0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def map_picture(found: Map) -> Picture:
    """The means of at most MOST_POINTS sentences, coloured and marked by group, the groups named at their middles."""
    figure, (axes,) = new_figure(width=WIDE, height=4.4)
    count = len(found.group)
    kept = range(0, count, math.ceil(count / MOST_POINTS))
    coordinates, groups = found.plane.coordinates[list(kept)], found.group[list(kept)].tolist()
    shown = _largest(found.group.tolist())
    points = coordinates.tolist()
    rest = [point for point, group in zip(points, groups, strict=True) if group not in shown]
    if rest:
        axes.plot(*zip(*rest, strict=True), ".", color=QUIET, ms=3, alpha=0.7, mew=0)
    named = []
    for i, group in enumerate(sorted(shown)):
        mine = [point for point, other in zip(points, groups, strict=True) if other == group]
        style: dict[str, Any] = {"color": CLASSES[i % len(CLASSES)], "marker": MARKERS[i // len(CLASSES)], "mew": 0}
        if mine:
            axes.plot(*zip(*mine, strict=True), ls="none", ms=3.6, alpha=0.75, **style)
        named.append(Name(found.names[group], _middle(found, group), style))
    _frame(axes, found)
    apart = explained(found.plane.coordinates, found.group)
    places = _places(axes, named)
    reach = axes.get_ylim()[1] - axes.get_ylim()[0]
    moved = max((name.middle[1] - y for name, y in zip(named, places, strict=True)), default=0.0)
    if apart >= APART and moved <= 0.06 * reach:
        _name_at_middles(axes, named, places)
    else:
        _name_beside(axes, named)
    caption = _map_caption(found, count, len(kept), bool(rest) and len(shown) > 0, apart)
    return Picture("Map of z", caption, inline_svg(figure, name="map", label=f"Map of z. {caption}"))


def explained(coordinates: Float[Tensor, "N 2"], group: Int[Tensor, " N"]) -> float:
    """The share of the coordinates' variance that lies between the groups (eta squared), 0 to 1; -1 is no group."""
    coordinates, group = coordinates[group >= 0], group[group >= 0]
    if not len(group):
        return 0.0
    total = (coordinates - coordinates.mean(0)).square().sum().item()
    within = sum(
        (mine - mine.mean(0)).square().sum().item()
        for mine in (coordinates[group == each] for each in group.unique().tolist())
    )
    return 1.0 - within / total if total > 0.0 else 0.0


def _middle(found: Map, group: int) -> tuple[float, float]:
    x, y = found.plane.coordinates[found.group == group].median(0).values.tolist()
    return x, y


def _largest(groups: Sequence[int]) -> set[int]:
    sizes = {group: groups.count(group) for group in set(groups) if group >= 0}
    return set(sorted(sizes, key=lambda group: -sizes[group])[:MOST_CLASSES])


def _frame(axes: Axes, found: Map) -> None:
    """Equal axes that hold the means and, where there is one, the circle of two prior standard deviations."""
    coordinates = found.plane.coordinates
    low, high = coordinates.min(0).values.tolist(), coordinates.max(0).values.tolist()
    if found.prior_centre is not None:
        x, y = found.prior_centre
        axes.add_patch(Circle((x, y), 2.0, fill=False, color=QUIET, lw=1.0, ls="--"))
        low, high = [min(low[0], x - 2.05), min(low[1], y - 2.05)], [max(high[0], x + 2.05), max(high[1], y + 2.05)]
    middle = [(a + b) / 2.0 for a, b in zip(low, high, strict=True)]
    reach = 0.53 * max(high[0] - low[0], high[1] - low[1], 1e-6)
    axes.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
    axes.set_aspect("equal")
    share = [f"{100 * part:.0f} % of the variance" for part in found.plane.share]
    axes.set(xlabel=f"first component, {share[0]}", ylabel=f"second component, {share[1]}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5))


def _places(axes: Axes, named: Sequence[Name]) -> list[float]:
    """A height for each name near its group's middle, moved down until the names are apart."""
    low, high = axes.get_ylim()
    line, width = 0.052 * (high - low), 0.3 * (high - low)
    placed: dict[int, tuple[float, float]] = {}
    for i in sorted(range(len(named)), key=lambda i: -named[i].middle[1]):
        x, y = named[i].middle
        while any(abs(y - other) < line and abs(x - beside) < width for beside, other in placed.values()):
            y -= line / 4.0
        placed[i] = x, y
    return [placed[i][1] for i in range(len(named))]


def _name_at_middles(axes: Axes, named: Sequence[Name], places: Sequence[float]) -> None:
    """Each group's name at its middle."""
    for (name, (x, _), style), y in zip(named, places, strict=True):
        axes.text(x, y, name, color=style["color"], ha="center", va="center", fontsize=10, fontweight="bold")


def _name_beside(axes: Axes, named: Sequence[Name]) -> None:
    """The names in a column right of the axes, each behind its mark, where the groups lie over one another."""
    step = min(0.075, 1.0 / max(len(named), 1))
    for i, (name, _, style) in enumerate(named):
        height = 0.98 - i * step
        axes.plot(1.04, height, ls="none", ms=5.0, transform=axes.transAxes, clip_on=False, **style)
        axes.text(1.075, height, name, color=style["color"], transform=axes.transAxes, va="center", fontsize=9.5)


def _map_caption(found: Map, count: int, drawn: int, has_rest: bool, apart: float) -> str:
    what = found.points
    caption = f"{what.capitalize()} of {drawn:,} of {count:,} sentences" if drawn < count else f"{count:,} {what}"
    caption += f" in their first two principal components, by {found.grouped_by}."
    caption += f" The groups explain {100 * apart:.0f} % of the variance seen here."
    if has_rest:
        caption += " Grey: without a label, or of a small class."
    if found.prior_centre is not None:
        caption += " Dashed: two standard deviations of the prior, which holds 86 % of it."
    return caption
