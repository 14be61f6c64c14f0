"""The figures of a ring: what each panel shows, read back from the axes."""

from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.figure import Figure

from textlatent.report import ring as report

SYMBOLS = ["a", " ", "�"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Every figure that is saved."""
    saved: list[Figure] = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", lambda self, path, **_: saved.append(self))
    return saved


def _card() -> dict[str, Any]:
    theta = [1.0, -2.0, 0.01, 0.5, 3.0, 0.0, -0.5, 0.25, 0.0]
    fits = {
        "maximum_likelihood": {"theta_nats": theta, "se_nats": [0.1] * 9},
        "pseudo_likelihood": {"theta_nats": [1.1 * x for x in theta], "se_nats": [0.2] * 9},
    }
    return {"symbols": SYMBOLS, "pairs": [[5, 1, 2], [3, 4, 0], [1, 1, 0]], **fits}


def _panel(figure: Figure, title: str) -> Any:
    return next(axes for axes in figure.axes if title in axes.get_title())


def test_the_pairs_that_occur_are_shown_with_their_errors(figures: list[Figure], tmp_path: Path) -> None:
    report.save_fit_figure(tmp_path / "x.png", _card())
    heat = _panel(figures[0], "Potential of each pair")
    table = heat.images[0].get_array()
    assert table[1, 1] == 3.0
    assert np.argwhere(table.mask).tolist() == [[1, 2], [2, 2]]
    assert [label.get_text() for label in heat.get_yticklabels()] == ["a", "␣", "…"]
    (weak,) = heat.lines
    assert weak.get_xydata().tolist() == [[2.0, 0.0]]  # 0.01 +- 0.1
    errors = _panel(figures[0], "standard error").images[0].get_array()
    assert errors[0, 0] == 0.1
    assert errors.mask.sum() == 2


def test_both_methods_face_each_other(figures: list[Figure], tmp_path: Path) -> None:
    report.save_fit_figure(tmp_path / "x.png", _card())
    against = _panel(figures[0], "The same potentials")
    assert "4.00 times" in against.get_title()
    points = against.lines[1].get_xydata()
    assert len(points) == 7
    np.testing.assert_allclose(points[:, 1], 1.1 * points[:, 0])


def test_each_site_is_shown_without_its_edges(figures: list[Figure], tmp_path: Path) -> None:
    """A field written into an edge's rows comes out as the field of the site before it."""
    edges, fields = np.zeros((3, 3, 3)), np.zeros((3, 3))
    edges[1, :, :] = np.array([2.0, -1.0, -1.0])[:, None]
    edges[2] = np.eye(3) - 1 / 3
    metrics = [
        {"event": "log", "step": 1, "distortion_nats": 3.0},
        {"event": "validate", "step": 1, "distortion_nats": 2.0},
    ]
    report.save_sites_figure(
        tmp_path / "x.png", edges=edges.tolist(), fields=fields.tolist(), symbols=SYMBOLS, metrics=metrics
    )
    table = _panel(figures[0], "What each site prefers").images[0].get_array()
    np.testing.assert_allclose(table[:, 1], [2.0, -1.0, -1.0])
    np.testing.assert_allclose(table[:, [0, 2]], 0.0, atol=1e-12)
    bars = [bar.get_height() for bar in _panel(figures[0], "How strongly").patches]
    np.testing.assert_allclose(bars, [0.0, 0.0, (2 / 9) ** 0.5], atol=1e-12)
    assert [line.get_label() for line in _panel(figures[0], "The course").lines] == ["log", "validate"]
