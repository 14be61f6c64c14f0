"""The page of gradients from plain numbers: what it says, and that a browser shows it whole."""

from pathlib import Path
from typing import Any

import pytest

from tests.report.browser import Page, find_browser
from textlatent.report.contrast import contrast_figure, contrast_page, number

BROWSER = find_browser()


def content() -> dict[str, Any]:
    row = {"at": "generator", "exact_norm": 1.5, "estimates": 8, "milliseconds": 12.0, "remark": "a <remark>"}
    names = ("inverse_cdf", "exact", "leave_one_out", "gumbel_softmax")
    rows = [
        {**row, "system": "bigram GAN", "estimator": name, "norm": 0.0 if not i else 1.4, "variance": 0.3 * (i > 1)}
        | {"bias": 1.5 if not i else 0.2 * (i > 1), "biased": i in (0, 3), "bias_limit": 0.5 * (i > 1)}
        for i, name in enumerate(names)
    ]
    exact = {"bias": 0.0, "variance": 1e-3, "gradient": 0.5}
    step = {"nonzero": 0.1, "words_changed": 0.2, "predicted": 0.21, "mean": 0.0, "largest": 3e5}
    jump = {"first_order": 0.01, "exact": 0.01, "measured": 0.0101, "points": 10_000_000}
    return {
        "name": "toy",
        "rows": rows,
        "zero": {
            "autograd": {"through_words": {"start_logits": None}, "through_rows": {"start_logits": 0.0}},
            "sentences": 2000,
            "differences": [{**step, "step": 1e-2}, {**step, "step": 1e-6, "words_changed": 0.0, "nonzero": 0.0}],
            "jumps": {"P": jump, "Q": jump},
        },
        "one_word": [{"estimator": "REINFORCE", "cost": cost, **exact} for cost in ("affine", "quadratic", "cubic")],
        "settings": {"rounds": 1, "samples": 8, "repeats": 8, "sentences": 4, "words": 13, "vocabulary": 253}
        | {"cost": "log_ratio", "temperature": 0.5},
        "corpus": {"path": "data/toy", "sha256": "abc"},
        "recipe": "name: toy",
        "seed": 0,
        "versions": {"torch": "2"},
    }


def test_the_page_says_what_was_found() -> None:
    page = contrast_page(content())
    assert "a &lt;remark&gt;" in page
    assert "start logits: None: no graph" in page
    assert "start logits: 0: a graph leads there" in page
    assert "<strong>1.5</strong>" in page
    assert "&lt; 0.5" in page
    assert page.count('<svg class="figure"') == 2


def test_the_figure_has_both_pictures() -> None:
    assert [axes.get_title() for axes in contrast_figure(content()).axes] == [
        "Bias and noise at the generator",
        "Who feels a step of h at fixed noise",
    ]


def test_numbers_are_read_at_a_glance() -> None:
    assert [number(x) for x in (0.0, 1.23456, -0.5, 123456.0, 2.5e-7, None)] == [
        "0",
        "1.23",
        "−0.5",
        "1.2e5",
        "2.5e−7",
        "–",
    ]


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here; install one (apt-get install chromium) or set CHROMIUM")
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_renders(tmp_path: Path, width: int, dark: bool) -> None:
    assert BROWSER is not None
    (tmp_path / "page.html").write_text(contrast_page(content()), encoding="utf-8")
    with Page(BROWSER, tmp_path / "profile") as browser:
        browser.open(tmp_path / "page.html", width=width, dark=dark)
        assert browser.requests == []
        assert browser.complaints == []
        assert browser.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
        sizes = browser.evaluate("[...document.querySelectorAll('svg')].map(e => e.getBoundingClientRect().width)")
        assert len(sizes) == 2
        assert min(sizes) > 100
        ink = browser.evaluate("getComputedStyle(document.documentElement).color")
        texts = browser.evaluate("[...document.querySelectorAll('svg text')].map(e => getComputedStyle(e).fill)")
        assert set(texts) == {ink}, "every word of a figure in the page's own ink, in the dark too"
        heads = browser.evaluate("[...document.querySelectorAll('#table ~ div th')].map(e => e.offsetHeight)")
        assert min(heads) > 0, "numbers keep their heads on a phone"
