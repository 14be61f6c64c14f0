"""The codebook's section: what its figures say, by the numbers they are made of; and its rows on the page."""

import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.report.pages import EVIL, toy_content, toy_diagnosis, toy_metrics
from tests.report.test_html import Outline
from textlatent.diagnostics.codes import Alphabet
from textlatent.diagnostics.ledger import build_ledger
from textlatent.report.codes import code_pictures, order_of_codes
from textlatent.report.dimensions import dimension_pictures
from textlatent.report.html import Content, code_row, page
from textlatent.report.strip import equations, strips
from textlatent.scores import Scores

COUNTS = [[30, 0, 10, 0], [5, 35, 0, 0]]
CODES: dict[str, Any] = {
    "alphabet": {"codes": 4, "books": 1},
    "used": 3.0,
    "alive": {"value": 3.4, "se": 0.5},
    "perplexity": {"value": 2.61, "se": 0.04},
    "position_entropies_nats": [{"value": 0.56, "se": 0.01}, {"value": 0.38, "se": 0.01}],
    "position_information_nats": {"value": 0.41, "se": 0.02},
    "counts": COUNTS,
    "label": {
        "by_position_nats": [{"value": 0.1, "se": 0.01}, {"value": 0.3, "se": 0.01}],
        "entropy_nats": {"value": 0.69, "se": 0.0},
    },
    "says": [
        {"code": "0", "sentences": 32, "positions": [30, 5], "examples": [EVIL],
         "words": [{"word": "<b>", "lift": 2.5, "sentences": 12}]},
        {"code": "1", "sentences": 35, "positions": [0, 35], "examples": [], "words": []},
    ],
    "means": [
        {"counts": [35, 35, 10, 0], "distance": [0.1, 0.2, 0.3, None], "spread": [1.0, 1.0, 1.0, None],
         "relative": [0.1, 0.2, 0.3, None], "off_centre": 0.05, "left": 0.4}
    ],
    "players": [
        {"player": "encoder", "norm": 3.0, "noise": 1.0, "single": 5.0, "batches": 32, "parameters": 1234,
         "systematic": 2.8, "at_rest": False},
        {"player": "codebook", "norm": 0.1, "noise": 0.1, "single": 0.5, "batches": 32, "parameters": 16,
         "systematic": 0.0, "at_rest": True},
    ],
}  # fmt: skip
METRICS = [
    {"event": "validate", "step": step, "codes_used": used, "codes": 4, "code_perplexity": 2.0}
    for step, used in ((100, 2), (1000, 3))
]


