"""A run at a glance: nats over the steps, rate against what was asked for, and what each dimension carries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

INK, RATE, DISTORTION, BETA, QUIET = "#222222", "#0b6e99", "#b5502b", "#7a5195", "#8a8a8a"


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
    steps = [event for event in metrics if event["event"] == "log"]
    validations = [event for event in metrics if event["event"] == "validate"]
    _draw_nats(left, steps, validations, ledger)
    _draw_rate(middle, steps, validations, target_rate)
    _draw_dimensions(right, ledger)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure


def save_run_figure(path: Path, figure: Figure) -> None:
    """Write a figure; the ending says which format (.png, .svg, .pdf)."""
    figure.savefig(path, dpi=130)


def _draw_nats(axes: Axes, steps: Sequence[Mapping], validations: Sequence[Mapping], ledger: Mapping) -> None:
    at = [event["step"] for event in steps]
    axes.plot(at, [event["neg_elbo_nats"] for event in steps], color=INK, lw=1.2, label="-ELBO, training")
    axes.plot(at, [event["distortion_nats"] for event in steps], color=DISTORTION, lw=1.2, label="distortion, training")
    axes.errorbar(
        [event["step"] for event in validations],
        [event["neg_elbo_nats"] for event in validations],
        yerr=[1.96 * (event["neg_elbo_nats_se"] or 0.0) for event in validations],
        fmt="o",
        ms=3.5,
        color=INK,
        label="-ELBO, validation",
    )
    exact = ledger["exact_entropy_nats"]["value"]
    if exact is not None:
        axes.axhline(exact, color=QUIET, ls="--", lw=1.0, label=f"exact entropy {exact:.2f}")
    shown = [event["neg_elbo_nats"] for event in [*steps[len(steps) // 10 :], *validations]]
    lowest = min([*shown, *(event["distortion_nats"] for event in steps)])
    axes.set_ylim(0.9 * lowest, 1.05 * max(shown))
    axes.set(xlabel="step", ylabel="nats per sentence", title="What a sentence costs")
    axes.legend(fontsize=7, frameon=False)


def _draw_rate(axes: Axes, steps: Sequence[Mapping], validations: Sequence[Mapping], target: float | None) -> None:
    at = [event["step"] for event in steps]
    axes.plot(at, [event["rate_nats"] for event in steps], color=RATE, lw=1.2, label="rate, training")
    axes.plot(
        [event["step"] for event in validations],
        [event["rate_nats"] for event in validations],
        "o",
        ms=3.5,
        color=RATE,
        label="rate, validation",
    )
    if target is not None:
        axes.axhline(target, color=QUIET, ls="--", lw=1.0, label=f"asked for: {target:g}")
    beta = axes.twinx()
    beta.semilogy(at, [event["beta"] for event in steps], color=BETA, lw=0.9, alpha=0.8)
    beta.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    beta.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    beta.yaxis.set_minor_formatter(NullFormatter())
    beta.set_ylabel("beta", color=BETA, fontsize=8)
    beta.tick_params(labelsize=7, colors=BETA)
    beta.spines[["top"]].set_visible(False)
    axes.set(xlabel="step", ylabel="nats per sentence", title="Rate and its weight")
    axes.set_ylim(bottom=0.0)
    axes.legend(fontsize=7, frameon=False, loc="lower right")


def _draw_dimensions(axes: Axes, ledger: Mapping[str, Any]) -> None:
    rates = sorted((cell["value"] for cell in ledger["rate_nats"]["per_dimension"] or []), reverse=True)
    spectrum = ledger["active_units"].get("spectrum") or []
    variances = sorted((cell["value"] if isinstance(cell, Mapping) else cell for cell in spectrum), reverse=True)
    axes.bar(range(1, len(rates) + 1), rates, color=RATE, alpha=0.75, label="rate, nats")
    axes.plot(range(1, len(variances) + 1), variances, "o-", ms=3, lw=0.8, color=INK, label="variance of the mean")
    axes.axhline(0.01, color=QUIET, ls=":", lw=1.0, label="active above 0.01")
    axes.set(xlabel="dimension, sorted", title="What each dimension carries")
    axes.legend(fontsize=7, frameon=False)
