"""A run at a glance: nats over the steps, rate against what was asked for, and what each dimension carries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.report.course import draw_beta, draw_nats, draw_rate, known, of_kind
from textlatent.report.dimensions import draw_rates, draw_variances, has_codes
from textlatent.report.drawing import BETA, QUIET


def run_figure(
    metrics: Sequence[Mapping[str, Any]], ledger: Mapping[str, Any], *, target_rate: float | None = None
) -> Figure:
    """Three panels: -ELBO and distortion, rate and beta, rate and variance of each dimension (nats per sentence).

    Args:
        metrics: the events of metrics.jsonl.
        ledger: the content of ledger.json.
        target_rate: the rate asked for, nats.
    """
    figure = Figure(figsize=(13.0, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    draw_nats(left, metrics, ledger["exact_entropy_nats"]["value"])
    left.set(xlabel="step", ylabel="nats per sentence", title="What a sentence costs")
    draw_rate(middle, metrics, target_rate)
    middle.set(xlabel="step", ylabel="nats per sentence", title="Rate and its weight")
    if known(metrics_of_steps := of_kind(metrics, "log"), "rate_nats") or not metrics_of_steps:
        _beside(middle, metrics)
    if ledger["rate_nats"].get("per_dimension") or ledger["active_units"].get("spectrum"):
        draw_rates(right, ledger)
        draw_variances(right, ledger)
    else:
        right.text(0.5, 0.5, "nothing to show by dimension", transform=right.transAxes, ha="center", color=QUIET)
    what = "position" if has_codes(ledger) else "dimension"
    right.set(xlabel=what if has_codes(ledger) else f"{what}, sorted", title=f"What each {what} carries")
    for axes, place in ((left, "best"), (middle, "lower right"), (right, "best")):
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False, loc=place)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


def save_run_figure(path: Path, figure: Figure) -> None:
    """Write a figure; the ending says which format (.png, .svg, .pdf)."""
    figure.savefig(path, dpi=130)


def _beside(axes: Axes, metrics: Sequence[Mapping[str, Any]]) -> None:
    """Beta on an axis of its own, over the same steps."""
    beta = axes.twinx()
    draw_beta(beta, metrics)
    beta.set_ylabel("beta", color=BETA, fontsize=8)
    beta.tick_params(labelsize=7, colors=BETA)
    beta.spines[["top"]].set_visible(False)
