"""The figure of a run: every panel holds the numbers it was given, found again in the axes' own data."""

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.report.plots import run_figure, save_run_figure

STEPS = (10, 20, 30, 40)
NEG_ELBO, DISTORTION, RATE, BETA = (
    (40.0, 31.0, 30.0, 29.5),
    (38.0, 28.0, 26.5, 25.5),
    (2.0, 3.0, 3.5, 4.0),
    (1, 0.5, 2, 4),
)
VALIDATIONS = ((20, 32.0, 0.5, 3.25), (40, 30.5, None, 3.75))  # step, -ELBO, its standard error, rate


def _metrics() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = [
        {"event": "log", "step": s, "neg_elbo_nats": n, "distortion_nats": d, "rate_nats": r, "beta": b}
        for s, n, d, r, b in zip(STEPS, NEG_ELBO, DISTORTION, RATE, BETA, strict=True)
    ]
    events += [
        {"event": "validate", "step": s, "neg_elbo_nats": n, "neg_elbo_nats_se": e, "rate_nats": r}
        for s, n, e, r in VALIDATIONS
    ]
    return [*events, {"event": "sample", "step": 40, "samples": ["a sentence"]}]


def _ledger(**changes: Any) -> dict[str, Any]:
    ledger = {
        "rate_nats": {"value": 3.0, "se": 0.1, "per_dimension": [{"value": v, "se": 0.1} for v in (0.5, 2.5, 0.0)]},
        "active_units": {"value": 2.0, "se": 0.0, "spectrum": [0.9, 0.3, 0.001]},
        "exact_entropy_nats": {"value": 27.25, "se": 0.0},
    }
    return ledger | changes


def _panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title() or axes.get_ylabel(): axes for axes in figure.axes}


def _line(axes: Axes, label: str) -> list[tuple[float, float]]:
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def _labels(axes: Axes) -> list[str]:
    return axes.get_legend_handles_labels()[1]


def test_nats_over_the_steps() -> None:
    axes = _panels(run_figure(_metrics(), _ledger()))["What a sentence costs"]
    assert _line(axes, "-ELBO, training") == list(zip(STEPS, NEG_ELBO, strict=True))
    assert _line(axes, "distortion, training") == list(zip(STEPS, DISTORTION, strict=True))
    assert [y for _, y in _line(axes, "exact entropy 27.25")] == [27.25, 27.25]
    (bars,) = axes.containers
    points, _, (ranges,) = bars.lines
    assert list(zip(points.get_xdata(), points.get_ydata(), strict=True)) == [v[:2] for v in VALIDATIONS]
    ends = [[y for _, y in segment] for segment in ranges.get_segments()]
    assert ends[0] == pytest.approx([32.0 - 0.98, 32.0 + 0.98]), "1.96 standard errors to either side"
    assert ends[1] == [30.5, 30.5], "an error that is not known is not drawn"
    low, high = axes.get_ylim()
    assert low < min(DISTORTION)
    assert high > max(NEG_ELBO)


def test_rate_against_what_was_asked_for_and_beta() -> None:
    panels = _panels(run_figure(_metrics(), _ledger(), target_rate=3.5))
    axes = panels["Rate and its weight"]
    assert _line(axes, "rate, training") == list(zip(STEPS, RATE, strict=True))
    assert _line(axes, "rate, validation") == [(20, 3.25), (40, 3.75)]
    assert [y for _, y in _line(axes, "asked for: 3.5")] == [3.5, 3.5]
    assert axes.get_ylim()[0] == 0.0
    (beta,) = panels["beta"].get_lines()
    assert list(beta.get_ydata()) == list(BETA)
    assert panels["beta"].get_yscale() == "log"


def test_dimensions_are_sorted_each_by_itself() -> None:
    axes = _panels(run_figure(_metrics(), _ledger()))["What each dimension carries"]
    assert [bar.get_height() for bar in axes.patches] == [2.5, 0.5, 0.0]
    assert _line(axes, "variance of the mean") == [(1, 0.9), (2, 0.3), (3, 0.001)]
    assert [y for _, y in _line(axes, "active above 0.01")] == [0.01, 0.01]


def test_blanks_of_the_ledger_leave_blanks_in_the_figure() -> None:
    """A corpus whose entropy is not known, an encoder without a closed form or a variance, no target."""
    why = {"value": None, "why": "it is not known."}
    figure = run_figure(
        _metrics(),
        _ledger(
            exact_entropy_nats=why,
            active_units=why,
            rate_nats={"value": 3.0, "se": 0.1, "per_dimension": None},
        ),
    )
    panels = _panels(figure)
    assert not [label for label in _labels(panels["What a sentence costs"]) if "entropy" in label]
    assert not [label for label in _labels(panels["Rate and its weight"]) if "asked" in label]
    assert not panels["What each dimension carries"].patches
    assert not panels["What each dimension carries"].get_lines()
    assert [text.get_text() for text in panels["What each dimension carries"].texts] == ["nothing to show by dimension"]


@pytest.mark.parametrize(("ending", "magic"), [(".png", b"\x89PNG\r\n\x1a\n"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_ending_says_the_format(tmp_path: Path, ending: str, magic: bytes) -> None:
    path = tmp_path / f"training{ending}"
    save_run_figure(path, run_figure(_metrics(), _ledger(), target_rate=3.5))
    assert path.read_bytes().startswith(magic)
    assert path.stat().st_size > 5000, "an empty canvas would be smaller"


def test_a_run_that_never_validated_is_drawn() -> None:
    metrics = [event for event in _metrics() if event["event"] == "log"]
    panels = _panels(run_figure(metrics, _ledger()))
    assert _line(panels["Rate and its weight"], "rate, validation") == []
