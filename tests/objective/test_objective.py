"""The loss and its terms by hand, its state, and that no cut of a batch changes its gradient."""

import json
import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from tests.tiny import SENTENCES, batch, vae
from textlatent.objective.floor import FLOORS
from textlatent.objective.objective import Objective, Terms
from textlatent.scores import Scores

KL = torch.tensor([[0.5, 1.5], [0.25, 0.0], [1.0, 2.0]], dtype=torch.float64)  # rates 2, 0.25, 3
DEC = torch.tensor([[-10.0, -20.0, -30.0], [-14.0, -20.0, -26.0]], dtype=torch.float64)  # distortions 12, 20, 28
SCORES = Scores(kl=KL, log_p_dec=DEC, tokens=torch.tensor([4, 5, 6]))


def test_terms_by_hand() -> None:
    """Sums over sentences: rate 5.25, distortion 60, loss 0.5 * 5.25 + 2 * 60."""
    terms = Objective(beta=0.5, lam=2.0)(SCORES, 0)
    assert terms.loss == 0.5 * 5.25 + 120.0
    assert terms.rate == 5.25
    assert terms.distortion == 60.0
    assert terms.kl.tolist() == [1.75, 3.5]
    assert terms.count == 3
    assert terms.tokens == 15
    assert terms.loss.dtype == terms.rate.dtype == torch.float64


def test_at_its_defaults_it_is_the_negative_elbo() -> None:
    assert Objective()(SCORES, 7).loss == SCORES.neg_elbo().sum()
    assert torch.equal(Objective().final_loss(SCORES), SCORES.neg_elbo())


def test_both_names_of_the_one_weight() -> None:
    """beta R + D and R + lam D agree up to scale at beta = 1 / lam (THEORY T1)."""
    one, other = Objective(beta=0.25)(SCORES, 0).loss, Objective(lam=4.0)(SCORES, 0).loss
    torch.testing.assert_close(one, other / 4.0, rtol=0, atol=1e-13)


def test_the_sampled_rate_where_there_is_no_closed_form() -> None:
    scores = Scores(log_p_enc=DEC + 3.0, log_p_pri=DEC, log_p_dec=DEC)
    terms = Objective()(scores, 0)
    assert terms.rate == pytest.approx(9.0, abs=1e-13)
    assert terms.kl.shape == (0,)
    assert terms.tokens == 0


def test_the_gradient_is_the_weights() -> None:
    """d loss / d kl = beta, d loss / d ln P_dec = -lam / S; the logged sums carry no graph."""
    kl, dec = KL.clone().requires_grad_(), DEC.clone().requires_grad_()
    terms = Objective(beta=0.3, lam=2.0)(Scores(kl=kl, log_p_dec=dec), 0)
    terms.loss.backward()
    assert torch.equal(kl.grad, torch.full_like(KL, 0.3))
    assert torch.equal(dec.grad, torch.full_like(DEC, -1.0))
    assert not any(each.requires_grad for each in (terms.rate, terms.distortion, terms.kl))


def test_a_penalty_is_added_to_the_loss_alone() -> None:
    scores = Scores.from_dict(SCORES.to_dict() | {"penalty": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)})
    plain, with_penalty = Objective(beta=0.5)(SCORES, 0), Objective(beta=0.5)(scores, 0)
    assert with_penalty.loss == plain.loss + 6.0
    assert (with_penalty.rate, with_penalty.distortion) == (plain.rate, plain.distortion)


def test_beta_follows_its_schedule_and_the_rest_does_not() -> None:
    """Linear from 0 to 2 over 4 steps: loss = beta * 5.25 + 60."""
    objective = Objective(beta=2.0, schedule="linear", schedule_steps=4)
    losses = [objective(SCORES, step).loss.item() for step in range(6)]
    assert losses == [60.0 + beta * 5.25 for beta in (0.0, 0.5, 1.0, 1.5, 2.0, 2.0)]
    assert [objective.settled(step) for step in range(6)] == [False] * 4 + [True] * 2
    assert Objective(beta=3.0).settled(0)
    torch.testing.assert_close(objective.final_loss(SCORES), 2.0 * SCORES.rate() + SCORES.distortion())


def test_cycles_and_ramp_reach_the_schedule() -> None:
    objective = Objective(schedule="cyclical", schedule_steps=8, cycles=2, ramp=1.0, beta_start=0.2)
    assert [objective.beta(step) for step in range(9)] == pytest.approx([0.2, 0.4, 0.6, 0.8] * 2 + [1.0])


def test_the_raw_rate_is_logged_under_a_floor() -> None:
    """Floor of 1 nat per dimension: 1 + 1.5, 1 + 1, 1 + 2 are charged, 5.25 is reported."""
    terms = Objective(beta=2.0, free_nats=1.0)(SCORES, 0)
    assert terms.loss == 2.0 * 7.5 + 60.0
    assert terms.rate == 5.25
    assert terms.kl.tolist() == [1.75, 3.5]


