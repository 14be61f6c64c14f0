"""Comparisons of Scores made by hand: means, paired differences and both their errors as numpy computes them."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from textlatent.diagnostics.comparison import Comparison, compare_members, what_differs
from textlatent.diagnostics.contender import Contender, Measure, Member
from textlatent.scores import Scores

COUNT, DRAWS = 40, 2
KNOWN = {"value": 1.0, "lower": 1.0, "lower_se": 0.1, "upper": 2.0, "upper_se": 0.2, "cap": 3.0}
LEDGER = {"information_nats": KNOWN, "active_units": {"value": 3.0, "se": 0.0, "of": 4}}
WITHOUT = {"value": None, "why": "it has no z."}
SENTENCE = np.random.default_rng(0).normal(20.0, 5.0, COUNT)  # how hard each sentence is, for every model
NOISE = np.random.default_rng(1).normal(0.0, 1.0, (8, COUNT))


def _scores(rate: np.ndarray, distortion: np.ndarray, **changes: Any) -> Scores:
    """Rate and distortion as given; every weight of a sentence is the same, so that IW-NLL = -ELBO less 0."""
    rates, costs = (torch.tensor(x, dtype=torch.float64) for x in (rate, distortion))
    fields: dict[str, Any] = {
        "log_p_enc": rates.expand(DRAWS, COUNT),
        "log_p_pri": torch.zeros(DRAWS, COUNT, dtype=torch.float64),
        "log_p_dec": -costs.expand(DRAWS, COUNT),
        "kl": rates[:, None] / 2 * torch.ones(1, 2, dtype=torch.float64),
        "index": torch.arange(COUNT),
        "words": torch.arange(COUNT) % 5 + 1,
        "characters": torch.arange(COUNT) + 9,
    }
    return Scores(**(fields | changes))


def _member(name: str, row: int, *, seed: int = 0, more: float = 0.0, **of_member: Any) -> Member:
    rate, distortion = 2.0 + 0.1 * NOISE[row], SENTENCE + 0.3 * NOISE[row] + more
    return Member(name, seed, _scores(rate, distortion), LEDGER, **of_member)


def _compare(**groups: list[Member]) -> Comparison:
    return compare_members(groups, reference=next(iter(groups)))


def test_a_mean_and_a_paired_difference_are_numpys() -> None:
    found = _compare(a=[_member("a", 0)], b=[_member("b", 1, more=0.5)])
    one, other = found.contenders
    distortion = [SENTENCE + 0.3 * NOISE[0], SENTENCE + 0.3 * NOISE[1] + 0.5]
    measure = one.measure("distortion")
    assert measure.value == pytest.approx(distortion[0].mean())
    assert measure.se == pytest.approx(distortion[0].std(ddof=1) / np.sqrt(COUNT))
    assert math.isnan(measure.sd_over_seeds)
    difference = other.difference(one, "distortion")
    apart = distortion[1] - distortion[0]
    assert difference.value == pytest.approx(apart.mean())
    assert difference.se == pytest.approx(apart.std(ddof=1) / np.sqrt(COUNT))
    assert difference.se < measure.se / 5, "what all models find hard cancels"
    assert difference.interval == pytest.approx(
        (apart.mean() - 1.96 * difference.se, apart.mean() + 1.96 * difference.se)
    )
    for name, rate in (("rate", 1), ("neg_elbo", 2)):
        expected = 0.1 * (NOISE[1] - NOISE[0]) + (apart if rate == 2 else 0.0)
        assert other.difference(one, name).value == pytest.approx(expected.mean()), name


def test_iw_nll_is_the_log_of_the_mean_weight() -> None:
    log_p_dec = -torch.tensor(np.stack([SENTENCE, SENTENCE + 2.0]))
    scores = _scores(np.zeros(COUNT), SENTENCE, log_p_dec=log_p_dec)
    contender = Contender("a", (Member("a", 0, scores, LEDGER),))
    expected = -np.log(np.mean([np.exp(-SENTENCE), np.exp(-SENTENCE - 2.0)], axis=0))
    assert contender.measure("nll").value == pytest.approx(expected.mean())
    words = np.arange(COUNT) % 5 + 2  # EOS is a word
    assert contender.perplexity is not None
    assert contender.perplexity.value == pytest.approx(np.exp(expected.sum() / words.sum()))


def test_seeds_have_an_error_of_their_own() -> None:
    """The mean over seeds sentence by sentence; sd and se over the seeds' means; both errors in the interval."""
    found = _compare(a=[_member(f"a{s}", s, seed=s, more=s) for s in range(3)], b=[_member("b0", 3), _member("b1", 4)])
    one, other = found.contenders
    each = np.stack([SENTENCE + 0.3 * NOISE[s] + s for s in range(3)])
    measure = one.measure("distortion")
    assert measure.value == pytest.approx(each.mean())
    assert measure.se == pytest.approx(each.mean(0).std(ddof=1) / np.sqrt(COUNT))
    assert measure.sd_over_seeds == pytest.approx(each.mean(1).std(ddof=1))
    assert measure.se_over_seeds == pytest.approx(each.mean(1).std(ddof=1) / np.sqrt(3))
    theirs = np.stack([SENTENCE + 0.3 * NOISE[s] for s in (3, 4)])
    difference = other.difference(one, "distortion")
    over_seeds = np.hypot(each.mean(1).std(ddof=1) / np.sqrt(3), theirs.mean(1).std(ddof=1) / np.sqrt(2))
    over_sentences = (theirs.mean(0) - each.mean(0)).std(ddof=1) / np.sqrt(COUNT)
    assert (difference.se, difference.se_over_seeds) == pytest.approx((over_sentences, over_seeds))
    assert difference.total_se == pytest.approx(np.hypot(over_sentences, over_seeds))
    assert difference.seeds == 2


