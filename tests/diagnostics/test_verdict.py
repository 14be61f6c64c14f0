"""The rules of the verdict on records by hand: sides of a threshold, what hangs, what is blank, what is refused."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch

from tests.oracles.clinic import EMPTY, FOUR, at_rate
from textlatent.diagnostics.checks import Check, Interval, Thresholds, interval, mismatch_interval
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.verdict import VERDICTS, Diagnosis, diagnose
from textlatent.nats.bounds import information_bounds
from textlatent.nats.montecarlo import Estimate
from textlatent.scores import Scores


def check(found: Diagnosis, illness: str) -> Check:
    return next(each for each in found.checks if each.illness == illness)


@pytest.fixture(scope="module")
def four() -> dict[str, Scores]:
    return FOUR.scores(7)


def test_the_sides_of_a_threshold() -> None:
    """[0, 2] around 1.2 and a threshold of 1: undecided, or the point's; outside the interval there is no doubt."""
    found = Interval(1.2, 0.5, 0.0, 2.0)
    assert found.side(1.0, ill_below=True, decide=False) is None
    assert found.side(1.0, ill_below=True, decide=True) is False
    assert found.side(1.0, ill_below=False, decide=True) is True
    for decide in (True, False):
        assert found.side(2.0, ill_below=True, decide=decide) is True
        assert found.side(2.0, ill_below=False, decide=decide) is False
        assert found.side(-0.1, ill_below=True, decide=decide) is False
        assert found.side(-0.1, ill_below=False, decide=decide) is True


def test_one_sentence_s_interval_is_endless() -> None:
    assert interval(Estimate(1.0, math.nan, 1))[2:] == (-math.inf, math.inf)
    assert interval(Estimate(1.0, 0.5, 9))[2:] == pytest.approx((0.02, 1.98))


def test_a_value_exactly_at_the_threshold_is_the_ill_side() -> None:
    """A rate that is the threshold to the digit in every sentence (a power of 2, so its mean is exact) is nothing."""
    kl = torch.full((64, 1), 0.125, dtype=torch.float64)
    assert diagnose(Scores(kl=kl), negligible=0.125).overall == "collapsed"
    assert diagnose(Scores(kl=2.0 * kl), negligible=0.125).overall == "healthy"


def test_mismatch_is_the_ledger_s(four: dict[str, Scores]) -> None:
    scores = four["own"]
    bounds = information_bounds(
        scores.need("posterior_mean"), scores.need("posterior_log_variance"), scores.need("z")[0]
    )
    found, cell = mismatch_interval(scores.rate(), bounds), build_ledger(scores, ladder=(1,))["mismatch_nats"]
    assert found.value == pytest.approx(cell["value"])
    assert found.se == pytest.approx(cell["se"])
    assert found.lower == pytest.approx(cell["lower"] - 1.96 * cell["lower_se"])
    assert found.upper == pytest.approx(cell["upper"] + 1.96 * cell["upper_se"])


def test_every_check_is_listed_with_its_threshold_and_source(four: dict[str, Scores]) -> None:
    found = diagnose(**{"scores" if name == "own" else name: each for name, each in four.items()}, negligible=0.2)
    assert [each.illness for each in found.checks] == [v for v in VERDICTS if v != "healthy"]
    assert check(found, "collapsed").threshold == 0.2
    assert all(each.source and each.message.endswith(".") for each in found.checks)
    assert found.overall == "healthy"
    assert (found.advice, found.fired, found.sentences) == ("", (), 500)
    assert sum("nats more" in note for note in found.notes) == 3


def test_what_fired_ends_in_advice() -> None:
    scores = EMPTY.scores(0)
    found = diagnose(scores["own"], other=scores["other"])
    assert [each.illness for each in found.fired] == ["collapsed", "partly collapsed"]
    assert found.advice == found.fired[0].advice == check(found, "collapsed").advice
    assert "objective.target_rate=" in found.advice
    assert all(each.message.endswith(each.advice) for each in found.fired)
    assert all(each.advice == "" for each in found.checks if not each.fired)


def test_json_holds_it(four: dict[str, Scores]) -> None:
    for scores in (four["own"], four["own"].select(torch.tensor([3]))):
        found = diagnose(scores)
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False)) == found.to_dict()
    assert found.to_dict()["thresholds"] == asdict(Thresholds())


@pytest.mark.parametrize("count", [1, 2, 3, 49])
def test_a_handful_of_sentences_is_underpowered(four: dict[str, Scores], count: int) -> None:
    few = {name: each.select(torch.arange(count)) for name, each in four.items()}
    found = diagnose(few["own"], other=few["other"])
    assert found.overall == "underpowered"
    assert "more sentences" in found.advice


