"""A codebook: how its codes are used, where, since when, and how far they are from the means of what they stand for."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from textlatent.report.course import of_kind
from textlatent.report.drawing import (
    DISTORTION,
    INFORMATION,
    INK,
    QUIET,
    RATE,
    Label,
    Picture,
    inline_svg,
    label_ends,
    new_figure,
)

_SHADES = LinearSegmentedColormap.from_list("share", [(0.18, 0.56, 0.77, 0.0), (0.18, 0.56, 0.77, 1.0)])
"""From nothing to a blue that is seen on white and on black."""

Codes = Mapping[str, Any]
"""What diagnosis.json holds under "codes"."""


def code_pictures(
    codes: Codes, metrics: Sequence[Mapping[str, Any]], ledger: Mapping[str, Any] | None
) -> list[Picture]:
    """The codebook's figures; fewer where less was recorded.

    Args:
        codes: of diagnosis.json.
        metrics: the events of metrics.jsonl.
        ledger: ledger.json, for the rate of each position.
    """
    found = [_usage_picture(codes), _map_picture(codes), _positions_picture(codes, ledger), _means_picture(codes)]
    if any("codes_used" in event for event in of_kind(metrics, "validate")):
        found.append(_course_picture(metrics))
    return found


def order_of_codes(counts: Sequence[Sequence[int]]) -> list[int]:
    """The codes in use, by the position that has them most, the commonest of each first."""
    totals = [sum(column) for column in zip(*counts, strict=True)]
    home = [max(range(len(counts)), key=lambda p: counts[p][k]) for k in range(len(totals))]
    return sorted((k for k, total in enumerate(totals) if total), key=lambda k: (home[k], -counts[home[k]][k]))


def _usage_picture(codes: Codes) -> Picture:
    totals = sorted((sum(column) for column in zip(*codes["counts"], strict=True)), reverse=True)
    whole, size = sum(totals), len(totals)
    figure, (axes,) = new_figure()
    shares = [total / whole for total in totals]
    axes.fill_between([0.0, *(i + 1.0 for i in range(size))], [shares[0], *shares], step="pre", color=RATE, lw=0)
    axes.axhline(1.0 / size, color=QUIET, lw=1.0, ls="--")
    axes.set(xlabel="code, sorted", ylabel="share of all codes", xlim=(0, size), ylim=(0.0, 1.08 * shares[0]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    label_ends(axes, [Label(1.0 / size, "all alike", QUIET)])
    perplexity, alive = codes["perplexity"], codes["alive"]
    caption = (
        f"{codes['used']:,.0f} of {size:,} codes were seen in these sentences, {alive['value']:,.0f} are in use as far "
        f"as so many can tell. Perplexity {perplexity['value']:.1f}{_error(perplexity['se'])}, its bias taken away. "
        f"The commonest code is {100 * shares[0]:.1f} % of all."
    )
    return _picture(figure, "Usage of codes", caption)


def _map_picture(codes: Codes) -> Picture:
    order, positions = order_of_codes(codes["counts"]), len(codes["counts"])
    figure, (axes,) = new_figure(height=min(1.5 + 0.22 * positions, 4.4))
    shares = [[row[k] / sum(row) for k in order] for row in codes["counts"]]
    top = max(map(max, shares))
    shade = [[math.sqrt(share / top) for share in row] for row in shares]
    axes.imshow(shade, cmap=_SHADES, vmin=0.0, vmax=1.0, aspect="auto", interpolation="none")
    axes.set(xlabel="code in use, by the position that has it most", ylabel="position")
    axes.set_yticks(range(positions), [str(p) for p in range(positions)])
    axes.yaxis.set_major_locator(MaxNLocator(min(positions, 16), integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    place = codes["position_information_nats"]
    caption = (
        f"How often each code stands at each position (the darkest {100 * top:.0f} % of a position's codes; the shade "
        f"grows with the root). A code tells its position by {place['value']:.2f}{_error(place['se'])} nats, of ln "
        f"{positions} = {math.log(positions):.2f}: 0 where all positions share the codes."
    )
    return _picture(figure, "Codes and positions", caption)


def _positions_picture(codes: Codes, ledger: Mapping[str, Any] | None) -> Picture:
    cells = codes["position_entropies_nats"]
    figure, (axes,) = new_figure()
    at = range(len(cells))
    axes.bar(at, [max(cell["value"], 0.0) for cell in cells], color=INFORMATION, width=0.75)
    labels = [Label(cells[-1]["value"], "entropy", INFORMATION)]
    rates = ((ledger or {}).get("rate_nats") or {}).get("per_dimension")
    if rates and len(rates) == len(cells):
        axes.plot(at, [cell["value"] for cell in rates], "_", ms=14, mew=2.0, color=RATE)
        labels.append(Label(rates[-1]["value"], "rate", RATE))
    caption = (
        f"The codes at the positions have {sum(cell['value'] for cell in cells):.2f} nats of entropy one by one, which "
        "is the most that all of them together tell of a sentence. Dashes: what the prior charges for each."
    )
    if codes["label"] is not None:
        told = [cell["value"] for cell in codes["label"]["by_position_nats"]]
        axes.plot(at, [max(nats, 0.0) for nats in told], "o", ms=4.0, color=DISTORTION)
        labels.append(Label(told[-1], "of the label", DISTORTION))
        best = max(at, key=told.__getitem__)
        caption += (
            f" Dots: what each tells of the label; most at position {best}, {told[best]:.2f} of "
            f"{codes['label']['entropy_nats']['value']:.2f} nats."
        )
    axes.set(xlabel="position", ylabel="nats", ylim=(0.0, max(axes.get_ylim()[1], 0.1)))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    label_ends(axes, labels)
    return _picture(figure, "Nats at each position", caption)


def _means_picture(codes: Codes) -> Picture:
    figure, (axes,) = new_figure()
    points = [
        (count, relative)
        for book in codes["means"]
        for count, relative in zip(book["counts"], book["relative"], strict=True)
        if relative is not None and count > 1
    ]
    if points:
        axes.plot(*zip(*points, strict=True), "o", ms=3.6, color=RATE, alpha=0.75, mew=0)
    most = max((count for count, _ in points), default=2)
    ends = [max(1.6, 0.6 * min((count for count, _ in points), default=2)), 1.3 * most]
    axes.plot(ends, [end**-0.5 for end in ends], color=QUIET, lw=1.0, ls="--")
    axes.set(xlabel="vectors of the code", ylabel="distance from mean / spread", xscale="log", xlim=(ends[0], ends[1]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0.0, max([1.1 * relative for _, relative in points] + [0.5]))
    label_ends(axes, [Label(ends[1] ** -0.5, "by chance", QUIET)])
    off, left = (sum(book[name] for book in codes["means"]) / len(codes["means"]) for name in ("off_centre", "left"))
    caption = (
        "How far each code lies from the mean of the vectors it stands for, in units of their spread around it; a mean "
        f"of n vectors is n^(-1/2) off by chance. {100 * off:.1f} % of the squared error between vectors and codes "
        f"would go if every code moved to its mean; the codes leave {100 * left:.0f} % of the vectors' variance."
    )
    return _picture(figure, "Codes against means", caption)


def _course_picture(metrics: Sequence[Mapping[str, Any]]) -> Picture:
    events = [event for event in of_kind(metrics, "validate") if "codes_used" in event]
    figure, (axes,) = new_figure()
    at = [event["step"] for event in events]
    for key, colour in (("codes_used", INK), ("code_perplexity", RATE)):
        axes.plot(at, [event[key] for event in events], "o-", ms=4.0, lw=0.9, color=colour)
    size, last = events[-1]["codes"], events[-1]
    axes.axhline(size, color=QUIET, lw=1.0, ls="--")
    axes.set(xlabel="step", ylabel="codes", ylim=(0.0, 1.08 * size))
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    label_ends(
        axes,
        [
            Label(size, f"all {size:,}", QUIET),
            Label(last["codes_used"], "used", INK),
            Label(last["code_perplexity"], "perplexity", RATE),
        ],
    )
    caption = (
        f"Codes that the validation sentences use, and their perplexity, at each validation: {last['codes_used']:,} of "
        f"{size:,} and {last['code_perplexity']:.1f} at step {last['step']:,}."
    )
    return _picture(figure, "Usage while training", caption)


def _error(se: float | None) -> str:
    return "" if se is None else f" +- {se:.2g}"


def _picture(figure: Any, title: str, caption: str) -> Picture:
    caption = caption.replace("+-", "±")
    return Picture(title, caption, inline_svg(figure, name=title, label=f"{title}. {caption}"))
