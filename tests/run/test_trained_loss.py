"""The loss in words: what each way of charging the rate says, and which stage is meant."""

from pathlib import Path
from typing import Any

import pytest

from tests.toy_run import CODES, toy_recipe
from textlatent.recipe.load import load_recipe
from textlatent.run.trained_loss import trained_loss


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        ({}, "rate + distortion"),
        ({"beta": 0.05, "lam": 2.0}, "0.05 rate + 2 distortion"),
        ({"beta": 0.0}, "0 rate + distortion"),
        ({"target_rate": 5.0}, "beta rate + distortion, beta found so that the rate is 5"),
        ({"minimum_rate": 5.0}, "beta rate + distortion, beta found, at most 1, so that the rate is at least 5"),
        ({"capacity": 3.0}, "|rate - 3| + distortion"),
        (
            {"capacity": 3.0, "capacity_weight": 2.0, "capacity_steps": 70},
            "2 |rate - 3| + distortion, the 3 reached from 0 in 70 steps",
        ),
        (
            {"schedule": "linear", "schedule_steps": 90},
            "beta rate + distortion, beta rising from 0 to 1 in 90 steps",
        ),
        (
            {"schedule": "cyclical", "schedule_steps": 90, "beta": 0.5, "free_nats": 0.25},
            "beta rate + distortion, beta rising 4 times from 0 to 0.5 in 90 steps, 0.25 nats free in each dimension "
            "of each sentence",
        ),
        ({"importance_samples": 8}, "-ln mean (P_pri / P_enc) P_dec over 8 draws"),
        ({"importance_samples": 8, "beta": 0.5}, "-ln mean (P_pri / P_enc)^0.5 P_dec over 8 draws"),
    ],
)
def test_what_is_charged(objective: dict[str, Any], said: str, tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe(tmp_path, {"objective": objective}))
    assert trained_loss(recipe) == f"loss = {said}"


def test_it_is_the_last_stage_that_teaches_the_decoder(tmp_path: Path) -> None:
    """The last stage teaches the prior alone, at another beta."""
    stages = [
        {"name": "warm", "objective": {"beta": 0.1}},
        {"name": "main", "objective": {"beta": 0.2}},
        {"name": "after", "learn": ["prior"], "objective": {"beta": 0.3}},
    ]
    prior = {"model": {"prior": "learned"}}
    recipe = load_recipe(toy_recipe(tmp_path, prior, {"stages": stages}))
    assert trained_loss(recipe) == "loss = 0.2 rate + distortion   (stage main)"
    alone = load_recipe(toy_recipe(tmp_path, prior, {"stages": stages[2:]}))
    assert trained_loss(alone) == "loss = 0.3 rate + distortion"


def test_points_have_no_rate_and_codes_losses_of_their_own(tmp_path: Path) -> None:
    points = load_recipe(toy_recipe(tmp_path, {"model": {"type": "deterministic"}, "objective": {"lam": 2.0}}))
    assert trained_loss(points) == "loss = 2 distortion"
    codes = load_recipe(toy_recipe(tmp_path, CODES))
    assert trained_loss(codes) == "loss = rate + distortion, and the codes' own losses"
    codes = load_recipe(toy_recipe(tmp_path, {"model": {"type": "vq", "codebook": {"levels": [4, 4]}}}))
    assert trained_loss(codes) == "loss = rate + distortion"
