"""What the steps of training looked like: nats, rate against what was asked for, its weight, information."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from textlatent.report.drawing import (
    BETA,
    DISTORTION,
    INFORMATION,
    INK,
    MISMATCH,
    QUIET,
    RATE,
    Label,
    Picture,
    inline_svg,
    label_ends,
    new_figure,
)

Events = Sequence[Mapping[str, Any]]
UNDEFINED_RATE = "undefined: points have no density"


def of_kind(metrics: Events, kind: str) -> Events:
    """The events of metrics.jsonl of one kind: log or validate."""
    return [event for event in metrics if event["event"] == kind]


def known(events: Events, key: str) -> list[float]:
    """The values of a key, of the events that have one."""
    return [event[key] for event in events if event[key] is not None]


def draw_nats(axes: Axes, metrics: Events, exact: float | None) -> list[Label]:
    """-ELBO and distortion while training, -ELBO on the validation sentences with 1.96 standard errors, the entropy."""
    steps, validations = of_kind(metrics, "log"), of_kind(metrics, "validate")
    at = [event["step"] for event in steps]
    labels = []
    for key, colour, name in (("neg_elbo_nats", INK, "-ELBO"), ("distortion_nats", DISTORTION, "distortion")):
        # None where the prior learns alone (no distortion) or there is none (no rate): a gap in the line
        if not known(steps, key):
            continue
        axes.plot(at, [event[key] for event in steps], color=colour, lw=1.0, alpha=0.55, label=f"{name}, training")
        last = [event[key] for event in steps if event[key] is not None][-1:]
        labels += [Label(value, name.replace("-", "\N{MINUS SIGN}"), colour) for value in last]
    key, name = _dots(validations)
    told = [event for event in validations if event[key] is not None]
    axes.errorbar(
        [event["step"] for event in told],
        [event[key] for event in told],
        yerr=[1.96 * (event.get(f"{key}_se") or 0.0) for event in told],
        fmt="o",
        ms=4.0,
        color=INK if name == "-ELBO" else DISTORTION,
        label=f"{name}, validation",
    )
    if exact is not None:
        axes.axhline(exact, color=QUIET, ls="--", lw=1.0, label=f"exact entropy {exact:.2f}")
        labels.append(Label(exact, f"entropy {exact:.2f}", QUIET))
    shown = known([*steps[len(steps) // 10 :], *validations], "neg_elbo_nats")
    if shown:
        lowest = min([*shown, *known(steps, "distortion_nats")])
        axes.set_ylim(0.9 * lowest, 1.05 * max(shown))
    return labels


def _dots(validations: Events) -> tuple[str, str]:
    """What validations are drawn by: -ELBO, or the distortion of points, which have no more."""
    if validations and not known(validations, "neg_elbo_nats"):
        return "distortion_nats", "distortion"
    return "neg_elbo_nats", "-ELBO"


def draw_rate(axes: Axes, metrics: Events, target: float | None) -> list[Label]:
    """The rate while training and on the validation sentences, and the rate asked for."""
    steps, validations = of_kind(metrics, "log"), of_kind(metrics, "validate")
    rates = known(steps, "rate_nats")
    if not rates:
        axes.text(0.5, 0.5, UNDEFINED_RATE, transform=axes.transAxes, ha="center", va="center", color=QUIET, wrap=True)
        return []
    axes.plot([event["step"] for event in steps], rates, color=RATE, lw=1.0, alpha=0.55, label="rate, training")
    axes.errorbar(
        [event["step"] for event in validations],
        [event["rate_nats"] for event in validations],
        yerr=[1.96 * (event.get("rate_nats_se") or 0.0) for event in validations],
        fmt="none",
        color=RATE,
    )
    axes.plot(
        [event["step"] for event in validations],
        [event["rate_nats"] for event in validations],
        "o",
        ms=4.0,
        color=RATE,
        label="rate, validation",
    )
    labels = [Label(rates[-1], "rate", RATE)] if rates else []
    if target is not None:
        axes.axhline(target, color=QUIET, ls="--", lw=1.0, label=f"asked for: {target:g}")
        labels.append(Label(target, f"asked: {target:g}", QUIET))
    axes.set_ylim(bottom=0.0)
    return labels


def draw_beta(axes: Axes, metrics: Events) -> list[Label]:
    """The weight of the rate, on a logarithmic axis; a beta of 0 is drawn at the lowest other one.

    The axis is linear where a beta is below 0 (a capacity that asks for more rate), or none is above it.
    """
    steps = of_kind(metrics, "log")
    betas = [event["beta"] for event in steps]
    axes.plot([event["step"] for event in steps], betas, color=BETA, lw=1.2)
    if min(betas, default=0.0) < 0.0 or not any(betas):
        return [Label(betas[-1], "beta", BETA)] if any(betas) else []
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    above = [beta for beta in betas if beta > 0.0]
    if above and max(above) < 1.5 * min(above):  # one decade's ticks may all lie outside
        middle = (max(above) * min(above)) ** 0.5
        axes.set_ylim(middle / 2.5, middle * 2.5)
    return [Label(betas[-1], "beta", BETA)] if betas and betas[-1] > 0.0 else []


class Known(NamedTuple):
    """A validation's information, nats: the rate, its bounds, and the 95 % interval around both bounds."""

    step: int
    rate: float
    lower: float
    upper: float
    lowest: float
    highest: float