def test_an_undecided_check_hangs_the_verdict_only_before_the_first_that_fired() -> None:
    """60 sentences, one dimension of rate 0.1 +- 0.03 nat: undecided. With 600 of them the point decides."""
    kl = torch.tensor([0.0, 0.0, 0.31], dtype=torch.float64)[:, None]
    found = diagnose(Scores(kl=kl.repeat(20, 1)))
    assert found.overall == "underpowered"
    assert found.notes[0].startswith("whether it is collapsed hangs on rate: 0.1 nats lies within [0.06")
    assert diagnose(Scores(kl=kl.repeat(200, 1))).overall == "healthy"
    # dead dimensions undecided, a deaf decoder decided: it does not hang
    deaf = replace(at_rate(4.0), hears=(False,) * 8, sentences=60).scores(0)
    assert diagnose(deaf["own"], other=deaf["other"], dead_variance=0.6).overall == "ignored"
    assert check(diagnose(deaf["own"], other=deaf["other"], dead_variance=0.6), "partly collapsed").undecided


def test_a_prior_draw_or_the_prior_mean_stands_in_for_another_sentence(four: dict[str, Scores]) -> None:
    for name in ("prior_draw", "prior_mean"):
        found = diagnose(four["own"], **{name: four[name]})
        assert check(found, "ignored").fired is False
        assert check(found, "memorising").value is not None


def test_what_was_not_scored_is_said_and_hangs_nothing_up(four: dict[str, Scores]) -> None:
    found = diagnose(four["own"])
    assert found.overall == "healthy"
    assert check(found, "ignored").message == "Not checked: it needs the sentences scored with another z."
    assert "tokens' scores" in check(found, "memorising").message
    bare = diagnose(Scores(kl=four["own"].kl))
    assert [each.illness for each in bare.checks if each.value is None] == [
        "ignored", "mismatched", "memorising", "partly collapsed",
    ]  # fmt: skip


def test_short_sentences_have_nothing_beyond(four: dict[str, Scores]) -> None:
    short = {name: replace(each, tokens=torch.full((500,), 6)) for name, each in four.items()}
    message = check(diagnose(short["own"], other=short["other"]), "memorising").message
    assert message == "Not checked: 0 sentences have more than 6 tokens, and 50 are needed."


def test_a_target_excuses_dead_dimensions_from_nine_tenths_of_it_on() -> None:
    half = replace(
        at_rate(4.0), gain=(*at_rate(4.0, 4).gain, *EMPTY.gain[4:]), width=(*at_rate(4.0, 4).width, 1, 1, 1, 1)
    )
    own = half.scores(0)["own"]
    rate = own.rate().mean().item()
    for target, overall in (
        (rate, "healthy"),
        (rate / 2, "healthy"),
        (rate * 1.05, "healthy"),
        (rate * 1.3, "partly collapsed"),
    ):
        assert diagnose(own, target_rate=target).overall == overall
    assert "no illness" in diagnose(own, target_rate=rate).notes[0]
    assert diagnose(own, target_rate=9.0).notes[0] == f"a rate of 9 nats was asked for, and {rate:.2f} is paid."


def test_refined_posteriors_and_a_baseline_are_notes(four: dict[str, Scores]) -> None:
    own = four["own"]
    refined = replace(own, log_p_dec=own.need("log_p_dec") + 0.5)
    nll = own.neg_elbo()
    baseline = Scores(log_p_dec=-(nll + 2.0)[None], tokens=own.tokens, index=own.index)
    notes = diagnose(own, refined=refined, baseline=baseline).notes
    assert "refining each posterior lowers -ELBO by 0.50 +- 0.00 nats, which the encoder misses." in notes
    assert "-ELBO lies 2.00 +- 0.00 nats below the NLL of the language model without z." in notes


def test_what_has_no_verdict_is_refused(four: dict[str, Scores]) -> None:
    own = four["own"]
    with pytest.raises(ValueError, match="language model"):
        diagnose(Scores(kl=torch.zeros(60, 0)))
    with pytest.raises(ValueError, match="language model"):
        diagnose(Scores(log_p_enc=torch.zeros(1, 9), log_p_pri=torch.zeros(1, 9), posterior_mean=torch.zeros(9, 0)))
    with pytest.raises(ValueError, match="needs a rate"):
        diagnose(Scores(log_p_dec=torch.zeros(1, 60)))
    with pytest.raises(ValueError, match="at least one sentence"):
        diagnose(Scores())
    with pytest.raises(ValueError, match="must be finite, got 1 of 60"):
        diagnose(Scores(kl=torch.cat([torch.ones(59, 2), torch.full((1, 2), math.nan)])))
    with pytest.raises(ValueError, match="did you mean negligible"):
        diagnose(own, neglible=0.2)
    with pytest.raises(ValueError, match="same sentences"):
        diagnose(own, other=four["other"].select(torch.arange(99)))
