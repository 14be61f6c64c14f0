"""The figure of a sweep: what was given is found again in the axes' own data."""

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from textlatent.diagnostics.curve import Curve
from textlatent.diagnostics.point import CodesUsed, Information, Point
from textlatent.nats.montecarlo import Estimate
from textlatent.report.curve import curve_figure

PLACES = ((1.0, 1.1, 9.9), (2.0, 2.1, 7.5), (4.0, 4.0, 5.8))  # asked for, rate, distortion: the first above the hull


def _point(asked: float | None, rate: float, distortion: float, *, seed: int = 0) -> Point:
    known = asked is not None
    return Point(
        name=f"rate-{asked}-seed-{seed}",
        asked=asked,
        seed=seed,
        rate=Estimate(rate, 0.05, 500),
        distortion=Estimate(distortion, 0.2, 500),
        neg_elbo=Estimate(rate + distortion, 0.2, 500),
        iw_nll=Estimate(rate + distortion - 0.1, 0.2, 500),
        samples=100,
        information=Information(rate - 0.5, rate - 0.1, 6.2) if known else None,
        active=4 if known else None,
        dimensions=4,
        beta=0.5,
        seconds=1.0,
        folder="points",
    )


POINTS = tuple(_point(*place) for place in PLACES)
CURVE = Curve("toy", "target_rate", POINTS, _point(None, 0.0, 10.0), 9.25, Estimate(9.3, 0.2, 500), "test", (), "runs")


def _panels(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title().partition(";")[0]: axes for axes in figure.axes}


def _line(axes: Axes, label: str) -> list[tuple[float, float]]:
    (line,) = (line for line in axes.get_lines() if line.get_label() == label)
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]


def _labels(axes: Axes) -> list[str]:
    return axes.get_legend_handles_labels()[1]


def test_points_hull_and_lines() -> None:
    axes = _panels(curve_figure(CURVE))["Rate and distortion"]
    assert _line(axes, "lower hull") == [(0.0, 10.0), (2.1, 7.5), (4.0, 5.8)]
    assert _line(axes, "on the hull") == [(2.1, 7.5), (4.0, 5.8)]
    assert _line(axes, "above the hull") == [(1.1, 9.9)]
    assert _line(axes, "language model") == [(0.0, 10.0)]
    for label, c in (("exact entropy H = 9.25", 9.25), ("language model's NLL 10.00", 10.0)):
        assert [x + y for x, y in _line(axes, label)] == pytest.approx([c, c]), "rate + distortion is constant on it"
    written = {text.get_text(): text.xy for text in axes.texts}
    assert [written[text] for text in ("1", "2", "4")] == [place[1:] for place in PLACES]


def test_the_faint_lines_have_the_nats_written_on_them() -> None:
    axes = _panels(curve_figure(CURVE))["Rate and distortion"]
    faint = [text for text in axes.texts if text.get_fontsize() < 7]
    assert len(faint) > 2
    for text in faint:
        assert sum(text.xy) == pytest.approx(float(text.get_text()))
        assert sum(text.xy) > 9.25, "none below what is possible"


def test_bars_are_95_percent_over_sentences() -> None:
    axes = _panels(curve_figure(CURVE))["Rate and distortion"]
    _, _, (wide, high) = axes.containers[0].lines
    assert wide.get_segments()[0] == pytest.approx(np.array([[1.1 - 0.098, 9.9], [1.1 + 0.098, 9.9]]))
    assert high.get_segments()[0] == pytest.approx(np.array([[1.1, 9.9 - 0.392], [1.1, 9.9 + 0.392]]))


def test_cost_and_information_against_rate() -> None:
    panels = _panels(curve_figure(replace(CURVE, points=POINTS[::-1])))
    cost, use = panels["What a sentence costs"], panels["What z says of its sentence"]
    assert np.array(_line(cost, "-ELBO")) == pytest.approx(np.array([(1.1, 11.0), (2.1, 9.6), (4.0, 9.8)]))
    assert np.array(_line(cost, "IW-NLL, K = 100")) == pytest.approx(np.array([(1.1, 10.9), (2.1, 9.5), (4.0, 9.7)]))
    for label, y in (("language model", 10.0), ("exact entropy", 9.25), ("exact, these sentences", 9.3)):
        assert [at for _, at in _line(cost, label)] == [y, y]
    assert all(x == y for x, y in _line(use, "information = rate"))
    (bars,) = use.collections
    assert bars.get_segments()[0] == pytest.approx(np.array([[4.0, 3.5], [4.0, 3.9]]))


