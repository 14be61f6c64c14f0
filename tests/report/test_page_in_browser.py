"""The page as a browser shows it: every drawing has a size, nothing overflows, nothing is asked for, no complaint."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.report.browser import Page, find_browser
from tests.report.pages import empty_content, toy_content
from tests.report.test_codes import code_content
from textlatent.report.html import page

BROWSER = find_browser()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BROWSER is None, reason="no Chromium here; install one (apt-get install chromium) or set CHROMIUM"
    ),
]
SHOWN = """[...document.querySelectorAll("svg")].map(e => e.getBoundingClientRect()).map(r => [r.width, r.height])"""
OVERFLOW = """document.documentElement.scrollWidth - window.innerWidth"""
COLOURS = """[document.documentElement, document.querySelector("svg.figure text")]
    .map(e => getComputedStyle(e)).map((s, i) => i ? s.fill : s.backgroundColor)"""
TEXT_SIZES = """[...document.querySelectorAll("svg.figure text")]
    .map(e => parseFloat(getComputedStyle(e).fontSize) * Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b))"""
OUTSIDE = """[...document.querySelectorAll("main *, header *")]
    .filter(e => !e.closest("thead") && !e.closest("svg") && e.getBoundingClientRect().right > window.innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all."""
    assert BROWSER is not None
    with Page(BROWSER, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A full page, one of a run with codes and one of a run that has only begun."""
    folder = tmp_path_factory.mktemp("pages")
    long = replace(toy_content(), folder="runs/" + "a-very-long-name-without-a-gap/" * 5)
    for name, content in (("full", long), ("codes", code_content()), ("empty", empty_content())):
        (folder / f"{name}.html").write_text(page(content), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in ("full", "codes", "empty")}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("which", ["full", "codes", "empty"])
def test_it_renders(browser: Page, pages: dict[str, Path], which: str, width: int, dark: bool) -> None:
    browser.open(pages[which], width=width, dark=dark)
    assert browser.requests == []
    assert browser.complaints == []
    assert browser.evaluate(OVERFLOW) <= 0
    assert browser.evaluate(OUTSIDE) == []
    sizes = browser.evaluate(SHOWN)
    assert len(sizes) >= {"full": 13, "codes": 17, "empty": 0}[which]
    assert all(size[0] > 100 and size[1] > 15 for size in sizes), sizes
    if which == "full":
        ground, text = browser.evaluate(COLOURS)
        assert (ground, text) == (
            ("rgb(20, 24, 27)", "rgb(230, 233, 235)") if dark else ("rgb(255, 255, 255)", "rgb(29, 33, 37)")
        )


@pytest.mark.parametrize("which", ["full", "codes"])
def test_the_text_of_figures_can_be_read_on_a_phone(browser: Page, pages: dict[str, Path], which: str) -> None:
    browser.open(pages[which], width=390)
    sizes = browser.evaluate(TEXT_SIZES)
    assert len(sizes) > 50
    assert min(sizes) >= 8.0


def test_the_checks_can_fail(browser: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        "<main><p style='width: 600px'>wide</p><svg width='0'></svg><img src='missing.png'>"
        "<script>console.error('a complaint')</script></main>"
    )
    browser.open(tmp_path / "bad.html", width=390)
    assert browser.evaluate(OVERFLOW) > 0
    assert browser.evaluate(OUTSIDE)
    assert browser.evaluate(SHOWN)[0][0] == 0
    assert browser.requests[0].endswith("missing.png")
    assert "a complaint" in browser.complaints


def test_it_prints_on_a_few_sheets(browser: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    browser.open(pages["full"], width=1280)
    browser.pdf(tmp_path / "page.pdf")
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 10