def known_information(metrics: Events) -> list[Known]:
    """The validations that bounded the information; an upper bound that was not computed is taken for the lower."""
    found = []
    for event in of_kind(metrics, "validate"):
        lower = event.get("information_lower_nats")
        if lower is None:
            continue
        upper = event.get("information_upper_nats") or lower
        below, above = (1.96 * (event.get(f"information_{side}_nats_se") or 0.0) for side in ("lower", "upper"))
        found.append(Known(event["step"], event["rate_nats"], lower, upper, lower - below, upper + above))
    return found


def draw_information(axes: Axes, metrics: Events) -> list[Label]:
    """Information between its bounds against the rate, one point per validation; on the diagonal nothing is lost."""
    known = known_information(metrics)
    rates, middle = [each.rate for each in known], [(each.lower + each.upper) / 2.0 for each in known]
    axes.plot(rates, middle, color=INFORMATION, lw=0.8, alpha=0.6)
    reach = [
        [m - k.lowest for m, k in zip(middle, known, strict=True)],
        [k.highest - m for m, k in zip(middle, known, strict=True)],
    ]
    axes.errorbar(rates, middle, yerr=reach, fmt="o", ms=4.0, color=INFORMATION, label="information")
    top = 1.08 * max([*rates, *(each.highest for each in known), 0.1])
    axes.plot([0.0, top], [0.0, top], color=QUIET, lw=1.0, ls="--", label="rate = information")
    axes.set(xlim=(0.0, top), ylim=(min(0.0, *(each.lowest for each in known)), top))
    far_apart = abs(rates[0] - rates[-1]) + abs(middle[0] - middle[-1]) > 0.15 * top
    for i in {0, len(known) - 1} if far_apart else {len(known) - 1}:
        at, low = (rates[i], middle[i]), middle[i] < 0.15 * top
        place: dict[str, Any] = {"xytext": (6, 8), "ha": "left"} if low else {"xytext": (-6, 6), "ha": "right"}
        axes.annotate(f"step {known[i].step:,}", at, textcoords="offset points", fontsize=9, color=INK, **place)
    return [Label(top, "= rate", QUIET)]


def course_pictures(
    metrics: Events, *, exact: float | None = None, target: float | None = None, collapse: int | None = None
) -> list[Picture]:
    """The figures of a run's course; fewer where less was recorded.

    Args:
        metrics: the events of metrics.jsonl.
        exact: H(y), nats, where the language is known.
        target: the rate asked for, nats.
        collapse: the step at which collapse began.
    """
    if not of_kind(metrics, "log"):
        return []
    pictures = [_nats_picture(metrics, exact, collapse)]
    if known(of_kind(metrics, "log"), "rate_nats"):
        pictures += [_rate_picture(metrics, target, collapse), _beta_picture(metrics, collapse)]
    if known_information(metrics):
        pictures.append(_information_picture(metrics))
    return pictures