def test_one_bar_for_what_the_sentences_add_to_every_point() -> None:
    cost = _panels(curve_figure(CURVE))["What a sentence costs"]
    (bar,) = cost.containers
    ends = bar.lines[2][0].get_segments()[0][:, 1]
    assert ends == pytest.approx([9.8 - 0.392, 9.8 + 0.392])


def test_the_cap_is_drawn_where_it_is_in_sight() -> None:
    near = replace(CURVE, points=tuple(replace(p, information=Information(1.0, 2.0, 4.5)) for p in POINTS))
    for drawn, there in ((CURVE, False), (near, True)):
        assert ("cap ln N = 4.50" in _labels(_panels(curve_figure(drawn))["What z says of its sentence"])) is there


def test_seeds_are_dots_around_their_mean() -> None:
    points = (*POINTS[:2], _point(4.0, 3.5, 6.0), _point(4.0, 4.5, 5.6, seed=1))
    axes = _panels(curve_figure(replace(CURVE, points=points)))["Rate and distortion"]
    assert _line(axes, "each seed") == [(3.5, 6.0), (4.5, 5.6)]
    assert _line(axes, "on the hull")[-1] == pytest.approx((4.0, 5.8))


def test_what_is_not_known_is_not_drawn() -> None:
    bare = replace(CURVE, axis="beta", baseline=None, exact_entropy=None, exact_here=None, left=("beta-3-seed-0",))
    unsure = replace(
        bare, points=tuple(replace(p, rate=replace(p.rate, se=math.nan), information=None) for p in POINTS)
    )
    figure = curve_figure(unsure)
    for axes in figure.axes:
        assert not [label for label in _labels(axes) if "exact" in label or "language" in label]
    assert "β 2" in {text.get_text() for text in _panels(figure)["Rate and distortion"].texts}
    assert "; points still to come: 1" in figure.get_suptitle()
    with pytest.raises(ValueError, match="toy has no finished point to draw; run `textlatent curve` again"):
        curve_figure(replace(CURVE, points=()))


def _coded(label: str, rate: float, uniform: float, distortion: float) -> Point:
    plain = _point(uniform, rate, distortion)
    return replace(plain, family="vq", label=label, active=None, codes=CodesUsed(uniform, 15, 16, 12.5))


def test_families_are_told_apart_and_share_one_hull() -> None:
    """A codebook at (3, 6.6) lies below the chord of the Gaussian points: it is on the hull, and 2.1 stays."""
    beside = (_coded("4 of 16", 3.0, 11.0, 6.6), _coded("2 of 16", 2.5, 5.5, 9.0))
    panels = _panels(curve_figure(replace(CURVE, beside=beside)))
    axes = panels["Rate and distortion"]
    assert _line(axes, "codes, on the hull") == [(3.0, 6.6)]
    assert _line(axes, "codes, above the hull") == [(2.5, 9.0)]
    assert _line(axes, "Gaussian, on the hull") == [(2.1, 7.5), (4.0, 5.8)]
    assert _line(axes, "lower hull") == [(0.0, 10.0), (2.1, 7.5), (3.0, 6.6), (4.0, 5.8)]
    assert _line(axes, "rate under a uniform prior") == [(11.0, 6.6)]
    assert {"4 of 16", "2 of 16"} <= {text.get_text() for text in axes.texts}
    assert axes.get_xlim()[1] > 11.0
    cost = panels["What a sentence costs"]
    assert _line(cost, "-ELBO, codes") == [(2.5, 11.5), (3.0, 9.6)]
    assert "-ln P(y), codes" not in _labels(cost)
    assert "information, 95 % interval, codes" in _labels(panels["What z says of its sentence"])


def test_a_likelihood_that_was_summed_is_drawn_where_it_is_known() -> None:
    """Of two codebooks the smaller was summed over: one mark below its -ELBO."""
    small = replace(_coded("2 of 16", 2.5, 5.5, 9.0), marginal_nll=Estimate(10.75, 0.2, 500))
    figure = curve_figure(replace(CURVE, beside=(_coded("4 of 16", 3.0, 11.0, 6.6), small)))
    cost = _panels(figure)["What a sentence costs"]
    assert _line(cost, "-ln P(y), codes") == [(2.5, 10.75)]
    assert _line(cost, "-ELBO, codes") == [(2.5, 11.5), (3.0, 9.6)]


def test_a_sweep_of_codebooks_is_labelled_by_them() -> None:
    points = (_coded("4 of 16", 3.0, 3.0, 6.0), _coded("2 of 16", 2.5, 2.5, 9.0))
    figure = curve_figure(replace(CURVE, axis="codes", points=points))
    axes = _panels(figure)["Rate and distortion"]
    assert axes.get_title().endswith("labels: positions of codes")
    assert "rate under a uniform prior" not in _labels(axes)
