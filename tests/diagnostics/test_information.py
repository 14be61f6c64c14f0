"""The cells of information and mismatch: intervals, parts that add up, a mixture enlarged, and reasons for blanks."""

import math
from dataclasses import replace

import pytest
import torch

from tests.diagnostics.test_ledger import LinearGaussian
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.scores import Scores


def others_of(model: LinearGaussian, count: int) -> DiagonalGaussian:
    scores, _ = model.scores(count, 1, seed=99)
    return DiagonalGaussian(scores.need("posterior_mean"), scores.need("posterior_log_variance"))


def test_the_interval_reaches_two_errors_beyond_both_bounds() -> None:
    ledger = build_ledger(LinearGaussian().scores(300, 1)[0])
    for key in ("information_nats", "mismatch_nats"):
        cell = ledger[key]
        assert cell["interval"] == pytest.approx(
            [cell["lower"] - 1.96 * cell["lower_se"], cell["upper"] + 1.96 * cell["upper_se"]]
        )
        assert cell["interval"][0] < LinearGaussian().truth()[key] < cell["interval"][1]
    assert ledger["information_nats"]["components"] == 300
    assert ledger["information_nats"]["drift"] is None


def test_the_mismatchs_parts_add_up_and_meet_their_closed_forms() -> None:
    """The dimensions of this model are independent: all of the mismatch lies in the dimensions, each known."""
    model = LinearGaussian(gain=(2.0, 0.7), wide=1.6)
    cell = build_ledger(model.scores(600, 1)[0])["mismatch_nats"]
    shared, alone = cell["total_correlation"], cell["dimensions"]
    assert shared["value"] + alone["value"] == pytest.approx(cell["value"], abs=1e-9)
    assert shared["interval"][0] < 0.0 < shared["interval"][1]
    assert alone["interval"][0] < model.truth()["mismatch_nats"] < alone["interval"][1]
    assert sum(part["value"] for part in alone["per_dimension"]) == pytest.approx(alone["value"])
    for gain, part in zip(model.gain, alone["per_dimension"], strict=True):
        aggregate = (gain**2 + model.wide**2) / (gain**2 + 1)
        assert part["interval"][0] < 0.5 * (aggregate - 1 - math.log(aggregate)) < part["interval"][1]


def test_a_rate_near_the_cap_says_that_the_point_is_not_to_be_read() -> None:
    strong = LinearGaussian(gain=(9.0, 9.0, 9.0))
    scores, _ = strong.scores(60, 1)
    ledger = build_ledger(scores)
    cell = ledger["information_nats"]
    assert cell["saturated"] is True
    assert cell["value"] < strong.truth()["information_nats"] < cell["interval"][1]
    row = next(row for row in ledger_rows(ledger) if row.name == "information")
    assert row.remark.endswith("too near it for the point, so read the interval")
    assert build_ledger(LinearGaussian().scores(60, 1)[0])["information_nats"]["saturated"] is False


def test_others_enlarge_the_mixture() -> None:
    strong = LinearGaussian(gain=(6.0, 6.0))
    scores, _ = strong.scores(60, 1)
    alone, more = build_ledger(scores), build_ledger(scores, others=others_of(strong, 3000))
    cell = more["information_nats"]
    assert cell["cap"] == pytest.approx(math.log(3060))
    assert cell["components"] == 3060
    assert abs(cell["drift"]["value"]) < 4 * cell["drift"]["se"]
    assert cell["interval"][0] < strong.truth()["information_nats"] < cell["interval"][1]
    for key in ("information_nats", "mismatch_nats"):
        widths = [ledger[key]["upper"] - ledger[key]["lower"] for ledger in (alone, more)]
        assert widths[1] < 0.5 * widths[0], key


def test_a_prior_that_does_not_factorise_has_no_parts_and_says_so() -> None:
    scores, _ = LinearGaussian().scores(20, 2)
    cell = build_ledger(replace(scores, kl=None, prior_mean=None, prior_log_variance=None))["mismatch_nats"]
    assert cell["value"] is not None
    for part in ("total_correlation", "dimensions"):
        assert cell[part]["value"] is None
        assert "factorised Gaussian prior" in cell[part]["why"]


def test_a_language_model_has_neither() -> None:
    nothing = torch.zeros(5, 0, dtype=torch.float64)
    scores = Scores(
        kl=nothing, log_p_enc=torch.zeros(1, 5), log_p_pri=torch.zeros(1, 5), log_p_dec=torch.full((1, 5), -9.0),
        z=nothing[None], posterior_mean=nothing, posterior_log_variance=nothing, prior_mean=nothing[0],
        prior_log_variance=nothing[0],
    )  # fmt: skip
    ledger = build_ledger(scores)
    for key in ("information_nats", "mismatch_nats"):
        assert ledger[key] == {"value": None, "why": "the model is a language model: it has no z."}
    assert ledger["rate_nats"]["value"] == 0.0
    assert ledger["neg_elbo_nats"]["value"] == 9.0