def _nats_picture(metrics: Events, exact: float | None, collapse: int | None) -> Picture:
    figure, (axes,) = new_figure()
    labels = draw_nats(axes, metrics, exact)
    axes.set_ylabel("nats per sentence")
    _over_steps(axes, metrics, labels, collapse)
    both = (("-ELBO", "neg_elbo_nats"), ("distortion", "distortion_nats"))
    ends = [(name, values[-1]) for name, key in both if (values := known(of_kind(metrics, "log"), key))]
    first, *others = (f"{name} ends at {value:.2f} nats per sentence" for name, value in ends)
    rest = "".join(f", {each.replace(' ends', '').removesuffix(' nats per sentence')}" for each in others)
    _, dots = _dots(of_kind(metrics, "validate"))
    caption = f"{first}{rest}, on the batches trained on. Dots: {dots} of the validation sentences"
    caption += ", with 1.96 standard errors to either side." if dots == "-ELBO" else "."
    return _picture(figure, "What a sentence costs", caption)


def _rate_picture(metrics: Events, target: float | None, collapse: int | None) -> Picture:
    figure, (axes,) = new_figure()
    labels = draw_rate(axes, metrics, target)
    axes.set_ylabel("nats per sentence")
    axes.set_ylim(0.0, max(axes.get_ylim()[1], 0.5))
    _over_steps(axes, metrics, labels, collapse)
    caption = f"The rate ends at {of_kind(metrics, 'log')[-1]['rate_nats']:.2f} nats per sentence"
    caption += "." if target is None else f"; {target:g} was asked for."
    caption += " Dots: the validation sentences."
    return _picture(
        figure, "Rate", caption + (f" Collapse began at step {collapse:,}." if collapse is not None else "")
    )


def _beta_picture(metrics: Events, collapse: int | None) -> Picture:
    figure, (axes,) = new_figure()
    labels = draw_beta(axes, metrics)
    axes.set_ylabel("beta (no unit)")
    _over_steps(axes, metrics, labels, collapse)
    caption = f"beta, the weight of the rate in the loss, ends at {of_kind(metrics, 'log')[-1]['beta']:.3g}."
    return _picture(figure, "Weight of the rate", caption)


def _information_picture(metrics: Events) -> Picture:
    figure, (axes,) = new_figure()
    labels = draw_information(axes, metrics)
    axes.set(xlabel="rate, nats per sentence", ylabel="information, nats")
    label_ends(axes, labels)
    last = known_information(metrics)[-1]
    caption = (
        f"One point per validation, with the 95 % interval of its bounds. At the end {last.rate:.2f} nats of rate "
        f"carry between {last.lower:.2f} and {last.upper:.2f} nats about the sentence; what the interval leaves to the "
        "dashed line is prior mismatch."
    )
    return _picture(figure, "Information against rate", caption)


def _picture(figure: Figure, title: str, caption: str) -> Picture:
    return Picture(title, caption, inline_svg(figure, name=title, label=f"{title}. {caption}"))


def _over_steps(axes: Axes, metrics: Events, labels: Sequence[Label], collapse: int | None) -> None:
    """The horizontal axis of a course, the step where collapse began, and the names of the lines."""
    axes.set(xlabel="step", xlim=(0, 1.02 * of_kind(metrics, "log")[-1]["step"]))  # the last dot is whole
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    if collapse is not None:
        axes.axvline(collapse, color=MISMATCH, lw=1.2, label="collapse began")
        axes.text(
            collapse, 1.0, " collapse", color=INK, transform=axes.get_xaxis_transform(), va="bottom", fontsize=9.5
        )
    label_ends(axes, labels)
