"""Strips and equations: parts that add up to the whole, on a ledger whose numbers are set by hand."""

from typing import Any

import pytest

from tests.report.pages import toy_ledger, toy_scores
from textlatent.report.strip import equations, strips


def _ledger(**changes: Any) -> dict[str, Any]:
    values = {"rate": 4.0, "distortion": 12.0, "neg_elbo": 16.0, "iw_nll": 15.0, "gap": 1.0, "information": 3.0}
    values |= {"mismatch": 1.0, "excess": 3.0, "exact_entropy": 11.0} | changes
    ledger: dict[str, Any] = {f"{key}_nats": {"value": value, "se": 0.1} for key, value in values.items()}
    ledger["information_nats"] |= {"lower": 3.0, "lower_se": 0.1, "upper": 3.2, "upper_se": 0.1}
    if ledger["exact_entropy_nats"]["value"] is not None:
        ledger["exact_entropy_nats"]["these_sentences"] = {"value": 12.0, "se": 0.2}
    return ledger


def test_the_strips_of_a_ledger_by_hand() -> None:
    whole, rate, truth = strips(_ledger())
    assert [(p.name, p.start, p.width) for p in whole.parts] == [
        ("information", 0.0, 18.75),
        ("mismatch", 18.75, 6.25),
        ("distortion", 25.0, 75.0),
    ]
    assert [(p.name, p.start, p.width) for p in rate.parts] == [("information", 0.0, 75.0), ("mismatch", 75.0, 25.0)]
    assert rate.magnified == 25.0
    assert rate.doubt == pytest.approx((100 * (3.0 - 0.196) / 4.0, 100 * (3.2 + 0.196) / 4.0))
    assert [(p.name, p.width) for p in truth.parts] == [("exact entropy", 75.0), ("excess", 18.75), ("gap", 6.25)]
    assert whole.words == "-ELBO: information 3.000 nats, mismatch 1.000 nats, distortion 12.000 nats"


def test_an_interval_in_the_ledger_is_taken() -> None:
    ledger = _ledger()
    ledger["information_nats"]["interval"] = [2.0, 3.6]
    assert strips(ledger)[1].doubt == pytest.approx((50.0, 90.0))


def test_strips_of_a_real_ledger_fill_their_width() -> None:
    for strip in strips(toy_ledger(toy_scores())):
        assert strip.parts[-1].start + strip.parts[-1].width == pytest.approx(100.0)
        assert all(0.0 <= part.start <= 100.0 and part.width >= 0.0 for part in strip.parts)


def test_a_part_below_nothing_takes_no_room() -> None:
    """Information above the rate, by its error."""
    (whole, rate, _) = strips(_ledger(information=4.5, mismatch=-0.5))
    assert [part.width for part in rate.parts] == [100.0, 0.0]
    assert whole.parts[1].nats == -0.5
    assert whole.parts[1].width == 0.0
    assert sum(part.width for part in whole.parts) <= 100.0


def test_a_rate_of_nothing_is_not_enlarged() -> None:
    assert [strip.magnified for strip in strips(_ledger(rate=1e-5, information=1e-5, mismatch=0.0))] == [None, None]


def test_what_is_not_known_is_left_out() -> None:
    unknown = strips(_ledger(exact_entropy=None, excess=None))
    assert [part.name for part in unknown[-1].parts] == ["IW-NLL", "gap"]
    assert [part.name for part in strips(_ledger(information=None, mismatch=None))[0].parts] == ["rate", "distortion"]
    assert strips(_ledger(rate=None, neg_elbo=None)) == []
    assert [strip.title for strip in strips(_ledger(iw_nll=None, gap=None))] == ["-ELBO", "rate, enlarged"]


def test_the_equations_hold_in_a_real_ledger() -> None:
    rows = equations(toy_ledger(toy_scores()))
    assert [[term.symbol for term in row] for row in rows] == [
        ["-ELBO", "rate", "distortion"],
        ["rate", "information", "mismatch"],
        ["-ELBO", "IW-NLL", "gap"],
        ["IW-NLL", "exact NLL", "excess"],
    ]
    for whole, first, second in rows:
        assert (whole.before, first.before, second.before) == ("", "=", "+")
        assert whole.value is not None
        assert first.value is not None
        assert second.value is not None
        assert whole.value == pytest.approx(first.value + second.value, abs=1e-9)


def test_an_equation_without_all_its_terms_is_left_out() -> None:
    rows = equations(_ledger(information=None, mismatch=None, exact_entropy=None, excess=None))
    assert [row[0].symbol for row in rows] == ["-ELBO", "-ELBO"]


def test_near_its_cap_the_information_is_an_interval_and_no_part_of_a_strip() -> None:
    """Of 4 nats 2.8 are information for certain and none is mismatch for certain: 1.2 may be either."""
    ledger = _ledger()
    ledger["information_nats"] |= {"saturated": True, "interval": [2.8, 6.0]}
    ledger["mismatch_nats"] |= {"interval": [-2.0, 1.2]}
    terms = {term.symbol: term.interval for row in equations(ledger) for term in row}
    assert (terms["information"], terms["mismatch"]) == ((2.8, 6.0), (-2.0, 1.2))
    assert {terms[name] for name in ("rate", "-ELBO", "IW-NLL", "gap")} == {None}
    whole, rate, _ = strips(ledger)
    assert [part.name for part in whole.parts] == ["rate", "distortion"]
    assert [(part.name, part.nats) for part in rate.parts] == [
        ("information", 2.8),
        ("unknown which", pytest.approx(1.2)),
    ]
    assert rate.doubt is None
    ledger["information_nats"]["interval"] = [0.5, 3.0]
    assert [part.name for part in strips(ledger)[1].parts] == ["information", "unknown which", "mismatch"]
