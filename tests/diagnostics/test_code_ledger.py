"""The ledger of codes: a language of two free codes, a decoder that knows them, every nat in closed form."""

import json
import math

import pytest
import torch

from textlatent.diagnostics.codes import Alphabet
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.scores import Scores

USED, SAID = 4, 0.9
"""Codes in use of the first two positions; the decoder gives the sentence's word this probability, at each of them."""


def coded(count: int = 400, *, codes: int = 8, draws: int = 3, prior: float | None = None) -> Scores:
    """Two free positions of USED codes alike, a third always 5, under a uniform prior (or one of `prior` nats each)."""
    generator = torch.Generator().manual_seed(0)
    free = torch.randint(USED, (count, 2), generator=generator)
    found = torch.cat([free, torch.full((count, 1), 5)], 1)
    kl = torch.full((count, 3), math.log(codes) if prior is None else prior, dtype=torch.float64)
    return Scores(
        codes=found[None], kl=kl, log_p_enc=torch.zeros(draws, count, dtype=torch.float64),
        log_p_pri=-kl.sum(1).expand(draws, count), tokens=torch.full((count,), 3), words=torch.full((count,), 2),
        log_p_dec=torch.full((draws, count), 2 * math.log(SAID), dtype=torch.float64), index=torch.arange(count),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ledger() -> dict:
    exact = torch.full((400,), 2 * math.log(USED), dtype=torch.float64)
    return build_ledger(coded(), alphabet=Alphabet(8), exact_nll=exact, exact_entropy=2 * math.log(USED))


def test_every_nat_is_the_closed_form(ledger: dict) -> None:
    rate, distortion = 3 * math.log(8), -2 * math.log(SAID)
    assert ledger["rate_nats"]["value"] == pytest.approx(rate, rel=1e-12)
    assert ledger["uniform_rate_nats"]["value"] == pytest.approx(rate, rel=1e-12)
    assert ledger["neg_elbo_nats"]["value"] == pytest.approx(rate + distortion, rel=1e-12)
    assert ledger["iw_nll_nats"]["value"] == pytest.approx(rate + distortion, rel=1e-12)
    assert ledger["excess_nats"]["value"] == pytest.approx(rate + distortion - 2 * math.log(USED), rel=1e-12)
    information = ledger["information_nats"]
    assert information["lower"] == pytest.approx(2 * math.log(USED), abs=0.05)
    assert information["upper"] == pytest.approx(2 * math.log(USED), abs=0.05)
    assert ledger["mismatch_nats"]["value"] == pytest.approx(rate - information["lower"], rel=1e-12)


def test_the_codes_are_counted(ledger: dict) -> None:
    used = ledger["codes_used"]
    assert (used["value"], used["of"], used["unseen"]) == (5, 8, ["4", "6", "7"])
    law = [2 / 3 / 4] * 4 + [1 / 3]
    assert ledger["code_perplexity"]["value"] == pytest.approx(math.exp(-sum(p * math.log(p) for p in law)), rel=0.01)


def test_what_has_no_value_says_why(ledger: dict) -> None:
    assert "-ln P(k|y)" in ledger["gap_nats"]["why"]
    assert "codes_used" in ledger["active_units"]["why"]
    assert "too many codes" in ledger["marginal_nll_nats"]["why"]
    json.dumps(ledger, allow_nan=False)
    rows = {row.name: row for row in ledger_rows(ledger)}
    assert "IW-NLL, K = 3" in rows
    assert "IW-NLL, K = 1" not in rows  # one row: every rung is the same
    assert "one code" in rows["IW-NLL, K = 3"].remark
    assert "by position" in rows["rate"].remark
    assert rows["rate, uniform prior"].remark.startswith("= 3 ln 8")
    assert "of 8; in use 5.00 +- 0.00; unseen 4, 6, 7" == rows["codes used"].remark


def test_a_marginal_is_what_gap_and_excess_are_of() -> None:
    """-ln P(y) 0.25 below the bound: the gap is that, and the excess is of the marginal."""
    scores = coded()
    exact = torch.full((400,), 2 * math.log(USED), dtype=torch.float64)
    found = build_ledger(scores, alphabet=Alphabet(8), marginal_nll=scores.neg_elbo() - 0.25, exact_nll=exact)
    assert found["gap_nats"]["value"] == pytest.approx(0.25, rel=1e-9)
    nll = found["marginal_nll_nats"]["value"]
    assert found["excess_nats"]["value"] == pytest.approx(nll - 2 * math.log(USED), rel=1e-9)
    assert found["perplexity_per_token"]["value"] == pytest.approx(math.exp(nll / 3), rel=1e-9)
    rows = {row.name: row for row in ledger_rows(found)}
    assert rows["excess"].remark.startswith("= NLL - exact")
    assert rows["perplexity per token"].remark.startswith("of NLL;")


def test_sentences_that_never_agree_show_more_than_their_logarithm() -> None:
    """30 sentences, 20 positions of 64 codes: the plug-in ends at ln 30, the absence of any pair shows more."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(64, (1, 30, 20), generator=generator)
    kl = torch.full((30, 20), math.log(64), dtype=torch.float64)
    scores = Scores(codes=codes, kl=kl, log_p_enc=torch.zeros(1, 30), log_p_pri=-kl.sum(1)[None])
    cell = build_ledger(scores, alphabet=Alphabet(64))["information_nats"]
    assert cell["lower"] == pytest.approx(math.log(30), rel=1e-12)
    assert cell["collision"] == {"value": None, "lower": pytest.approx(2 * math.log(30 / 4.744))}
    assert cell["interval"][0] == max(cell["lower"], cell["collision"]["lower"])
    assert cell["saturated"] is True


def test_without_an_alphabet_and_of_one_sentence() -> None:
    found = build_ledger(coded())
    assert "size of the codebook" in found["codes_used"]["why"]
    one = build_ledger(coded(1), alphabet=Alphabet(8))
    assert one["codes_used"]["value"] is None
    assert one["information_nats"]["value"] is None
    assert ledger_rows(one)