def test_the_floor_on_the_mean_uses_a_decaying_mean_over_sentences() -> None:
    """Two observed steps: sums [2, 30] over 10, then [4, 0] over 5, decay 0.9: means 5.8 / 14 and 27 / 14."""
    objective = Objective(free_nats=0.5, free_nats_on="batch_dimension")
    assert objective(SCORES, 0).loss == 3 * 2 * 0.5 + 60.0
    objective.observe(rate=32.0, kl=torch.tensor([2.0, 30.0]), count=10)
    objective.observe(rate=4.0, kl=torch.tensor([4.0, 0.0]), count=5)
    mean = objective.running_kl / objective.running_count
    assert mean.tolist() == pytest.approx([5.8 / 14, 27 / 14], abs=1e-14)
    assert objective(SCORES, 2).loss == pytest.approx(3 * 0.5 + 3.5 + 60.0, abs=1e-13)


def test_validation_takes_the_floor_on_its_own_mean() -> None:
    """Means 1.75 / 3 and 3.5 / 3 against 1 nat: the first dimension is charged 1, the second its KL."""
    objective = Objective(beta=2.0, free_nats=1.0, free_nats_on="batch_dimension")
    expected = 2.0 * (1.0 + KL[:, 1]) + SCORES.distortion()
    torch.testing.assert_close(objective.final_loss(SCORES), expected, rtol=0, atol=1e-13)


def test_a_target_rate_finds_beta() -> None:
    """Rate 4 where 2 is asked for: ln beta rises by its gain, and the loss at the next step uses it."""
    objective = Objective(target_rate=2.0, target_gain=0.1, beta_start=0.5)
    assert objective.beta(0) == 0.5
    objective.observe(rate=12.0, kl=torch.tensor([6.0, 6.0]), count=3)
    assert objective.beta(1) == pytest.approx(0.5 * math.exp(0.1), rel=1e-14)
    assert objective(SCORES, 1).loss == pytest.approx(objective.beta(1) * 5.25 + 60.0, abs=1e-12)
    assert objective.settled(0)
    assert torch.equal(objective.final_loss(SCORES), SCORES.neg_elbo())


def test_a_minimum_rate_never_presses_more_than_the_elbo() -> None:
    """Rate 4 where 5 is the least: ln beta falls by its gain; rate 9: it rises, and stays at 1."""
    objective = Objective(minimum_rate=5.0, target_gain=0.1)
    objective.observe(rate=8.0, kl=torch.tensor([4.0, 4.0]), count=2)
    assert objective.beta(1) == pytest.approx(math.exp(-0.1 * 0.2), rel=1e-14)
    for _ in range(40):
        objective.observe(rate=18.0, kl=torch.tensor([9.0, 9.0]), count=2)
    assert objective.beta(41) == 1.0
    assert objective(SCORES, 41).loss == SCORES.neg_elbo().sum()
    assert torch.equal(objective.final_loss(SCORES), SCORES.neg_elbo())


@pytest.mark.parametrize(
    ("settings", "met"),
    [
        ({}, [True, True, True, True]),
        ({"target_rate": 10.0}, [False, True, True, False]),
        ({"minimum_rate": 10.0}, [False, True, True, True]),
        ({"capacity": 10.0}, [True, True, True, True]),
    ],
)
def test_which_rates_are_those_asked_for(settings: dict, met: list[bool]) -> None:
    objective = Objective(**settings)
    assert [objective.meets(rate, tolerance=0.1) for rate in (8.9, 9.1, 10.9, 11.1)] == met


def test_a_capacity_charges_the_distance() -> None:
    """Below it more rate is worth its weight, above it is charged; the distortion keeps lam."""
    objective = Objective(capacity=3.0, capacity_weight=2.0, capacity_steps=4, lam=0.5)
    assert objective(SCORES, 4).loss == 30.0
    objective.observe(rate=2.0, kl=torch.tensor([1.0, 1.0]), count=1)
    assert objective(SCORES, 4).loss == 30.0 - 2.0 * 5.25
    assert objective(SCORES, 1).loss == 30.0 + 2.0 * 5.25
    assert [objective.settled(step) for step in range(6)] == [False] * 4 + [True] * 2
    mean = 5.25 / 3
    torch.testing.assert_close(objective.final_loss(SCORES).mean().item(), 2.0 * (3.0 - mean) + 10.0)


SAMPLED = Scores(kl=KL, log_p_enc=DEC + 9.0, log_p_pri=DEC + 7.0, log_p_dec=DEC, tokens=torch.tensor([4, 5, 6]))


