"""The page without a browser: well formed, complete, escaped, asking the network for nothing."""

import re
from html.parser import HTMLParser

import pytest

from tests.report.pages import EVIL, SECTIONS, empty_content, toy_content, toy_diagnosis, toy_ledger, toy_scores
from textlatent.report.html import commands, differing_words, health, nats, page

VOID = {"meta", "link", "br", "hr", "img", "input"}
FULL = page(toy_content())
EMPTY = page(empty_content())


class Outline(HTMLParser):
    """Checks that every tag is closed in order; keeps ids, headings, texts and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.unnamed: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data", "srcset")]
        if tag == "svg" and not (given.get("aria-hidden") or (given.get("role") == "img" and given.get("aria-label"))):
            self.unnamed.append(str(given))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("html", [FULL, EMPTY], ids=["full", "empty"])
def test_every_tag_is_closed_and_every_id_its_own(html: str) -> None:
    outline = Outline(html)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids), "an id twice"
    assert html.startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in html
    assert outline.tags.count("h1") == 1
    assert outline.unnamed == [], "a drawing without words"


def test_the_outline_can_fail() -> None:
    with pytest.raises(AssertionError, match="closes another tag"):
        Outline("<p><b></p></b>")
    assert Outline("<p>").open == ["p"]
    assert Outline("<svg></svg>").unnamed == ["{}"]


@pytest.mark.parametrize("html", [FULL, EMPTY], ids=["full", "empty"])
def test_nothing_is_asked_of_the_network(html: str) -> None:
    assert all(each.startswith(("#", "data:")) for each in Outline(html).addresses)
    assert not re.search(r"https?://|@import|@font-face|url\((?!#)", html)
    assert "script" not in Outline(html).tags
    assert "default-src 'none'" in html


def test_the_words_of_a_run_are_escaped_everywhere() -> None:
    """Name, recipe, samples, reconstructions, interpolation, notes, class names."""
    assert "<script" not in FULL
    assert Outline(FULL).text.count("alert('x')") >= 8
    assert EVIL in Outline(FULL).text


def test_a_page_is_small() -> None:
    assert len(FULL.encode()) < 2_000_000
    assert len(FULL.encode()) > 20_000


def test_the_order_of_the_page() -> None:
    assert re.findall(r'<h2 id="(\w+)"', FULL) == [
        "equation",
        "ledger",
        "checks",
        "carries",
        "course",
        "latent",
        "samples",
        "reconstructions",
        "interpolation",
        "recipe",
        "versions",
    ]


def test_the_numbers_of_the_ledger_stand_under_their_symbols() -> None:
    text, ledger = Outline(FULL).text, toy_ledger(toy_scores())
    for key in ("neg_elbo_nats", "rate_nats", "distortion_nats", "information_nats", "mismatch_nats", "excess_nats"):
        assert nats(ledger[key]["value"]) in text, key
    assert "60 sentences of test, corpus.tsv; checkpoint final, seed 3" in text
    assert "0" * 64 in text
    assert "train 1,000, test 60 sentences" in text


def test_the_verdict_and_its_checks() -> None:
    text = Outline(FULL).text
    assert "Collapsed It is so; run textlatent ls . Ask for a rate: objective.target_rate ." in text
    assert "collapsed: yes" in text
    assert "ignored: no" in text
    assert "memorising: not measured" in text
    assert '<section class="verdict ill"' in FULL
    assert '<section class="verdict healthy"' in page(toy_content(diagnosis=toy_diagnosis("healthy")))


def test_what_is_missing_names_its_command() -> None:
    text = Outline(EMPTY).text
    for section in SECTIONS:
        assert f"There is no {section}; textlatent evaluate runs/toy makes it." in text
    assert "Not diagnosed" in text


def test_a_corpus_whose_entropy_is_not_known() -> None:
    html = page(toy_content(ledger=toy_ledger(toy_scores(), exact=False)))
    assert "excess" not in "".join(re.findall(r'<div class="strip">.*?</div>', html, re.DOTALL))
    assert "the language" in Outline(html).text


@pytest.mark.parametrize(
    ("overall", "tone"),
    [("healthy", "healthy"), ("underpowered", "unknown"), ("mismatched", "ill"), ("ignored", "ill")],
)
def test_the_tone_of_a_verdict(overall: str, tone: str) -> None:
    assert health(toy_diagnosis(overall)) == tone
    assert health(None) == "unknown"


def test_differing_words_by_hand() -> None:
    left, right = differing_words("the old child sold the boat", "the child sold a boat today")
    assert [word for word, differs in left if differs] == ["old", "the"]
    assert [word for word, differs in right if differs] == ["a", "today"]
    assert [word for word, _ in left] == ["the", "old", "child", "sold", "the", "boat"]
    assert differing_words("", "a") == ([], [("a", True)])


def test_numbers_to_read() -> None:
    assert nats(None) == "–"
    assert nats(1234.5678) == "1,234.568"
    assert nats(-0.25) == "−0.250"
    assert nats(-0.0001) == "0.000"


def test_commands_between_backticks() -> None:
    assert commands("run `a b` now") == [("run ", False), ("a b", True), (" now", False)]
    assert commands("a ` alone, +- 1") == [("a ` alone, ± 1", False)]


def test_the_inference_gap_is_told_in_its_parts() -> None:
    cells = {"gap_nats": {"value": 0.512, "se": 0.011}, "amortisation_nats": {"value": 0.304, "se": 0.022}}
    cells |= {"left_nats": {"value": 0.208, "se": 0.033}, "samples": 100}
    html = page(toy_content(diagnosis=toy_diagnosis() | {"inference": cells}))
    (table,) = re.findall(r'<table class="wide inference">.*?</table>', html, re.DOTALL)
    rows = re.findall(r'<td class="name">(.*?)</td><td class="number">(.*?)</td><td class="number">(.*?)</td>', table)
    assert rows == [
        ("inference gap", "0.512", "± 0.011"),
        ("of it amortisation", "0.304", "± 0.022"),
        ("of it left", "0.208", "± 0.033"),
    ]
    assert "Amortisation is the part of it that the encoder misses" in html
    assert 'id="inference"' not in page(toy_content())
