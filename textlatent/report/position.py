"""Where in the sentence z helps: the gain of each token position."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from textlatent.report.drawing import INFORMATION, QUIET, Picture, inline_svg, new_figure


def gain_picture(gain: Sequence[tuple[float, float]]) -> Picture:
    """Nats that a token is likelier under its own z than under another sentence's, position by position.

    Args:
        gain: mean and standard error of each position, nats; a standard error may be NaN where one sentence is as long.
    """
    figure, (axes,) = new_figure()
    at = range(1, len(gain) + 1)
    axes.axhline(0.0, color=QUIET, lw=1.0)
    axes.errorbar(
        at,
        [value for value, _ in gain],
        yerr=[0.0 if se != se else 1.96 * se for _, se in gain],
        fmt="o-",
        ms=3.5,
        lw=0.8,
        color=INFORMATION,
    )
    low, high = axes.get_ylim()
    axes.set(xlabel="token", ylabel="nats gained per token", ylim=(min(low, -0.05), max(high, 0.1)))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    values = [value for value, _ in gain]
    best = max(range(len(values)), key=values.__getitem__)
    first, rest, most = map(_said, (sum(values[:3]), sum(values[3:]), values[best]))
    caption = (
        f"What a token gains from its own sentence's z over another sentence's: {first} nats in the first three "
        f"tokens, {rest} in tokens 4 to {len(values)}; most ({most}) at token {best + 1}. Bars: 1.96 standard errors "
        "to either side."
    )
    return Picture("Gain of each token", caption, inline_svg(figure, name="gain", label=f"Gain per token. {caption}"))


def _said(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no -0.00