def test_one_seed_against_several_is_told_by_what_is_known() -> None:
    found = _compare(a=[_member("a0", 0), _member("a1", 1, more=1.0)], b=[_member("b", 2)])
    difference = found.contenders[1].difference(found.contenders[0], "distortion")
    assert math.isnan(difference.se_over_seeds)
    assert difference.total_se == difference.se


def test_the_best_and_all_that_are_not_told_from_it() -> None:
    """b is 0.01 above a with noise of 0.3: not told apart. c is 1 above: told apart. A copy of a is as good as a."""
    found = _compare(
        a=[_member("a", 0)], b=[_member("b", 1, more=0.01)], c=[_member("c", 2, more=1.0)], d=[_member("d", 0)]
    )
    for name in ("neg_elbo", "nll"):
        assert [each.name for each in found.best(name)] == ["a", "b", "d"]
    columns = found.values().columns
    marked = {row[0].text: [columns[i] for i, cell in enumerate(row) if cell.best] for row in found.values().rows}
    assert marked == {name: ["-ELBO", "NLL", "perplexity per word"] * (name != "c") for name in "abcd"}


def test_seeds_that_spread_widely_leave_nothing_told_apart() -> None:
    found = _compare(
        a=[_member("a0", 0), _member("a1", 0, more=3.0)], b=[_member("b0", 1, more=2.0), _member("b1", 1, more=4.0)]
    )
    assert [each.name for each in found.best("neg_elbo")] == ["a", "b"]
    alone = _compare(a=[_member("a0", 0, more=1.5)], b=[_member("b0", 1, more=3.0)])
    assert [each.name for each in alone.best("neg_elbo")] == ["a"], "one seed each: only the sentences are known"


def test_what_else_is_shown_of_a_group() -> None:
    more = {"information_nats": KNOWN | {"lower": 0.5, "upper": 2.5}, "active_units": {"value": 4.0, "of": 4}}
    one = _member("a0", 0, verdict="healthy", minutes=1.0)
    two = Member("a1", 1, _member("a1", 1).scores, more, verdict="collapsed", minutes=2.0)
    lm = Member("lm", 0, _member("lm", 2).scores, {"information_nats": WITHOUT, "active_units": WITHOUT})
    found = _compare(a=[one, two], healthy=[one], lm=[lm])
    group, single, without = found.contenders
    assert group.information is not None
    assert (group.information.low, group.information.high) == pytest.approx((0.5 - 0.196, 2.5 + 0.392))
    assert (group.active, group.minutes, group.verdict) == ((3.5, 4), 1.5, "1 healthy, 1 collapsed")
    assert single.verdict == "healthy"
    assert (without.information, without.active, without.minutes, without.verdict) == (None, None, None, "")
    rows = {row[0]: row for row in found.values().texts()}
    assert rows["a"][-4:] == ("[0.30, 2.89]", "3.5 of 4", "1 healthy, 1 collapsed", "1.5")
    assert rows["lm"][-4:] == ("-", "-", "-", "-")
    assert (rows["a"][1], rows["lm"][1]) == ("2", "1")


