"""Figures as SVG in a page: colours that the page decides, texts kept, ids of their own; labels kept apart."""

import re
from xml.etree import ElementTree

import pytest

from textlatent.report.drawing import CLASSES, INK, QUIET, RATE, Label, inline_svg, label_ends, new_figure


def _svg(name: str = "one", label: str = "a < b & c") -> str:
    figure, (axes,) = new_figure()
    axes.plot([0.0, 1.0], [0.0, 2.0], color=RATE)
    axes.plot([0.0, 1.0], [1.0, 1.0], "o", color=CLASSES[0])
    axes.axhline(0.5, color=QUIET)
    axes.set_xlabel("steps & more")
    label_ends(axes, [Label(2.0, "the rate", RATE)])
    return inline_svg(figure, name=name, label=label)


def test_a_figure_is_one_svg_element_with_its_words() -> None:
    root = ElementTree.fromstring(_svg())
    assert root.tag == "svg"
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == "a < b & c"
    texts = ["".join(each.itertext()) for each in root.iter("text")]
    assert "the rate" in texts
    assert "steps & more" in texts


def test_colours_are_the_page_s() -> None:
    svg = _svg()
    for variable in ("currentColor", "var(--rate)", "var(--quiet)", "var(--class-0)"):
        assert variable in svg
    assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == [], "a colour that the dark page cannot change"
    assert "font-family" not in svg
    assert "<style" not in svg


def test_no_address_but_its_own_and_no_id_twice() -> None:
    one, two = _svg("one"), _svg("two")
    assert "http" not in one
    ids = re.findall(r'\bid="([^"]*)"', one)
    assert len(set(ids)) == len(ids)
    assert not set(ids) & set(re.findall(r'\bid="([^"]*)"', two))
    used = re.findall(r'href="#([^"]*)"', one) + re.findall(r"url\(#([^)]*)\)", one)
    assert used
    assert set(used) <= set(ids)


def test_the_same_figure_is_the_same_text() -> None:
    assert _svg() == _svg()


@pytest.mark.parametrize("heights", [(0.5, 0.5, 0.5), (1.0, 1.0, 0.99), (0.0, 0.01, 0.9), (5.0, -3.0)])
def test_labels_are_kept_apart_in_their_order(heights: tuple[float, ...]) -> None:
    _, (axes,) = new_figure()
    axes.set_ylim(0.0, 1.0)
    label_ends(axes, [Label(height, str(i), INK) for i, height in enumerate(heights)], apart=0.1)
    placed = sorted((text.get_position()[1], heights[int(text.get_text())]) for text in axes.texts)
    assert len(placed) == len(heights)
    assert all(b[0] - a[0] >= 0.1 - 1e-9 for a, b in zip(placed, placed[1:], strict=False))
    assert [wanted for _, wanted in placed] == sorted(heights)
    assert placed[-1][0] <= 1.0


def test_a_label_alone_stands_at_its_height() -> None:
    _, (axes,) = new_figure()
    axes.set_ylim(0.0, 4.0)
    label_ends(axes, [Label(3.0, "here", INK)])
    assert axes.texts[0].get_position() == pytest.approx((1.02, 0.75))