def test_importance_samples_change_the_loss_and_no_logged_term() -> None:
    """Rates of each draw are 2 and distortions -DEC: -ln mean exp(DEC - 2), summed; the rate logged is KL's."""
    objective = Objective(importance_samples=2)
    assert (objective.needs_densities, Objective().needs_densities) == (True, False)
    terms = objective(SAMPLED, 0)
    expected = -(torch.logsumexp(DEC - 2.0, 0) - math.log(2.0))
    torch.testing.assert_close(terms.loss, expected.sum(), rtol=0, atol=1e-12)
    assert (terms.rate, terms.distortion) == (5.25, 60.0)
    torch.testing.assert_close(objective.final_loss(SAMPLED), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(Objective(importance_samples=2, target_rate=3.0).final_loss(SAMPLED), expected)


def test_importance_samples_of_one_draw_are_the_sampled_elbo() -> None:
    """Asked of one draw, at a scheduled beta: beta times the sampled rate plus lam times the sampled distortion."""
    one = Scores(**{name: getattr(SAMPLED, name)[:1] for name in ("log_p_enc", "log_p_pri", "log_p_dec")})
    objective = Objective(importance_samples=5, beta=2.0, lam=0.5, schedule="linear", schedule_steps=4)
    assert objective(one, 1).loss == pytest.approx(0.5 * 6.0 + 0.5 * 60.0, abs=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {"minimum_rate": 3.0, "free_nats": 0.1},
        {"capacity": 3.0, "capacity_steps": 9},
        {"target_rate": 3.0, "free_nats": 0.4, "free_nats_on": "batch_dimension"},
        {"target_rate": 3.0},
        {"beta": 0.5, "free_nats": 2.0, "free_nats_on": "batch"},
        {},
    ],
)
def test_a_state_survives_json_to_the_bit(settings: dict) -> None:
    """Stopped after 7 of 12 steps and taken up by another: the same loss in every later step."""
    whole, first, second = (Objective(**settings) for _ in range(3))
    steps = [(kl, float(kl.sum())) for kl in torch.rand(12, 2, generator=torch.Generator().manual_seed(0)) * 30]
    for step, (kl, rate) in enumerate(steps):
        whole.observe(rate=rate, kl=kl, count=7)
        if step < 7:
            first.observe(rate=rate, kl=kl, count=7)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for kl, rate in steps[7:]:
        second.observe(rate=rate, kl=kl, count=7)
    assert second.state_dict() == whole.state_dict()
    assert second(SCORES, 12).loss == whole(SCORES, 12).loss
    fresh = Objective(**settings)
    fresh.load_state_dict(json.loads(json.dumps(Objective(**settings).state_dict())))
    assert fresh.state_dict() == Objective(**settings).state_dict()


OBJECTIVES = [
    {},
    {"beta": 0.3, "lam": 2.0},
    {"beta": 1.0, "schedule": "linear", "schedule_steps": 10},
    {"target_rate": 0.7},
    {"minimum_rate": 2.0},
    {"capacity": 9.0},
    {"importance_samples": 3, "beta": 0.7},
    *({"free_nats": 0.3, "free_nats_on": on} for on in FLOORS),
]


@pytest.mark.parametrize("settings", OBJECTIVES)
def test_no_cut_of_a_batch_changes_the_gradient_of_the_summed_loss(settings: dict) -> None:
    """Six sentences whole, in two unequal parts, one by one, and in another order: every parameter to 1e-10."""
    model = vae(prior="learned")

    def gradient(parts: list[list[int]]) -> tuple[Tensor, list[Terms]]:
        objective = Objective(**settings)
        objective.observe(rate=9.0, kl=torch.tensor([0.1, 4.0, 2.0]), count=6)
        model.zero_grad()
        rows = batch(SENTENCES)
        terms = []
        for part in parts:
            chosen = {name: tensor[part] for name, tensor in rows.items()}
            width = int(chosen["lengths"].max())
            chosen["tokens"] = chosen["tokens"][:, :width]
            draws = objective.importance_samples
            terms.append(objective(model(**chosen, samples=draws, densities=objective.needs_densities), 4))
            terms[-1].loss.backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]), terms

    whole, (total,) = gradient([[0, 1, 2, 3, 4, 5]])
    assert whole.norm() > 1.0
    for parts in ([[0, 1, 2, 3], [4, 5]], [[row] for row in range(6)], [[5, 0], [3], [1, 4, 2]]):
        cut, terms = gradient(parts)
        torch.testing.assert_close(cut, whole, rtol=0, atol=1e-10)
        for name in ("loss", "rate", "distortion", "kl", "count", "tokens"):
            summed = sum(getattr(each, name) for each in terms)
            assert torch.allclose(torch.as_tensor(summed), torch.as_tensor(getattr(total, name)), rtol=0, atol=1e-10)


