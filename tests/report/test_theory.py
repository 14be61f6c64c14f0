"""The page of claims: what it says, that nothing in it runs or escapes, numbers as they are read."""

import re

import pytest

from tests.report.claims import FIGURES, theory
from textlatent.report import theory as room
from textlatent.report.theory import number, short, theory_page


def test_every_figure_is_drawn_and_no_other() -> None:
    script = room.SCRIPT.read_text(encoding="utf-8")
    drawn = re.findall(r"^  (\w+)\(figure", script, re.MULTILINE)
    assert tuple(drawn) == room.FIGURES == tuple(FIGURES)


def test_the_page_says_what_holds() -> None:
    page = theory_page(theory())
    assert "10 of 11 claims hold" in page
    assert page.count('class="claim"') == 11
    assert page.count("<figure data-claim") == 10
    assert page.count('<tr class="bad">') == 1
    assert 'href="#T8" class="fails"' in page
    assert "not a number" in page
    assert "≥" in page


def test_no_text_escapes() -> None:
    page = theory_page(theory())
    assert page.count("<script>") == page.count("</script>") == 1
    assert "<b>" not in page
    data = theory() | {"claims": [theory()["claims"][0] | {"figure": {"kind": "gaussian", "data": {"x": "</script>"}}}]}
    assert theory_page(data).count("</script>") == 1


def test_nothing_asks_the_network() -> None:
    page = theory_page(theory())
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\s\"]+", page)) == {"http://www.w3.org/2000/svg"}  # a name, never fetched
    assert not re.search(r"\b(?:src|fetch|import)\s*[=(]", page)


@pytest.mark.parametrize(
    ("value", "full", "glance"),
    [
        (0.0, "0", "0"),
        (-0.0, "0", "0"),
        (3.0, "3", "3"),
        (-2.0, "−2", "−2"),
        (1234567.0, "1,234,567", "1.2 · 10^6"),
        (0.693147180559945, "0.6931471806", "0.69"),
        (-12.25, "−12.25", "−12"),
        (1.5e-13, "1.5 · 10^−13", "1.5 · 10^−13"),
        (-1e-9, "−1 · 10^−9", "−1 · 10^−9"),
        (None, "not a number", "not a number"),
    ],
)
def test_numbers(value: float | None, full: str, glance: str) -> None:
    assert number(value) == full
    assert short(value) == glance


def test_an_unknown_figure_is_an_error() -> None:
    bad = theory()
    bad["claims"][0] = bad["claims"][0] | {"figure": {"kind": "pie", "data": {}}}
    with pytest.raises(ValueError, match="no figure is called 'pie'; theory.js draws tradeoff"):
        theory_page(bad)
