"""One step is one sum over its sentences: the same gradient on any number of processes and accumulation parts.

The oracle is a bare loop over the plain model: beta * grad(rate) + lam * grad(distortion), divided by the plan's mean
number of sentences.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.processes import Processes
from tests.toy_run import NO_DROPOUT, merged, toy_recipe, toy_trainer
from textlatent.corpus.batches import collate, plan_epoch

ACCUMULATIONS = (1, 2, 4)
FLOORS = {
    floor: {"objective": {"target_rate": 2.0, "free_nats": nats, "free_nats_on": floor}}
    for floor, nats in (("dimension", 0.2), ("sentence", 0.6), ("batch_dimension", 0.05), ("batch", 0.3))
}
CASES: dict[str, dict[str, Any]] = {
    "uneven lengths": {"objective": {"beta": 0.7, "lam": 1.3}, "training": {"tokens_per_step": 4000, "steps": 2}},
    "fewer sentences than parts": {"training": {"tokens_per_step": 24}},
    "two stages": {"stages": [{"name": "one", "steps": 2, "learn": ["decoder"]}, {"name": "two", "steps": 1}]},
    "aggressive": {"stages": [{"aggressive": True, "encoder_updates": 4, "encoder_window": 2}]},
    "a whole training": {"objective": {"target_rate": 2.0}, "training": {"steps": 10}},
    **FLOORS,
}


def _values(folder: Path, case: str, accumulation: int, world: int) -> dict[str, Any]:
    training = {"steps": 3, "log_every": 1, "accumulation": accumulation, "warmup_steps": 0, "clip": None}
    name = f"{case.replace(' ', '-')}-{world}-{accumulation}"
    # the posterior starts narrow, so that there is a rate for the floors and the target to act on
    narrow = {"model": {"encoder": {"log_variance_bias": -1.0}}}
    return toy_recipe(folder, NO_DROPOUT, narrow, {"training": training}, CASES[case], name=name)


Results = dict[tuple[str, int, int], dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, processes: Processes) -> Results:
    """What each (case, processes, accumulation) did."""
    folder, found = tmp_path_factory.mktemp("shapes"), {}
    shapes_of = [(case, accumulation) for case in CASES for accumulation in ACCUMULATIONS]
    for world in (1, 2):
        recipes = [_values(folder, *shape, world) for shape in shapes_of]
        main = processes.run("tests.training.shapes:trainings", recipes, world=world, folder=folder / f"job-{world}")[0]
        found |= {(case, world, n): result for (case, n), result in zip(shapes_of, main, strict=True)}
    return found


def _difference(one: Any, other: Any) -> float:
    """The relative difference of two vectors, ||a - b|| / ||b||."""
    a, b = torch.tensor(one, dtype=torch.float64), torch.tensor(other, dtype=torch.float64)
    return ((a - b).norm() / b.norm()).item()


SHAPES = [(world, n) for world in (1, 2) for n in ACCUMULATIONS]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("world", "accumulation"), SHAPES[1:])
def test_gradients_sums_and_weights_do_not_depend_on_the_shape(
    results: Results, case: str, world: int, accumulation: int
) -> None:
    one, other = results[case, 1, 1], results[case, world, accumulation]
    for reference, gradient in zip(one["gradients"], other["gradients"], strict=True):
        assert _difference(gradient, reference) < 1e-6
    for reference, log in zip(one["logs"], other["logs"], strict=True):
        for name in ("rate_nats", "distortion_nats", "beta", "gradient_norm", "learning_rate"):
            assert log[name] == pytest.approx(reference[name], rel=1e-6), (name, log["step"])
    for reference, validation in zip(one["validations"], other["validations"], strict=True):
        assert validation["loss"] == pytest.approx(reference["loss"], rel=1e-6)
    torch.testing.assert_close(torch.tensor(other["weights"]), torch.tensor(one["weights"]), atol=1e-5, rtol=0.0)
    assert other["tokens"] == one["tokens"]
    assert other["objective"]["running_kl"] == pytest.approx(one["objective"]["running_kl"], rel=1e-6)
    if one["objective"]["target"]:
        assert other["objective"]["target"] == pytest.approx(one["objective"]["target"], rel=1e-6)


@pytest.mark.parametrize("case", FLOORS)
def test_the_floors_of_these_cases_act(results: Results, case: str) -> None:
    """Otherwise the comparison above would say nothing of them."""
    free = results["a whole training", 1, 1]["gradients"]
    assert _difference(results[case, 1, 1]["gradients"][1], free[1]) > 1e-3


def _bare(folder: Path, case: str) -> tuple[Tensor, Tensor, float, int]:
    """grad(sum of rates) and grad(sum of distortions) over the first step, N, and its number of sentences."""
    trainer = toy_trainer(merged(_values(folder, case, 1, 1), {"name": "bare"}), double=True)
    lengths, budget = trainer.train.lengths, trainer.options.tokens_per_step
    plan = plan_epoch(lengths, tokens_per_step=budget, seed=trainer.seed, epoch=0)
    batch = collate(trainer.train, plan[0])
    scores = trainer.model(batch["tokens"], batch["lengths"], batch["index"], seed=trainer.seed, epoch=1)
    parameters = list(trainer.model.parameters())
    ordered = [p for p in parameters if p.ndim >= 2] + [p for p in parameters if p.ndim < 2]  # as AdamW's groups
    sums = [
        torch.autograd.grad(total, ordered, retain_graph=True, materialize_grads=True)
        for total in (scores.rate().sum(), scores.distortion().sum())
    ]
    rate, distortion = (torch.cat([g.flatten() for g in each]) for each in sums)
    return rate, distortion, len(lengths) / len(plan), len(plan[0])


@pytest.mark.parametrize(("world", "accumulation"), SHAPES)
@pytest.mark.parametrize("case", ["uneven lengths", "fewer sentences than parts"])
def test_effective_beta(results: Results, tmp_path: Path, case: str, world: int, accumulation: int) -> None:
    """The least-squares beta and lam in  N g = beta grad(rate) + lam grad(distortion)  are those asked for."""
    rate, distortion, mean, sentences = _bare(tmp_path, case)
    gradient = torch.tensor(results[case, world, accumulation]["gradients"][0], dtype=torch.float64)
    solved = torch.linalg.lstsq(torch.stack([rate, distortion], 1), mean * gradient[:, None])
    objective = {"beta": 1.0, "lam": 1.0} | CASES[case].get("objective", {})
    beta, lam = solved.solution.squeeze().tolist()
    assert beta / objective["beta"] == pytest.approx(1.0, abs=1e-6)
    assert lam / objective["lam"] == pytest.approx(1.0, abs=1e-6)
    if case == "fewer sentences than parts":
        assert sentences < 4, "some of the 8 parts of a step must be empty"
