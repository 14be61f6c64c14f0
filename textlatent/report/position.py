"""Where in the sentence z helps: the gain of each token position."""

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from textlatent.report.drawing import INFORMATION, QUIET, Picture, inline_svg, new_figure


def gain_picture(gain: Sequence[tuple[float, float, int]]) -> Picture:
    """Nats that a token is likelier under its own z than under another sentence's, position by position.

    Args:
        gain: mean and standard error of each position, nats, and how many sentences are as long; a standard error may
            be NaN where one sentence is.
    """
    figure, (axes,) = new_figure()
    at = range(1, len(gain) + 1)
    axes.axhline(0.0, color=QUIET, lw=1.0)
    axes.errorbar(
        at,
        [value for value, _, _ in gain],
        yerr=[0.0 if se != se else 1.96 * se for _, se, _ in gain],
        fmt="o-",
        ms=3.5,
        lw=0.8,
        color=INFORMATION,
    )
    low, high = axes.get_ylim()
    axes.set(xlabel="token", ylabel="nats gained per token", ylim=(min(low, -0.05), max(high, 0.1)))
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    values = [value for value, _, _ in gain]
    best = max(range(len(values)), key=values.__getitem__)
    shares = [value * count / gain[0][2] for value, _, count in gain]  # of a sentence, be it as long or not
    first, rest, most = map(_said, (sum(shares[:3]), sum(shares[3:]), values[best]))
    beyond = f", {rest} in tokens 4 to {len(values)}" if len(values) > 3 else ""
    caption = (
        "What a token gains from its own sentence's z over another sentence's, over the sentences that are as long; "
        f"most ({most}) at token {best + 1}. Of a sentence's nats {first} lie in its first three tokens{beyond}. Bars: "
        "1.96 standard errors to either side."
    )
    return Picture("Gain of each token", caption, inline_svg(figure, name="gain", label=f"Gain per token. {caption}"))


def _said(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no -0.00
