"""The curve: its hull is what some beta prefers, by enumeration over beta; points are what their ledgers say."""

import itertools
import json
import math
from dataclasses import astuple
from typing import Any

import pytest

from textlatent.diagnostics.curve import Curve, Setting, lower_hull
from textlatent.diagnostics.point import Point, read_point
from textlatent.nats.montecarlo import Estimate


def _enumerated(places: list[tuple[float, float]]) -> list[int]:
    """Who is cheapest at some beta > 0: every beta at which two of them cost the same, and one between each two."""
    pairs = itertools.permutations(places, 2)
    equal = {(e - d) / (r - s) for (r, d), (s, e) in pairs if r != s}
    positive = sorted(beta for beta in equal if beta > 0)
    ends = [0.0, *positive, (positive[-1] if positive else 1.0) + 1.0]
    betas = [*positive, *((a + b) / 2 for a, b in itertools.pairwise(ends)), ends[-1]]
    cheapest: set[int] = set()
    for beta in betas:
        costs = [beta * rate + distortion for rate, distortion in places]
        cheapest |= {i for i, cost in enumerate(costs) if math.isclose(cost, min(costs), rel_tol=1e-12, abs_tol=1e-12)}
    return sorted(cheapest, key=lambda i: places[i])


@pytest.mark.parametrize("count", [1, 2, 4, 5, 6])
def test_the_hull_is_what_some_beta_prefers(count: int) -> None:
    """On a grid of whole numbers, where equal places and three on a line are frequent."""
    grid = [(float(rate), float(distortion)) for rate in range(4) for distortion in range(4)]
    some = list(itertools.islice(itertools.product(grid, repeat=count), 0, None, max(1, 16**count // 400)))
    for places in some:
        assert lower_hull(list(places)) == _enumerated(list(places)), places


def test_a_hull_that_can_be_seen() -> None:
    """Convex, above the chord, dominated, on an edge, twice."""
    places = [(0.0, 10.0), (1.0, 9.5), (2.0, 6.0), (3.0, 6.0), (4.0, 4.0), (6.0, 2.0), (6.0, 2.0)]
    assert lower_hull(places) == [0, 2, 4, 5, 6]


def test_a_hull_needs_finite_numbers() -> None:
    with pytest.raises(ValueError, match=r"finite rates and distortions, got \(nan, 1.0\)"):
        lower_hull([(0.0, 1.0), (math.nan, 1.0)])


def _ledger(rate: float, distortion: float, **changes: Any) -> dict[str, Any]:
    cells = {"rate": rate, "distortion": distortion, "neg_elbo": rate + distortion, "iw_nll": rate + distortion - 0.25}
    ledger: dict[str, Any] = {f"{name}_nats": {"value": value, "se": 0.5} for name, value in cells.items()}
    ledger["iw_nll_nats"]["samples"] = 8
    ledger["information_nats"] = {
        "value": 1.0,
        "lower": 1.0,
        "lower_se": 0.1,
        "upper": 2.0,
        "upper_se": 0.2,
        "cap": 6.0,
    }
    ledger["active_units"] = {"value": 3.0, "se": 0.0, "of": 4}
    return ledger | {"sentences": 100} | changes


def _point(rate: float, distortion: float, *, asked: float | None, seed: int = 0, **changes: Any) -> Point:
    name = "lm" if asked is None else f"rate-{asked:g}-seed-{seed}"
    ledger = _ledger(rate, distortion, **changes)
    return read_point(ledger, name=name, asked=asked, seed=seed, beta=0.5, seconds=60.0, folder=f"points/{name}")


WITHOUT = {"value": None, "why": "the model is a language model: it has no z."}


def _curve(*points: Point, baseline: Point | None = None, exact: float | None = 9.0) -> Curve:
    here = None if exact is None else Estimate(exact + 0.1, 0.3, 100)
    return Curve("toy", "target_rate", points, baseline, exact, here, "test", ("rate-8-seed-0",), "runs/toy")


def test_a_point_is_what_its_ledger_says() -> None:
    point = _point(2.0, 8.0, asked=2.0)
    assert point.rate == Estimate(2.0, 0.5, 100)
    assert (point.neg_elbo.value, point.iw_nll.value, point.samples) == (10.0, 9.75, 8)
    assert point.information is not None
    assert astuple(point.information) == pytest.approx((1.0 - 0.196, 2.0 + 0.392, 6.0))
    assert (point.active, point.dimensions) == (3, 4)


def test_a_likelihood_that_was_summed_over_all_codes_is_kept() -> None:
    """By point, and by setting where every seed has it."""
    summed = {"marginal_nll_nats": {"value": 9.5, "se": 0.4}}
    points = [_point(2.0, 8.0, asked=2.0, seed=s, **changes) for s, changes in enumerate((summed, {}))]
    assert points[0].marginal_nll == Estimate(9.5, 0.4, 100)
    content = json.loads(json.dumps(_curve(*points).to_dict(), allow_nan=False))
    assert [row["marginal_nll_nats"] for row in content["points"]] == [{"value": 9.5, "se": 0.4}, None]
    assert content["settings"][0]["marginal_nll_nats"] is None
    alone = _curve(points[0]).to_dict()["settings"][0]["marginal_nll_nats"]
    assert alone == {"value": 9.5, "se": 0.4, "sd_over_seeds": None}
    blank = {"marginal_nll_nats": {"value": None, "why": "there are too many codes."}}
    assert _point(2.0, 8.0, asked=2.0, **blank).marginal_nll is None


def test_a_model_without_z_has_no_information_and_one_without_a_rate_no_place() -> None:
    point = _point(0.0, 10.0, asked=None, information_nats=WITHOUT, active_units=WITHOUT)
    assert (point.information, point.active) == (None, None)
    with pytest.raises(
        ValueError, match="rate-1-seed-0 has no place on a rate-distortion curve, for rate_nats: it has"
    ):
        _point(1.0, 1.0, asked=1.0, rate_nats={"value": None, "why": "it has no density."})


def test_an_error_that_one_sentence_cannot_have() -> None:
    point = _point(2.0, 8.0, asked=2.0, rate_nats={"value": 2.0, "se": None}, sentences=1)
    assert math.isnan(point.rate.se)
    assert _curve(point).to_dict()["points"][0]["rate_nats"] == {"value": 2.0, "se": None}


def test_seeds_are_gathered_with_their_mean_and_spread() -> None:
    points = [_point(rate, 8.0 - rate, asked=2.0, seed=s) for s, rate in enumerate((1.0, 2.0, 6.0))]
    (setting,) = _curve(*points).settings()
    assert setting.mean("rate") == Estimate(3.0, 0.5, 100), "more seeds are not more sentences"
    assert setting.spread("rate") == pytest.approx(math.sqrt((4.0 + 1.0 + 9.0) / 2))
    assert math.isnan(Setting(2.0, (points[0],)).spread("rate"))


def test_the_hull_is_of_the_means_and_has_the_language_model() -> None:
    """A lucky seed does not put its setting on the hull; a setting that the language model beats is above it."""
    lm = _point(0.0, 10.0, asked=None, information_nats=WITHOUT, active_units=WITHOUT)
    worse = _point(1.0, 9.9, asked=1.0)
    good = [_point(4.0, d, asked=4.0, seed=s) for s, d in enumerate((5.0, 7.0))]
    drawn = _curve(worse, *good, baseline=lm)
    assert [setting.asked for setting in drawn.hull()] == [None, 4.0]
    content = json.loads(json.dumps(drawn.to_dict(), allow_nan=False))
    assert [row["on_hull"] for row in content["points"]] == [False, True, True]
    assert content["baseline"]["on_hull"] is True
    assert [row["on_hull"] for row in content["settings"]] == [False, True]
    assert content["settings"][1]["distortion_nats"] == {
        "value": 6.0,
        "se": 0.5,
        "sd_over_seeds": pytest.approx(2**0.5),
    }
    assert content["settings"][0]["rate_nats"]["sd_over_seeds"] is None
    assert content["exact_entropy_nats"] == {"value": 9.0, "these_sentences": {"value": 9.1, "se": 0.3}}
    assert (content["axis"], content["left"]) == ("target_rate_nats", ["rate-8-seed-0"])
    assert content["baseline"]["information_nats"] is None


def test_a_corpus_whose_law_is_not_known() -> None:
    content = _curve(_point(2.0, 8.0, asked=2.0), exact=None).to_dict()
    assert content["exact_entropy_nats"] is None
    assert content["baseline"] is None