def test_tables_and_numbers() -> None:
    found = _compare(a_1=[_member("a_1", 0)], b=[_member("b", 1, more=0.5)])
    (row,) = found.differences().rows
    difference = found.contenders[1].difference(found.contenders[0], "neg_elbo")
    low, high = difference.interval
    assert row[3].text == f"{difference.value:+.3f} ± {difference.se:.3f} [{low:+.3f}, {high:+.3f}]"
    assert r"| a\_1 |" in found.to_markdown()
    assert r"a\_1 & " in found.to_latex()
    assert found.to_latex().count(r"\toprule") == 2
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (content["reference"], content["sentences"], content["samples"]) == ("a_1", COUNT, DRAWS)
    first, second = content["contenders"]
    assert first["difference"]["rate_nats"]["value"] == 0.0
    assert second["difference"]["neg_elbo_nats"]["value"] == pytest.approx(difference.value)
    assert first["neg_elbo_nats"]["best"] is True
    assert second["neg_elbo_nats"]["best"] is False
    assert first["rate_nats"]["sd_over_seeds"] is None


def test_no_minus_before_a_zero() -> None:
    ledger = LEDGER | {"information_nats": KNOWN | {"lower": -0.001, "lower_se": 0.0}}
    found = _compare(a=[Member("a", 0, _member("a", 0).scores, ledger)], b=[_member("b", 1)])
    assert "[0.00, 2.39]" in found.values().texts()[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"index": torch.arange(COUNT) + 1}, "they hold other sentences: index differs"),
        ({"words": torch.arange(COUNT)}, "they hold other sentences: words differs"),
        ({"characters": None}, "they hold other sentences: characters differs"),
        ({"log_p_dec": torch.zeros(3, COUNT)}, "IW-NLL was taken with K = 2 in one, K = 3 in the other"),
    ],
)
def test_scores_that_cannot_be_paired(changes: dict[str, Any], reason: str) -> None:
    one = _scores(np.ones(COUNT), SENTENCE)
    other = _scores(np.ones(COUNT), SENTENCE, **changes)
    assert what_differs(one, one) is None
    assert what_differs(one, other) == reason
    with pytest.raises(ValueError, match=f"a and b cannot be compared: {reason}"):
        _compare(a=[Member("a", 0, one, LEDGER)], b=[Member("b", 0, other, LEDGER)])


def test_fewer_sentences() -> None:
    one = _scores(np.ones(COUNT), SENTENCE)
    assert what_differs(one, one.select(torch.arange(7))) == "one holds 40 sentences, the other 7"


def test_what_is_undefined_is_called_so_and_never_best() -> None:
    """Points have a distortion alone (THEORY T6d): beside a model with a rate, no number stands for the others."""
    points = _scores(np.ones(COUNT), SENTENCE - 9.0, kl=None, log_p_enc=None, log_p_pri=None)
    nothing = {"information_nats": WITHOUT, "active_units": WITHOUT}
    found = _compare(a=[_member("a", 0)], points=[Member("points", 0, points, nothing)])
    row = dict(zip(found.values().columns, found.values().texts()[1], strict=True))
    assert [row[name] for name in ("rate", "-ELBO", "NLL", "perplexity per word")] == [*["undefined"] * 3, "-"]
    assert row["distortion"].startswith(f"{(SENTENCE - 9.0).mean():.2f}")
    assert [each.name for each in found.best("neg_elbo")] == ["a"]
    assert "undefined" in found.differences().texts()[0]
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))["contenders"][1]
    assert told["rate_nats"]["value"] is None
    alone = _compare(one=[Member("one", 0, points, nothing)], two=[Member("two", 0, points, nothing)])
    assert alone.best("neg_elbo") == []


def test_codes_stand_where_dimensions_do() -> None:
    """A codebook's row beside a Gaussian's: its codes in the column of units, its bound in that of -ELBO."""
    codes = {"information_nats": WITHOUT, "active_units": WITHOUT, "codes_used": {"value": 15.0, "of": 16}}
    bound = _scores(np.ones(COUNT), SENTENCE + 1.0)
    found = _compare(a=[_member("a", 0)], vq=[Member("vq", 0, bound, codes)])
    rows = [dict(zip(found.values().columns, row, strict=True)) for row in found.values().texts()]
    assert rows[1]["active units"] == "15 of 16 codes"
    assert "codes" not in rows[0]["active units"]
    told = found.to_dict()["contenders"]
    assert (told[0]["codes_used"], told[1]["codes_used"]) == (None, {"value": 15.0, "of": 16})