def code_ledger() -> dict[str, Any]:
    """The ledger of 40 sentences with two codes of four."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(3, (1, 40, 2), generator=generator)
    kl = torch.full((40, 2), 1.386, dtype=torch.float64)
    scores = Scores(
        codes=codes, kl=kl, log_p_enc=torch.zeros(2, 40), log_p_pri=-kl.sum(1).expand(2, 40),
        log_p_dec=torch.full((2, 40), -12.0), tokens=torch.full((40,), 5), index=torch.arange(40),
    )  # fmt: skip
    context = {"split": "test", "corpus": {"path": "c", "sha256": "0"}, "seed": 0, "versions": {}, "model": {
        "run": "runs/toy", "checkpoint": "final", "type": "textlatent_vq"}}  # fmt: skip
    exact = torch.full((40,), 11.0).double()
    return build_ledger(scores, alphabet=Alphabet(4), exact_nll=exact, exact_entropy=11.0, context=context)


def code_content() -> Content:
    """A page with a codebook."""
    ledger = code_ledger()
    pictures = code_pictures(CODES, METRICS, ledger)
    return replace(
        toy_content(), ledger=ledger, diagnosis=toy_diagnosis("healthy") | {"codes": CODES}, codebook=pictures
    )


@pytest.fixture(scope="module")
def ledger() -> dict[str, Any]:
    return code_ledger()


@pytest.fixture(scope="module")
def html() -> str:
    return page(code_content())


def test_the_figures_say_their_numbers(ledger: dict[str, Any]) -> None:
    titles = {each.title: each for each in code_pictures(CODES, METRICS, ledger)}
    assert list(titles) == [
        "Usage of codes", "Codes and positions", "Nats at each position", "Codes against means", "Usage while training",
    ]  # fmt: skip
    assert "3 of 4 codes were seen" in titles["Usage of codes"].caption
    assert "43.8 % of all" in titles["Usage of codes"].caption  # 35 of 80
    assert "0.41 ± 0.02 nats" in titles["Codes and positions"].caption
    assert "0.94 nats of entropy" in titles["Nats at each position"].caption
    assert "most at position 1, 0.30 of 0.69" in titles["Nats at each position"].caption
    assert "5.0 % of the squared error" in titles["Codes against means"].caption
    assert "3 of 4 and 2.0 at step 1,000" in titles["Usage while training"].caption
    assert all(each.svg.startswith("<svg") for each in titles.values())


def test_what_was_not_recorded_is_left_out() -> None:
    bare = CODES | {"label": None}
    titles = [each.title for each in code_pictures(bare, toy_metrics(), None)]
    assert "Usage while training" not in titles
    one = CODES | {"counts": [[80, 0, 0, 0]], "position_entropies_nats": [{"value": 0.0, "se": None}], "label": None}
    assert len(code_pictures(one, [], None)) == 4
    empty = [CODES["means"][0] | {"relative": [None] * 4}]
    assert len(code_pictures(CODES | {"means": empty}, [], None)) == 4


def test_the_map_s_order() -> None:
    """Codes of position 0 first, the commonest of each position first, without the unused."""
    assert order_of_codes(COUNTS) == [0, 2, 1]


def test_a_row_by_hand() -> None:
    row = code_row(CODES["says"][0], CODES)
    assert row["share"] == 80.0  # 32 of 40 sentences
    assert row["places"] == [(0, 100 * 30 / 35), (1, 100 * 5 / 35)]
    assert row["words"] == [("<b>", 2.5)]


def test_the_page_shows_and_escapes_it(html: str) -> None:
    outline = Outline(html)
    assert not outline.open
    assert "codebook" in outline.ids
    assert "What each code says" in outline.text
    assert "still pulled: 3.0 times what chance makes of it" in outline.text
    assert "at rest, as far as these sentences can tell" in outline.text
    assert "<script>" not in html
    assert "<b>" not in html
    assert "what came back from its codes" in outline.text
    assert len(outline.ids) == len(set(outline.ids))
    assert not outline.unnamed
    assert not re.search(r'(?:href|src)="(?!#|data:)', html)


def test_a_gaussian_s_page_has_no_codebook() -> None:
    assert 'id="codebook"' not in page(toy_content())


def test_without_a_diagnosis_the_section_says_how_to_get_it(ledger: dict[str, Any]) -> None:
    content = replace(toy_content(), ledger=ledger, diagnosis=None, missing={"diagnosis": "run `textlatent diagnose`"})
    outline = Outline(page(content))
    assert "codebook" in outline.ids
    assert "textlatent diagnose" in outline.text


def test_positions_keep_their_order_and_their_name(ledger: dict[str, Any]) -> None:
    (picture,) = dimension_pictures(ledger)
    assert picture.title == "Rate of each position"
    assert "over 2 positions" in picture.caption


def test_the_equations_and_strips_do_without_a_gap(ledger: dict[str, Any]) -> None:
    rows = [[term.symbol for term in row] for row in equations(ledger)]
    assert ["-ELBO", "IW-NLL", "gap"] not in rows
    assert ["IW-NLL", "exact NLL", "excess"] in rows
    assert [part.name for part in strips(ledger)[-1].parts] == ["exact entropy", "excess"]
    nll = {"value": 13.0, "se": 0.1}
    known = ledger | {"marginal_nll_nats": nll, "gap_nats": {"value": 1.8, "se": 0.1}}
    assert ["-ELBO", "NLL", "gap"] in [[term.symbol for term in row] for row in equations(known)]
