"""The ledger's promises on records made in numpy alone: what may not matter, and what must come out."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray as Array

from tests.oracles.linear_gaussian import LinearGaussian, at_information, exact_encoder, far_prior, off_encoder
from textlatent.diagnostics.ledger import build_ledger
from textlatent.scores import Scores


def numbers(cell: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number in a ledger, with where it stands."""
    if isinstance(cell, dict):
        for name, inner in cell.items():
            yield from numbers(inner, f"{path}/{name}")
    elif isinstance(cell, list | tuple):
        for place, inner in enumerate(cell):
            yield from numbers(inner, f"{path}/{place}")
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        yield path, float(cell)


def same(one: dict, other: dict, *, but: tuple[str, ...] = ()) -> None:
    a, b = dict(numbers(one)), dict(numbers(other))
    assert a.keys() == b.keys()
    for path in a:
        if not any(name in path for name in but):
            assert a[path] == pytest.approx(b[path], rel=1e-9, abs=1e-9), path


def full(model: LinearGaussian, count: int, draws: int, *, seed: int = 0) -> tuple[Scores, torch.Tensor]:
    """Scores with counts, and exact -ln P(y)."""
    tokens = torch.from_numpy(np.random.default_rng(seed).integers(2, 30, count))
    scores = replace(model.scores(count, draws, seed=seed), tokens=tokens, words=tokens - 1, characters=5 * tokens)
    return scores, -torch.from_numpy(model.draw(count, draws, seed=seed)["exact"])


# What may not matter.


def test_the_order_of_the_sentences_is_of_no_importance() -> None:
    scores, exact = full(at_information(off_encoder, 2.0), 60, 20)
    order = torch.from_numpy(np.random.default_rng(1).permutation(60))
    same(build_ledger(scores, exact_nll=exact), build_ledger(scores.select(order), exact_nll=exact[order]))


def test_the_unit_of_z_is_of_no_importance() -> None:
    """z' = mean + scale z in each dimension, prior with it (T5): densities move, the ledger's sums do not.

    (The prior's cross-entropy and the posterior's entropy are densities' too; their difference, the rate, is not.)
    """
    model = at_information(far_prior, 2.0)
    scale, shift = np.array([0.01, 3.0, 40.0]), np.array([5.0, -2.0, 100.0])
    moved = replace(
        model,
        weight=model.weight / scale,
        bias=model.bias - model.weight @ (shift / scale),
        slope=scale[:, None] * model.slope,
        offset=scale * model.offset + shift,
        variance=scale**2 * model.variance,
        prior_mean=scale * model.prior_mean + shift,
        prior_variance=scale**2 * model.prior_variance,
    )
    one, other = model.scores(50, 10, seed=0), moved.scores(50, 10, seed=0)
    assert not torch.allclose(one.need("log_p_enc"), other.need("log_p_enc"))
    same(build_ledger(one), build_ledger(other), but=("cross_entropy_prior_nats", "posterior_entropy_nats"))


def test_the_order_of_the_dimensions_is_that_of_the_rates_alone() -> None:
    scores = at_information(off_encoder, 2.0).scores(50, 10, seed=0)
    order = torch.tensor([2, 0, 1])
    turned = {name: scores.need(name)[..., order] for name in ("kl", "z", "posterior_mean", "posterior_log_variance")}
    prior = {name: scores.need(name)[order] for name in ("prior_mean", "prior_log_variance")}
    one, other = build_ledger(scores), build_ledger(replace(scores, **turned, **prior))
    same(one, other, but=("per_dimension", "/dimensions"))
    columns = [cell["value"] for cell in one["rate_nats"]["per_dimension"]]
    assert [cell["value"] for cell in other["rate_nats"]["per_dimension"]] == [columns[d] for d in order]


def test_of_the_kept_draws_the_first_alone_is_information_s() -> None:
    """A bound has one z of each sentence; more of them, as a record may keep, are not averaged nor neighbours."""
    model = at_information(off_encoder, 2.0)
    scores, record = model.scores(40, 5, seed=0), model.draw(40, 5, seed=0)
    same(build_ledger(scores), build_ledger(replace(scores, z=torch.from_numpy(record["z"]))))


# What must come out.