def test_codes_may_have_another_number_of_draws() -> None:
    """One draw of codes beside two of a Gaussian: the same numbers as with two; two Gaussians must still agree."""
    codes = torch.zeros(1, COUNT, 3, dtype=torch.int64)
    bound = _scores(np.ones(COUNT), SENTENCE + 1.0, codes=codes, log_p_enc=torch.zeros(2, COUNT))
    one = replace(bound, log_p_enc=torch.zeros(1, COUNT), **{
        name: bound.need(name)[:1] for name in ("log_p_pri", "log_p_dec")})  # fmt: skip
    nothing = {"information_nats": WITHOUT, "active_units": WITHOUT}
    gaussian = _member("a", 0)
    assert what_differs(one, gaussian.scores) is None
    found = [_compare(vq=[Member("vq", 0, each, nothing)], a=[gaussian]) for each in (one, bound)]
    assert found[0].to_dict()["contenders"][0]["nll_nats"] == found[1].to_dict()["contenders"][0]["nll_nats"]
    draws = gaussian.scores.need("log_p_dec").shape[0]
    assert found[0].to_dict()["samples"] == draws
    fewer = replace(gaussian.scores, **{
        name: gaussian.scores.need(name)[:1] for name in ("log_p_enc", "log_p_pri", "log_p_dec")})  # fmt: skip
    with pytest.raises(ValueError, match="IW-NLL was taken with K ="):
        _compare(vq=[Member("vq", 0, one, nothing)], a=[gaussian], b=[Member("b", 0, fewer, nothing)])


def test_an_interval_over_few_seeds_is_one() -> None:
    """Two recipes of the same mean, 3 seeds each that spread by a nat: 0 is covered in 95 of 100 pairs, not in 88."""
    rng, held, narrow = np.random.default_rng(5), 0, 0
    for _ in range(400):
        spread = rng.normal(0.0, 1.0, 6)
        groups = [
            [Member(f"{name}{s}", s, _scores(np.ones(COUNT), SENTENCE + spread[3 * g + s]), LEDGER) for s in range(3)]
            for g, name in enumerate("ab")
        ]
        found = Contender("b", tuple(groups[1])).difference(Contender("a", tuple(groups[0])), "distortion")
        held += found.interval[0] <= 0.0 <= found.interval[1]
        narrow += abs(found.value) <= 1.96 * found.total_se
    assert held >= 0.95 * 400 - 3 * np.sqrt(400 * 0.95 * 0.05)
    assert narrow < held


def test_the_reach_of_two_and_three_seeds() -> None:
    """Seeds alone (every sentence spreads alike): t of 2 degrees is 4.303, of Welch and Satterthwaite's between."""
    members = [Member(f"a{s}", s, _scores(np.ones(COUNT), SENTENCE + s), LEDGER) for s in range(3)]
    one = Contender("a", tuple(members)).measure("distortion")
    assert one.degrees_over_seeds == 2.0
    alone = Measure(0.0, 0.0, 1.0, 1.0 / np.sqrt(3), 2.0, 3)
    assert alone.interval == pytest.approx((-4.303 / np.sqrt(3), 4.303 / np.sqrt(3)), rel=1e-3)
    known = Measure(0.0, 100.0, 1.0, 1.0, 2.0, 3)
    assert known.interval[1] == pytest.approx(1.96 * known.total_se)


def test_a_bound_that_still_falls_is_named() -> None:
    """IW-NLL at this K is above the NLL where the ledger says so: the table must not pass it on in silence."""
    falling = LEDGER | {"iw_nll_nats": {"converged": False}}
    found = _compare(a=[_member("a", 0)], b=[Member("b", 0, _member("b", 1).scores, falling)])
    assert found.values().caption.endswith(" IW-NLL not converged in K, -ln P(y) is lower: b.")
    told = found.to_dict()["contenders"]
    assert [each["nll_nats"]["still_falls"] for each in told] == [False, True]
    assert "not converged" not in _compare(a=[_member("a", 0)], c=[_member("c", 2)]).values().caption


