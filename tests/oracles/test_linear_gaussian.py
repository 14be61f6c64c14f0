"""The ledger against a linear-Gaussian VAE whose every nat is known: values, bounds, and what the intervals cover."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.oracles.linear_gaussian import (
    at_information,
    exact_encoder,
    far_prior,
    gaussian_kl,
    off_encoder,
)
from textlatent.diagnostics.ledger import build_ledger
from textlatent.nats.bounds import information_bounds
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mismatch import mismatch_split

FAMILIES = (exact_encoder, off_encoder, far_prior)
LEVELS = (0.5, 2.0, 4.0, 5.6)
COUNT, DRAWS, SEEDS = 300, 50, 100  # ln 300 = 5.70: the last level is near the cap
MEANS = ("rate_nats", "distortion_nats", "neg_elbo_nats", "iw_nll_nats", "gap_nats")
BOUNDED = ("information_nats", "mismatch_nats")
REPEATED = ((exact_encoder, 0.5), (off_encoder, 2.0), (far_prior, 4.0), (off_encoder, 5.6))

family = pytest.mark.parametrize("make", FAMILIES)
level = pytest.mark.parametrize("nats", LEVELS)


@functools.cache
def ledgers(make, nats: float) -> list[dict]:  # noqa: ANN001
    model = at_information(make, nats)
    return [build_ledger(model.scores(COUNT, DRAWS, seed=seed), ladder=(1,)) for seed in range(SEEDS)]


def interval(cell: dict) -> tuple[float, float]:
    """The stated 95 %: a bounded quantity states its own, from the lower bound - 1.96 SE to the upper + 1.96 SE."""
    return tuple(cell.get("interval", (cell["value"] - 1.96 * cell["se"], cell["value"] + 1.96 * cell["se"])))


def covered(make, nats: float, key: str) -> int:  # noqa: ANN001
    truth = at_information(make, nats).truth()[key]
    return sum(low <= truth <= high for low, high in (interval(ledger[key]) for ledger in ledgers(make, nats)))


# The oracle itself.


@family
@level
def test_the_oracle_adds_up_by_ways_that_share_nothing(make, nats: float) -> None:  # noqa: ANN001
    """gap = E KL(enc || Bayes' posterior); rate by dimension; I from the joint covariance of (y, z)."""
    model = at_information(make, nats)
    truth = model.truth()
    slope, offset, covariance = model.posterior()
    shift = (slope - model.slope) @ model.world_mean + offset - model.offset
    spread = (slope - model.slope) @ model.world_covariance @ (slope - model.slope).T
    gap = gaussian_kl(shift, np.diag(model.variance), np.zeros_like(shift), covariance)
    gap += 0.5 * np.trace(np.linalg.solve(covariance, spread))
    assert truth["gap_nats"] == pytest.approx(gap, abs=1e-9)
    assert truth["rate_nats"] == pytest.approx(model.rate_per_dimension().sum(), abs=1e-9)
    cross = model.slope @ model.world_covariance
    _, aggregate = model.aggregate()
    joint = np.block([[aggregate, cross], [cross.T, model.world_covariance]])
    parts = (np.linalg.slogdet(c)[1] for c in (aggregate, model.world_covariance, joint))
    assert truth["information_nats"] == pytest.approx(np.dot((0.5, 0.5, -0.5), list(parts)), abs=1e-8)
    assert truth["information_nats"] == pytest.approx(nats, abs=1e-6)


@family
def test_the_oracle_is_what_its_own_draws_average_to(make) -> None:  # noqa: ANN001
    """Over 40,000 y in numpy alone: rate, distortion and ln P(y) are their closed forms within 4 standard errors."""
    model = at_information(make, 2.0)
    record, truth = model.draw(40_000, 1, seed=7), model.truth()
    sampled = (record["log_p_enc"] - record["log_p_pri"])[0]
    for key, x in (
        ("rate_nats", record["kl"].sum(1)),
        ("rate_nats", sampled),
        ("distortion_nats", -record["log_p_dec"][0]),
        ("iw_nll_nats", -record["exact"]),
    ):
        assert abs(x.mean() - truth[key]) < 4 * x.std() / math.sqrt(len(x)), key


def test_the_finite_k_bias_is_that_of_the_second_moment() -> None:
    """The oracle's E (w / P(y))^2 is the average over draws of Bayes' own weights."""
    model = off_encoder(3.0)
    record = model.draw(40, 20_000, seed=3)
    weights = np.exp(2 * (record["log_p_pri"] + record["log_p_dec"] - record["log_p_enc"] - record["exact"]))
    error = weights.std(0) / math.sqrt(len(weights))
    assert (error < 0.1).all()
    assert (np.abs(weights.mean(0) - np.exp(model.log_moment(record["y"]))) < 4 * error).all()


@family
@level
def test_k_is_large_enough_for_the_bias_to_drown(make, nats: float) -> None:  # noqa: ANN001
    """What E IW-NLL has above NLL at K draws, chi^2 / 2K, is below a fifth of the gap's standard error."""
    model = at_information(make, nats)
    bias = np.expm1(model.log_moment(model.draw(4000, 1, seed=5)["y"])).mean() / (2 * DRAWS)
    error = build_ledger(model.scores(COUNT, DRAWS, seed=0), ladder=(1,))["gap_nats"]["se"]
    assert -1e-12 <= bias < 0.2 * error


# The ledger.


@family
@level
def test_every_nat_is_its_closed_form(make, nats: float) -> None:  # noqa: ANN001
    model = at_information(make, nats)
    ledger, truth = build_ledger(model.scores(1000, DRAWS, seed=0)), model.truth()
    for key in MEANS:
        assert abs(ledger[key]["value"] - truth[key]) < 3 * ledger[key]["se"], key
    for key in BOUNDED:
        cell = ledger[key]
        assert cell["lower"] - 3 * cell["lower_se"] < truth[key] < cell["upper"] + 3 * cell["upper_se"], key
    by_dimension = zip(ledger["rate_nats"]["per_dimension"], model.rate_per_dimension(), strict=True)
    assert all(abs(cell["value"] - rate) < 3 * cell["se"] for cell, rate in by_dimension)


@pytest.mark.parametrize(("make", "nats"), REPEATED)
def test_the_intervals_cover_the_truth(make, nats: float) -> None:  # noqa: ANN001
    """Of 100 corpora at least 90, for every quantity (95 expected; more where two bounds lie apart)."""
    counts = {key: covered(make, nats, key) for key in MEANS + BOUNDED}
    assert min(counts.values()) >= 90, counts


@pytest.mark.parametrize(("make", "nats"), REPEATED)
def test_over_all_corpora_nothing_is_off(make, nats: float) -> None:  # noqa: ANN001
    """Means over the corpora: a bias of half a standard error of one ledger would show ten times over."""
    truth = at_information(make, nats).truth()

    def average(key: str, side: str = "value") -> tuple[float, float]:
        values = np.array([ledger[key][side] for ledger in ledgers(make, nats)])
        return values.mean() - truth[key], values.std(ddof=1) / math.sqrt(SEEDS)

    for key in MEANS:
        off, error = average(key)
        allowed = 0.2 * ledgers(make, nats)[0][key]["se"] if key in ("iw_nll_nats", "gap_nats") else 0.0
        assert abs(off) < 4 * error + allowed, key
    for key in BOUNDED:
        (below, below_error), (above, above_error) = average(key, "lower"), average(key, "upper")
        assert below < 4 * below_error
        assert above > -4 * above_error
        assert above > below
    for key in BOUNDED:
        cell = ledgers(make, nats)[0][key]
        ends = (cell["lower"] - 1.96 * cell["lower_se"], cell["upper"] + 1.96 * cell["upper_se"])
        assert interval(cell) == pytest.approx(ends, abs=1e-12)


@pytest.mark.parametrize(("make", "nats"), REPEATED)
def test_information_is_capped_to_the_digit_and_never_above_the_rate(make, nats: float) -> None:  # noqa: ANN001
    """The SE is the mismatch's, of a difference on the same sentences; 3 of 100 beyond 3 SE are 1 chance in 2,500."""
    above = 0
    for ledger in ledgers(make, nats):
        information, mismatch = ledger["information_nats"], ledger["mismatch_nats"]
        assert information["cap"] == math.log(COUNT)
        assert information["lower"] <= math.log(COUNT)
        assert information["lower"] <= information["upper"]
        assert mismatch["upper"] == pytest.approx(ledger["rate_nats"]["value"] - information["lower"], abs=1e-12)
        above += mismatch["upper"] < -3 * mismatch["upper_se"]
    assert above <= 2


def test_beyond_the_cap_only_the_upper_bound_knows() -> None:
    """At 8 nats 300 sentences show no more than 5.70: the interval must reach the truth all the same."""
    model = at_information(off_encoder, 8.0)
    for seed in range(5):
        cell = build_ledger(model.scores(COUNT, 1, seed=seed))["information_nats"]
        assert cell["lower"] + 3 * cell["lower_se"] < 8.0
        assert cell["lower"] <= math.log(COUNT)
        assert cell["upper"] + 1.96 * cell["upper_se"] > 8.0


@pytest.mark.parametrize("others", ["of the same world", "of a world elsewhere", "memorised"])
def test_posteriors_of_other_sentences_in_the_mixture_leave_the_truth_between(others: str) -> None:
    """300 more components about 100 sentences of 4 nats: closer where they are of one world, and right where not."""
    model = at_information(off_encoder, 4.0)
    world = {
        "of the same world": model,
        "of a world elsewhere": replace(
            model, world_mean=model.world_mean + np.sqrt(model.world_covariance.diagonal())
        ),
        "memorised": replace(model, variance=0.05 * model.variance),
    }[others]
    alone, enlarged = [], []
    for seed in range(40):
        mine, theirs = model.scores(100, 1, seed=seed), world.scores(300, 1, seed=1000 + seed)
        posteriors = (mine.need("posterior_mean"), mine.need("posterior_log_variance"), mine.need("z")[0])
        more = DiagonalGaussian(theirs.need("posterior_mean"), theirs.need("posterior_log_variance"))
        alone.append(information_bounds(*posteriors))
        enlarged.append(information_bounds(*posteriors, others=more))
    lower, upper = (np.array([getattr(b, side).value for b in enlarged]) for side in ("lower", "upper"))
    assert lower.mean() < 4.0 + 4 * lower.std() / math.sqrt(40)
    assert upper.mean() > 4.0 - 4 * upper.std() / math.sqrt(40)
    assert sum(b.interval[0] <= 4.0 <= b.interval[1] for b in enlarged) >= 36
    assert {b.cap for b in enlarged} == {math.log(400)}
    if others == "of the same world":
        assert (upper - lower).mean() < 0.5 * np.mean([b.upper.value - b.lower.value for b in alone])


@pytest.mark.parametrize("evaluated", [1000, 60])
def test_the_mismatch_splits_into_total_correlation_and_dimensions(evaluated: int) -> None:
    """An encoder that mixes its dimensions: each part and each dimension is in its interval in 90 of 100 corpora."""
    model = at_information(far_prior, 0.8)
    model = replace(model, slope=np.array([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.7, -0.3, 0.4]]) @ model.slope)
    truth, dimensions = model.truth(), model.mismatch_per_dimension()
    assert truth["total_correlation"] > 0.05
    parts = np.array([truth["mismatch_nats"], truth["total_correlation"], dimensions.sum(), *dimensions])
    covered = np.zeros(len(parts))
    for seed in range(SEEDS):
        scores = model.scores(120, 1, seed=seed)
        posterior, z = DiagonalGaussian(scores.need("posterior_mean"), scores.need("posterior_log_variance")), scores.z
        bounds = information_bounds(posterior.mean, posterior.log_variance, z[0])
        split = mismatch_split(scores.need("kl"), posterior, z[0], information=bounds, evaluated=evaluated)
        ends = [part.interval for part in (split.whole, split.total_correlation, split.dimensions)]
        ends += [part.interval for part in split.per_dimension]
        covered += [low <= part <= high for (low, high), part in zip(ends, parts, strict=True)]
        assert split.point.value + split.dimensions.upper.value == pytest.approx(split.whole.upper.value, abs=1e-12)
    assert covered.min() >= 90, covered


def test_the_coverage_test_can_fail() -> None:
    """Twice the nats, or errors a third of what they are: far fewer than 90 of 100."""
    truth = at_information(off_encoder, 2.0).truth()
    for key in MEANS + BOUNDED:
        narrow = [abs(led[key]["value"] - truth[key]) < 1.96 / 3 * led[key]["se"] for led in ledgers(off_encoder, 2.0)]
        assert sum(narrow) < 80, key


def test_a_constant_posterior_away_from_the_prior_pays_a_rate_for_nothing() -> None:
    """A = 0: the information is 0 to the digit and all of the rate is mismatch."""
    model = off_encoder(2.0)
    model = replace(model, slope=0 * model.slope, offset=np.array([1.0, -0.5, 0.2]))
    ledger, truth = build_ledger(model.scores(100, DRAWS, seed=0)), model.truth()
    assert truth["information_nats"] == pytest.approx(0.0, abs=1e-12)
    for side in ("lower", "upper"):
        assert ledger["information_nats"][side] == pytest.approx(0.0, abs=1e-12)
        assert ledger["mismatch_nats"][side] == pytest.approx(truth["rate_nats"], abs=1e-12)
    assert ledger["rate_nats"]["se"] < 1e-12