def bounds_in_numpy(mean: Array, variance: Array, z: Array, rate: Array) -> Array:
    """Information and mismatch, lower and upper: their definitions, [4]."""
    density = -0.5 * ((z[:, None] - mean) ** 2 / variance + np.log(variance)).sum(-1)
    own, count = density.diagonal().copy(), len(z)
    top = density.max(1)
    lower = (own - top - np.log(np.exp(density - top[:, None]).mean(1))).mean()
    np.fill_diagonal(density, -np.inf)
    top = density.max(1)
    upper = (own - top - np.log(np.exp(density - top[:, None]).sum(1) / (count - 1))).mean()
    return np.array([lower, upper, rate.mean() - upper, rate.mean() - lower])


def test_information_and_mismatch_with_their_errors_are_those_of_numpy() -> None:
    """Each bound and each error, the sentences left out one by one and everything computed anew."""
    record = at_information(far_prior, 2.0).draw(12, 1, seed=2)
    rows = [record["posterior_mean"], np.exp(record["posterior_log_variance"]), record["z"][0], record["kl"].sum(1)]
    ledger = build_ledger(at_information(far_prior, 2.0).scores(12, 1, seed=2))
    values = bounds_in_numpy(*rows)
    without = np.array([bounds_in_numpy(*(np.delete(x, k, axis=0) for x in rows)) for k in range(12)])
    errors = np.sqrt(11 / 12 * ((without - without.mean(0)) ** 2).sum(0))
    assert len(set(errors.round(6))) == 4, "four different errors, or the test could not tell them apart"
    cells = [(ledger[key], side) for key in ("information_nats", "mismatch_nats") for side in ("lower", "upper")]
    assert [cell[side] for cell, side in cells] == pytest.approx(values.tolist(), abs=1e-9)
    assert [cell[f"{side}_se"] for cell, side in cells] == pytest.approx(errors.tolist(), abs=1e-9)


@pytest.mark.parametrize("draws", [5, 20, 80])
def test_iw_nll_at_a_finite_k_is_above_the_truth_by_its_known_bias(draws: int) -> None:
    """E IW-NLL_K = NLL + chi^2 / 2K + O(1 / K^2): paired with the exact -ln P(y), so that the bias itself is seen."""
    model = at_information(off_encoder, 2.0)
    scores, exact = full(model, 4000, draws)
    cell = build_ledger(replace(scores, z=None), exact_nll=exact)["excess_nats"]
    chi2 = np.expm1(model.log_moment(model.draw(4000, draws, seed=0)["y"])).mean()
    assert cell["value"] == pytest.approx(chi2 / (2 * draws), abs=3 * cell["se"] + 2 * (chi2 / draws) ** 2)
    if draws < 80:
        assert cell["value"] > 3 * cell["se"], "the bias must be seen"


def test_the_effective_sample_size_is_that_of_the_second_moment() -> None:
    """ESS / K tends to 1 / E (w / P(y))^2 of each sentence."""
    model = at_information(off_encoder, 2.0)
    cell = build_ledger(model.scores(100, 2000, seed=4))["iw_nll_nats"]
    share = np.exp(-model.log_moment(model.draw(100, 2000, seed=4)["y"]))
    assert cell["ess"] / 2000 == pytest.approx(share.mean(), rel=0.02)
    assert cell["ess_worst_decile"] / 2000 == pytest.approx(np.quantile(share, 0.1), rel=0.05)


def discrete(count: int, draws: int, *, seed: int) -> tuple[Scores, Array, dict[str, float]]:
    """Four sentences, three codes: a record of probabilities, exact -ln P(y), and every nat by enumeration."""
    rng = np.random.default_rng(0)
    enc = rng.dirichlet(np.ones(3), 4)  # [y, z]
    pri, world = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(4))
    dec = rng.dirichlet(np.ones(4), 3)  # [z, y]
    kl, exact = (enc * np.log(enc / pri)).sum(1), -np.log(pri @ dec)
    distortion = world @ -(enc * np.log(dec.T)).sum(1)
    truth = {"rate_nats": world @ kl, "distortion_nats": distortion, "neg_elbo_nats": world @ kl + distortion}
    posterior = (pri[:, None] * dec / (pri @ dec)).T  # [y, z]
    assert truth["neg_elbo_nats"] - world @ exact == pytest.approx(
        world @ (enc * np.log(enc / posterior)).sum(1), abs=1e-12
    )
    rng = np.random.default_rng(seed)
    y = rng.choice(4, count, p=world)
    z = (rng.random((draws, count, 1)) > enc[y].cumsum(1)[None, :, :2]).sum(-1)  # [S, B]
    rows = {"log_p_enc": np.log(enc[y, z]), "log_p_pri": np.log(pri[z]), "log_p_dec": np.log(dec[z, y])}
    scores = Scores(**{name: torch.from_numpy(x) for name, x in rows.items()}, kl=torch.from_numpy(kl[y][:, None]))
    return scores, exact[y], truth | {"iw_nll_nats": float(world @ exact)}