def test_a_mean_per_batch_would_not_pass() -> None:
    """What the test above would see, were the loss divided by each batch's own count."""
    model = vae()
    rows = batch(SENTENCES)
    whole = model.loss(**rows)
    parts = [model.loss(**{k: v[a:b] for k, v in rows.items()}) for a, b in pairwise((0, 4, 6))]
    assert abs(sum(parts) / 2 - whole) > 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -1.0}, "beta must be >= 0, got -1.0"),
        ({"beta": math.nan}, "beta must be >= 0, got nan"),
        ({"lam": -0.1}, "lam must be >= 0, got -0.1"),
        ({"beta_start": -0.1}, "beta_start must be >= 0"),
        ({"free_nats": -2.0}, "free_nats must be >= 0"),
        ({"schedule": "sawtooth"}, "schedule must be one of constant, linear, cyclical, got 'sawtooth'"),
        ({"schedule": "linear"}, "a linear schedule needs schedule_steps"),
        ({"schedule": "cyclical"}, "a cyclical schedule needs schedule_steps"),
        ({"schedule": "cyclical", "schedule_steps": 9, "ramp": 0.0}, "ramp in \\(0, 1\\], got 4 and 0.0"),
        ({"schedule": "cyclical", "schedule_steps": 9, "cycles": 0}, "cycles must be >= 1"),
        ({"free_nats_on": "token"}, "free_nats_on must be one of dimension, sentence, batch_dimension, batch"),
        ({"target_rate": 8.0, "beta": 1.0}, "give either target_rate, or beta and its schedule"),
        ({"target_rate": 8.0, "schedule": "linear", "schedule_steps": 5}, "give either target_rate, or beta"),
        ({"target_rate": 0.0}, "target_rate must be > 0 nats, got 0.0; for no rate at all raise beta"),
        ({"target_rate": -8.0}, "target_rate must be > 0 nats"),
        ({"target_rate": 8.0, "beta_start": 0.0}, "beta_start must be > 0, got 0"),
        ({"target_rate": 8.0, "minimum_rate": 2.0}, "target_rate and minimum_rate would each decide beta"),
        ({"minimum_rate": 8.0, "capacity": 2.0}, "minimum_rate and capacity would each decide beta"),
        ({"minimum_rate": 8.0, "beta": 1.0}, "give either minimum_rate, or beta and its schedule"),
        ({"minimum_rate": 8.0, "beta_start": 2.0}, "beta_start must be <= 1, got 2.0"),
        ({"capacity": 8.0, "schedule": "linear", "schedule_steps": 5}, "give either capacity, or beta"),
        ({"capacity": -1.0}, "capacity must be > 0 nats, got -1.0"),
        ({"capacity": 8.0, "free_nats": 0.5}, "capacity goes with free_nats 0 and a weight > 0, got 0.5 and 1.0"),
        ({"capacity": 8.0, "capacity_weight": 0.0}, "capacity goes with free_nats 0 and a weight > 0, got 0.0 and 0"),
        ({"zero": 0.5}, "zero belongs to a cyclical schedule"),
        ({"schedule": "cyclical", "schedule_steps": 9, "zero": 0.6}, "zero \\+ ramp <= 1, got 0.6 and ramp 0.5"),
        ({"importance_samples": 0}, "importance_samples must be >= 1, got 0"),
        ({"importance_samples": 2, "free_nats": 0.5}, "leaves no rate apart to be floored"),
        ({"importance_samples": 2, "capacity": 0.5}, "leaves no rate apart to be floored"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objective(**settings)


def test_free_nats_need_a_rate_in_closed_form() -> None:
    """Else the rate would silently be charged as nothing."""
    scores = Scores(log_p_enc=DEC, log_p_pri=DEC, log_p_dec=DEC)
    objective = Objective(free_nats=1.0)
    with pytest.raises(ValueError, match="these Scores hold no kl; set free_nats to 0"):
        objective(scores, 0)
    with pytest.raises(ValueError, match="these Scores hold no kl"):
        objective.final_loss(scores)


def test_points_are_charged_their_distortion_alone() -> None:
    """THEORY T6d: without a density there is no rate; it is None, and nothing may be asked of it."""
    scores = Scores(log_p_dec=torch.tensor([[-3.0, -5.0]]).double(), penalty=torch.tensor([0.5, 0.0]).double())
    terms = Objective(lam=2.0)(scores, 0)
    assert terms.rate is None
    assert (terms.loss.item(), terms.distortion.item(), terms.count) == (16.5, 8.0, 2)
    assert Objective(lam=2.0).final_loss(scores).tolist() == [6.0, 10.0]
    for asked in ({"target_rate": 1.0}, {"capacity": 1.0}, {"free_nats": 1.0}, {"importance_samples": 2}):
        with pytest.raises(ValueError, match="the encoder gives points, so that no rate is defined"):
            Objective(**asked)(scores, 0)