def _summed(name: str, row: int, *, less: float, seed: int = 0, keep: bool = True) -> Member:
    """A run of codes whose -ln P(y) lies `less` below its bound; `keep` it by sentence, or in the ledger alone."""
    bound = _member(name, row, seed=seed)
    codes = torch.zeros(1, COUNT, 3, dtype=torch.int64)
    densities = {"log_p_enc": torch.zeros(DRAWS, COUNT).double(), "log_p_pri": -bound.scores.need("log_p_enc")}
    scores = replace(bound.scores, codes=codes, **densities)
    log_p = less - scores.neg_elbo()
    cell = {"value": -log_p.mean().item(), "se": 0.5}
    kept = replace(scores, log_marginal=log_p if keep else None)
    return Member(name, seed, kept, LEDGER | {"marginal_nll_nats": cell})


def test_a_likelihood_that_is_exact_is_what_is_paired_and_marked() -> None:
    """Codes whose bound is above a Gaussian's and whose -ln P(y) is below: the NLL, its pairs, perplexity, best."""
    gaussian = _member("a", 1, more=-1.0)
    found = _compare(a=[gaussian], vq=[_summed("vq", 2, less=2.0)])
    a, vq = found.contenders
    exact = 2.0 + 0.1 * NOISE[2] + SENTENCE + 0.3 * NOISE[2] - 2.0
    bound = a.per_sentence("nll").numpy()
    assert vq.measure("nll").value == pytest.approx(exact.mean())
    apart = exact - bound
    difference = vq.difference(a, "nll")
    assert (difference.value, difference.se) == pytest.approx((apart.mean(), apart.std(ddof=1) / np.sqrt(COUNT)))
    assert [each.name for each in found.best("nll")] == ["vq"]
    assert [each.name for each in found.best("neg_elbo")] == ["a"]
    words = np.arange(COUNT) % 5 + 2
    assert vq.perplexity is not None
    assert vq.perplexity.value == pytest.approx(np.exp(exact.sum() / words.sum()))
    assert "; NLL: -ln P(y), summed over every z, of vq, IW-NLL with K = 2 of the others;" in found.values().caption
    told = found.to_dict()["contenders"]
    assert [each["nll_nats"]["exact"] for each in told] == [False, True]
    alone = _compare(vq=[_summed("vq", 2, less=2.0)], other=[_summed("other", 3, less=1.0)])
    assert "; NLL: -ln P(y), summed over every z;" in alone.values().caption


def test_an_exact_likelihood_needs_no_draws() -> None:
    """Classes, which are no codes: 1 row beside another's 2."""
    one = _scores(np.ones(COUNT), SENTENCE, log_p_dec=torch.zeros(1, COUNT), log_p_enc=torch.zeros(1, COUNT),
                  log_p_pri=torch.zeros(1, COUNT))  # fmt: skip
    assert what_differs(one, _member("a", 0).scores) is not None
    assert what_differs(replace(one, log_marginal=torch.zeros(COUNT)), _member("a", 0).scores) is None


def test_what_was_summed_and_not_kept_is_told() -> None:
    """Scores of before the field: the bound is compared, the ledger's number named; so for a group of one such seed."""
    old, new = _summed("vq0", 2, less=2.0, keep=False), _summed("vq1", 2, less=2.0, seed=1)
    for group in ([old], [old, new]):
        found = _compare(a=[_member("a", 0)], vq=group)
        vq = found.contenders[1]
        assert vq.measure("nll").value == pytest.approx(vq.measure("neg_elbo").value)
        assert f"(evaluate them again): vq {vq.marginal.value:.2f} ± 0.50 when summed." in found.values().caption
    assert "evaluate them again" not in _compare(a=[_member("a", 0)], vq=[new]).values().caption


def test_seeds_of_an_exact_likelihood_spread_by_it() -> None:
    """Two seeds whose bounds are alike and whose -ln P(y) are a nat apart."""
    found = _compare(vq=[_summed("vq0", 2, less=2.0), _summed("vq1", 2, less=1.0, seed=1)], a=[_member("a", 0)])
    assert found.contenders[0].measure("nll").sd_over_seeds == pytest.approx(0.5**0.5)
    assert found.contenders[0].measure("neg_elbo").sd_over_seeds == pytest.approx(0.0)
