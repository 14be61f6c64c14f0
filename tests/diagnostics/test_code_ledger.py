"""The ledger of codes: a language of two free codes, a decoder that knows them, every nat in closed form."""

import json
import math
from dataclasses import replace

import pytest
import torch

from textlatent.diagnostics.checks import mismatch_interval
from textlatent.diagnostics.codes import Alphabet, code_bounds
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
    assert "by pairs" not in next(row.remark for row in ledger_rows(ledger) if row.name == "information")


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
    scores = replace(scores, log_marginal=0.25 - scores.neg_elbo())
    found = build_ledger(scores, alphabet=Alphabet(8), exact_nll=exact)
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
    shown = pytest.approx(2 * math.log(30 / 4.744))
    assert cell["value"] == cell["lower"] == shown
    assert cell["value"] > math.log(30)
    assert cell["collision"] == {"value": None, "se": None, "lower": shown, "plug_in": pytest.approx(math.log(30))}
    assert cell["interval"][0] == shown
    assert cell["saturated"] is True


def enumerated(laps: int, *, alone: int = 0, uniform: bool = True) -> Scores:
    """144 pairs of 24 codes, `laps` times each, then `alone` sentences of a 25th code at both positions."""
    pairs = torch.cartesian_prod(torch.arange(24), torch.arange(24))
    codes = torch.cat([pairs[pairs.sum(1) % 4 == 0].repeat(laps, 1), torch.full((alone, 2), 24)])
    kl = torch.full(codes.shape, 3.5, dtype=torch.float64)
    if not uniform:
        kl += 0.1 * (codes % 5)
    return Scores(codes=codes[None], kl=kl, log_p_enc=torch.zeros(1, len(codes)), log_p_pri=-kl.sum(1)[None])


def _pair_chance(codes: torch.Tensor) -> float:
    rows = [tuple(row) for row in codes.tolist()]
    agree = [rows[i] == rows[j] for i in range(len(rows)) for j in range(len(rows)) if i != j]
    return sum(agree) / len(agree)


def test_where_pairs_show_more_than_counts_the_value_is_theirs() -> None:
    """144 codes twice and one 4 times: 288 + 4 sentences. The chance of a pair, and without each sentence, by counting.

    Its error is the jackknife's of the chance over the chance; the value lies in its interval. Under a rate that is the
    same everywhere the mismatch and its interval are the rate less the information's.
    """
    scores = enumerated(2, alone=4)
    codes = scores.need("codes")[0]
    ledger = build_ledger(scores, alphabet=Alphabet(25))
    information, mismatch = ledger["information_nats"], ledger["mismatch_nats"]
    chance = _pair_chance(codes)
    assert chance == pytest.approx((144 * 2 + 4 * 3) / (292 * 291), rel=1e-12)
    plug_in = -sum(n / 292 * math.log(n / 292) for n in [2] * 144 + [4])
    assert plug_in < information["collision"]["lower"] < -math.log(chance)
    assert information["collision"]["plug_in"] == pytest.approx(plug_in, rel=1e-12)
    remark = next(row.remark for row in ledger_rows(ledger) if row.name == "information")
    assert f"; by pairs that agree, {plug_in:.2f} by counts; cap ln 292" in remark
    left = [_pair_chance(codes[[j for j in range(292) if j != i]]) for i in (0, 291)]  # one of a pair, one of the four
    mean = (288 * left[0] + 4 * left[1]) / 292
    squares = 288 * (left[0] - mean) ** 2 + 4 * (left[1] - mean) ** 2
    assert information["value"] == pytest.approx(-math.log(chance), rel=1e-12)
    assert information["se"] == pytest.approx(math.sqrt(291 / 292 * squares) / chance, rel=1e-9)
    low, high = information["interval"]
    assert low == information["collision"]["lower"]
    assert low < information["value"] < high
    assert mismatch["value"] == pytest.approx(7.0 - information["value"], rel=1e-12)
    assert mismatch["interval"] == pytest.approx([7.0 - high, 7.0 - low], rel=1e-12)
    assert mismatch["se"] == pytest.approx(information["se"], rel=1e-9)
    known = mismatch_interval(scores.rate(), code_bounds(scores))
    assert [known.value, known.lower, known.upper] == pytest.approx([mismatch["value"], *mismatch["interval"]])


@pytest.mark.parametrize(("laps", "alone"), [(1, 0), (1, 2), (2, 0), (2, 4), (3, 40), (12, 0), (0, 9)])
@pytest.mark.parametrize("uniform", [True, False])
def test_a_value_lies_in_its_interval(laps: int, alone: int, uniform: bool) -> None:
    """No pair, one, each code twice, many of one code, counts that tell more than pairs, one code alone."""
    scores = enumerated(laps, alone=alone, uniform=uniform)
    ledger = build_ledger(scores, alphabet=Alphabet(25))
    for key in ("information_nats", "mismatch_nats"):
        low, high = ledger[key]["interval"]
        assert low - 1e-9 <= ledger[key]["value"] <= high + 1e-9, key
    rate, information = ledger["rate_nats"]["value"], ledger["information_nats"]
    assert ledger["mismatch_nats"]["value"] == pytest.approx(rate - information["value"], abs=1e-12)
    assert information["value"] <= information["upper"]
    plug_in, bound = (information["collision"][name] for name in ("plug_in", "lower"))
    assert (information["value"] == plug_in) is (min(bound, information["upper"]) <= plug_in)


def test_the_rate_s_own_error_widens_the_mismatch() -> None:
    """A rate that differs by sentence: the interval ends sqrt((1.96 se)^2 + (value - floor)^2) above the point."""
    ledger = build_ledger(enumerated(2, alone=4, uniform=False), alphabet=Alphabet(25))
    information, mismatch, rate = (ledger[f"{name}_nats"] for name in ("information", "mismatch", "rate"))
    reach = math.hypot(1.96 * rate["se"], information["value"] - information["interval"][0])
    assert mismatch["interval"][1] == pytest.approx(mismatch["value"] + reach, rel=1e-12)
    assert reach > information["value"] - information["interval"][0]


def test_without_an_alphabet_and_of_one_sentence() -> None:
    found = build_ledger(coded())
    assert "size of the codebook" in found["codes_used"]["why"]
    one = build_ledger(coded(1), alphabet=Alphabet(8))
    assert one["codes_used"]["value"] is None
    assert one["information_nats"]["value"] is None
    assert ledger_rows(one)
