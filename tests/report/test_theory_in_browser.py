"""The claims as a browser shows them: figures drawn and moved, cards turned, no overflow, nothing asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.browser import Page, find_browser
from tests.report.claims import theory
from textlatent.report.theory import theory_page

BROWSER = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium here; install one (apt-get install chromium) or set CHROMIUM"
    ),
]
DRAWN = """[...document.querySelectorAll("figure")].map(e => e.querySelectorAll("path, circle, rect").length)"""
OVERFLOW = """document.documentElement.scrollWidth - window.innerWidth"""
MOVE = """[...document.querySelectorAll("figure input[type=range]")].map(e => {
    const [low, high] = [e.min, e.max].map(to => {
        e.value = to; e.dispatchEvent(new Event("input")); return e.closest("figure").innerHTML });
    return low !== high })"""
NOT_NUMBERS = """/NaN|undefined|Infinity/.test(document.querySelector("main").innerHTML)"""
KEY = """dispatchEvent(new KeyboardEvent("keydown", {{ key: "{}" }}))"""
SHOWN = """[...document.querySelectorAll("section")].filter(e => e.getBoundingClientRect().height > 0).map(e => e.id)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert BROWSER is not None
    with Page(BROWSER, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "theory.html"
    path.write_text(theory_page(theory()), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_renders_and_moves(browser: Page, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    assert browser.evaluate(OVERFLOW) <= 0
    assert min(browser.evaluate(DRAWN)) >= 2
    moved = browser.evaluate(MOVE)
    assert len(moved) >= 10
    assert all(moved)
    assert not browser.evaluate(NOT_NUMBERS)
    assert browser.requests == []
    assert browser.complaints == []


def test_a_rule_is_chosen(browser: Page, page: Path) -> None:
    browser.open(page, width=800)
    says = "document.querySelector('[data-claim=T5] .says').textContent"
    assert "at rest" in browser.evaluate(says)
    browser.evaluate("document.querySelectorAll('[data-claim=T5] input')[1].click()")
    assert "pushed away" in browser.evaluate(says)


def test_cards_turn(browser: Page, page: Path) -> None:
    browser.open(page, width=1280)
    assert len(browser.evaluate(SHOWN)) == 11
    browser.evaluate("document.getElementById('project').click()")
    assert browser.evaluate(SHOWN) == ["T1"]
    for key, shown in (
        ("ArrowRight", "T2"),
        ("PageDown", "T3"),
        ("ArrowLeft", "T2"),
        ("ArrowLeft", "T1"),
        ("ArrowLeft", "T1"),
    ):
        browser.evaluate(KEY.format(key))
        assert browser.evaluate(SHOWN) == [shown]
    browser.evaluate(KEY.format("Escape"))
    assert len(browser.evaluate(SHOWN)) == 11
    assert browser.complaints == []


def test_it_prints(browser: Page, page: Path, tmp_path: Path) -> None:
    browser.open(page, width=1280)
    browser.pdf(tmp_path / "theory.pdf")
    assert (tmp_path / "theory.pdf").stat().st_size > 20_000
