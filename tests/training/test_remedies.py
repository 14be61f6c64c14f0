"""The remedies in the loop: one gradient in every launch shape, one run through every kill, and their nats."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.processes import Processes
from tests.toy_run import NO_DROPOUT, merged, toy_recipe, toy_trainer

NOISY = {"encoder": {"denoising": 0.3}, "decoder": {"word_dropout": 0.4}}
CASES: dict[str, dict[str, Any]] = {
    "vamp": {
        "model": merged(NOISY, {"prior": "vamp", "components": 3, "pseudo_tokens": 2}),
        "objective": {"importance_samples": 3, "minimum_rate": 2.0},
    },
    "normalised": {"model": {"encoder": {"batch_norm": 0.5}}, "objective": {"capacity": 3.0, "capacity_steps": 4}},
    "mixture": {
        "model": {"prior": "mixture", "components": 3, "encoder": {"fixed_variance": 0.3}},
        "objective": {"schedule": "cyclical", "schedule_steps": 4, "cycles": 1, "zero": 0.25, "ramp": 0.5},
        "training": {"tokens_per_step": 24},  # fewer sentences than parts
    },
}
"""Every remedy of the model and the objective, combined three ways."""

SHAPES = [(world, accumulation) for world in (1, 2) for accumulation in (1, 4)]
Results = dict[tuple[str, int, int], dict[str, Any]]


def _values(folder: Path, case: str, world: int = 1, accumulation: int = 1) -> dict[str, Any]:
    training = {"steps": 4, "log_every": 1, "accumulation": accumulation, "warmup_steps": 0, "clip": None}
    return toy_recipe(folder, NO_DROPOUT, {"training": training}, CASES[case], name=f"{case}-{world}-{accumulation}")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> Results:
    """What each (case, processes, accumulation) did."""
    folder, found = tmp_path_factory.mktemp("remedies"), {}
    for world in (1, 2):
        shapes = [(case, world, n) for case in CASES for _, n in SHAPES[:2]]
        recipes = [_values(folder, *shape) for shape in shapes]
        main = processes.run("tests.training.shapes:trainings", recipes, world=world, folder=folder / f"job-{world}")[0]
        found |= dict(zip(shapes, main, strict=True))
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("world", "accumulation"), SHAPES[1:])
def test_the_gradient_does_not_depend_on_the_shape(results: Results, case: str, world: int, accumulation: int) -> None:
    one, other = results[case, 1, 1], results[case, world, accumulation]
    for reference, gradient in zip(one["gradients"], other["gradients"], strict=True):
        a, b = torch.tensor(gradient).double(), torch.tensor(reference).double()
        assert (a - b).norm() / b.norm() < 1e-6
    for reference, log in zip(one["logs"], other["logs"], strict=True):
        for name in ("rate_nats", "distortion_nats", "beta", "gradient_norm"):
            assert log[name] == pytest.approx(reference[name], rel=1e-6), (name, log["step"])
    torch.testing.assert_close(torch.tensor(other["weights"]), torch.tensor(one["weights"]), atol=1e-5, rtol=0.0)


def test_beta_is_what_the_cases_say(results: Results) -> None:
    """Else the comparison above would say nothing of them: steered, below 0 under a capacity, 0 and rising."""
    betas = {case: [log["beta"] for log in results[case, 1, 1]["logs"]] for case in CASES}
    assert betas["mixture"] == [0.0, 0.0, 0.5, 1.0]
    assert betas["normalised"][0] == 0.0
    assert set(betas["normalised"][1:]) <= {-1.0, 1.0}
    assert betas["normalised"][-1] == -1.0
    assert betas["vamp"][0] == 1.0
    assert betas["vamp"][-1] < 1.0


@pytest.mark.parametrize("case", CASES)
def test_a_run_killed_at_any_step_is_the_run_that_was_left_alone(
    tmp_path: Path, processes: Processes, case: str
) -> None:
    """Statistics, capacity and mixture too, with dropout on."""
    often = {"training": {"tokens_per_step": 900, "save_every": 1, "keep_checkpoints": 99, "validate_every": 2}}
    values = merged(toy_recipe(tmp_path, CASES[case]), often, {"training": {"steps": 3}})
    whole, *stopped = processes.run("tests.training.resume:from_every_step", values, 3, folder=tmp_path / "job")[0]
    assert whole["step"] == "step-3"
    for steps, again in enumerate(stopped):
        assert again == whole, f"stopped after {steps} steps"


def test_normalised_means_keep_their_rate_under_a_charge_that_empties_others(tmp_path: Path) -> None:
    """beta = 20 for 60 steps: the plain model's rate is nearly 0; 4 * gamma^2 / 2 nats stay at every step.

    128 of the 244 sentences are the reference: the variance over the others is off by 1/8 per dimension (one standard
    error), the sum over 4 dimensions, were they independent, by 1/16; the rate of a step of 20 sentences by more.
    """
    rates, sure = {}, 4 * 0.7**2 / 2
    for name, gamma in (("plain", None), ("normalised", 0.7)):
        changes = {"model": {"encoder": {"batch_norm": gamma}}, "objective": {"beta": 20.0}}
        often = {"training": {"steps": 60, "log_every": 20, "validate_every": 60, "sample_every": 0}}
        events: list[dict[str, Any]] = []
        toy_trainer(toy_recipe(tmp_path, NO_DROPOUT, changes, often, name=name), progress=events.append).fit()
        rates[name] = [event["rate_nats"] for event in events if event["event"] == "log"]
    assert rates["plain"][-1] < 0.1
    assert all(rate == pytest.approx(sure, rel=0.25) for rate in rates["normalised"])


def test_a_fixed_variance_keeps_its_rate(tmp_path: Path) -> None:
    """At least D (v - ln v - 1) / 2 nats, at any beta."""
    changes = {"model": {"encoder": {"fixed_variance": 0.3}}, "objective": {"beta": 20.0}, "training": {"steps": 30}}
    events: list[dict[str, Any]] = []
    toy_trainer(toy_recipe(tmp_path, changes), progress=events.append).fit()
    found = [event["rate_nats"] for event in events if event["event"] == "validate"]
    assert min(found) > 4 * 0.5 * (0.3 - math.log(0.3) - 1) - 1e-6