@pytest.mark.parametrize("closed", [True, False])
def test_a_discrete_model_by_enumeration(closed: bool) -> None:
    """Probabilities in place of densities; the rate from a table or from draws; the excess of 1,500 draws is none."""
    scores, exact, truth = discrete(800, 1500, seed=1)
    ledger = build_ledger(scores if closed else replace(scores, kl=None), exact_nll=torch.from_numpy(exact))
    for key, value in truth.items():
        assert abs(ledger[key]["value"] - value) < 3 * ledger[key]["se"], key
    assert abs(ledger["excess_nats"]["value"]) < 3 * ledger["excess_nats"]["se"] + 1e-3
    assert ledger["information_nats"]["value"] is None


def test_a_uniform_decoder_costs_ln_v_a_token_whatever_z_costs() -> None:
    """7 tokens to choose from: perplexity 7, IW-NLL T ln 7, and of -ELBO the rate more; EOS is in each divisor once."""
    tokens = torch.tensor([1, 4, 9, 2, 6])
    draws = torch.full((30, 5), math.log(0.5), dtype=torch.float64)
    scores = Scores(
        log_p_enc=draws,
        log_p_pri=draws,
        log_p_dec=(-math.log(7) * tokens.double()).expand(30, 5),
        kl=torch.zeros(5, 2, dtype=torch.float64),
        tokens=tokens,
        words=tokens - 1,
        characters=3 * tokens,
    )
    ledger = build_ledger(scores)
    assert ledger["perplexity_per_token"]["value"] == pytest.approx(7.0, rel=1e-12)
    assert ledger["perplexity_per_word"]["value"] == pytest.approx(7.0, rel=1e-12)
    assert ledger["perplexity_per_token"]["se"] == pytest.approx(0.0, abs=1e-9)
    assert ledger["bits_per_character"]["value"] == pytest.approx(22 * math.log2(7) / (66 + 5), rel=1e-12)
    assert ledger["iw_nll_nats"]["value"] == pytest.approx(22 / 5 * math.log(7), rel=1e-12)
    assert ledger["iw_nll_nats"]["ess"] == pytest.approx(30.0)
    paid = build_ledger(replace(scores, kl=torch.ones(5, 2, dtype=torch.float64)))
    assert paid["perplexity_per_token"]["value"] == pytest.approx(7.0, rel=1e-12)
    assert paid["perplexity_per_token"]["neg_elbo"]["value"] == pytest.approx(7.0 * math.exp(10 / 22), rel=1e-12)
    assert paid["gap_nats"]["value"] == pytest.approx(2.0, rel=1e-12)


def test_a_language_model_has_no_gap_and_no_information_to_speak_of() -> None:
    """D = 0: -ELBO, distortion and IW-NLL are one number with one error; what z would carry has a reason, no value."""
    model = at_information(exact_encoder, 2.0)
    scores, exact = full(model, 30, 1)
    none = torch.zeros(30, 0, dtype=torch.float64)
    zero, empty = torch.zeros(3, 30, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    record = replace(
        scores, log_p_enc=zero, log_p_pri=zero, log_p_dec=-exact.expand(3, 30), kl=none, z=none[None],
        posterior_mean=none, posterior_log_variance=none, prior_mean=empty, prior_log_variance=empty,
    )  # fmt: skip
    ledger = build_ledger(record, exact_nll=exact)
    assert ledger["rate_nats"]["value"] == 0.0
    assert ledger["rate_nats"]["per_dimension"] == []
    for key in ("distortion_nats", "neg_elbo_nats", "iw_nll_nats"):
        assert ledger[key]["value"] == pytest.approx(exact.mean().item(), abs=1e-12)
        assert ledger[key]["se"] == pytest.approx(exact.std().item() / math.sqrt(30), rel=1e-9)
    for key in ("gap_nats", "excess_nats"):
        assert ledger[key]["value"] == pytest.approx(0.0, abs=1e-12)
    for key in ("information_nats", "mismatch_nats", "active_units"):
        assert ledger[key]["value"] is None
        assert ledger[key]["why"]
