"""AdamW's groups, its step size, and seeds."""

import math

import pytest
import torch
from torch import nn

from tests.toy_run import toy_recipe, toy_trainer
from textlatent.training.optimizer import build_optimizer, learning_rate_at, reinitialise, seed_of
from textlatent.training.options import TrainingOptions

OPTIONS = TrainingOptions(learning_rate=0.5, warmup_steps=4, weight_decay=0.1, betas=[0.8, 0.9])


def test_matrices_are_decayed_and_vectors_are_not() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Embedding(5, 3))
    decayed, free = build_optimizer(model, OPTIONS).param_groups
    assert [tuple(p.shape) for p in decayed["params"]] == [(3, 2), (5, 3)]
    assert [tuple(p.shape) for p in free["params"]] == [(3,), (3,), (3,)]
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert decayed["betas"] == (0.8, 0.9)


def test_only_what_requires_a_gradient_learns() -> None:
    model = nn.Linear(2, 3)
    model.weight.requires_grad_(False)
    (group,) = build_optimizer(model, OPTIONS).param_groups
    assert group["params"] == [model.bias]
    model.bias.requires_grad_(False)
    with pytest.raises(ValueError, match="nothing to learn: .* add encoder or decoder to `learn`"):
        build_optimizer(model, OPTIONS)


def test_one_step_is_adamw() -> None:
    """Decoupled decay, then lr * m / sqrt(v) with both averages corrected: the sign of the gradient in the first step.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[1.0, -2.0]])
    optimizer = build_optimizer(model, OPTIONS)
    model.weight.grad = torch.tensor([[3.0, 0.5]])
    optimizer.step()
    expected = torch.tensor([[1.0, -2.0]]) * (1 - 0.5 * 0.1) - 0.5 * torch.tensor([[1.0, 1.0]])
    torch.testing.assert_close(model.weight.data, expected)


def test_warmup_then_the_scheduler() -> None:
    def rates(scheduler: str) -> list[float]:
        options = TrainingOptions(learning_rate=0.5, warmup_steps=4, scheduler=scheduler)
        return [learning_rate_at(step, steps=8, options=options) for step in range(9)]

    warm = [0.125, 0.25, 0.375, 0.5]
    assert rates("constant") == [*warm, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert rates("linear") == pytest.approx([*warm, 0.5, 0.375, 0.25, 0.125, 0.0])
    cosine = [0.25 * (1 + math.cos(math.pi * share)) for share in (0, 0.25, 0.5, 0.75, 1.0)]
    assert rates("cosine") == pytest.approx([*warm, *cosine])


def test_no_warmup_and_a_stage_shorter_than_it() -> None:
    options = TrainingOptions(learning_rate=1.0, warmup_steps=0, scheduler="linear")
    assert learning_rate_at(0, steps=2, options=options) == 1.0
    longer = TrainingOptions(learning_rate=1.0, warmup_steps=10)
    assert learning_rate_at(4, steps=5, options=longer) == 0.5


def test_seeds_are_functions_of_all_their_words() -> None:
    assert seed_of(1, 2, 3) == 0x284F64133B4A2D8A, "on every machine and in every version"
    found = {seed_of(a, b, c) for a in range(10) for b in range(10) for c in range(10)}
    assert len(found) == 1000
    assert all(0 <= seed < 2**63 for seed in found)
    assert seed_of(1, 23) != seed_of(12, 3)
    torch.manual_seed(max(found))


def test_a_part_made_anew_is_that_of_a_new_model(tmp_path: object) -> None:
    model, other = (toy_trainer(toy_recipe(tmp_path)).model for _ in range(2))  # type: ignore[arg-type]
    decoder = {name: tensor.clone() for name, tensor in model.decoder.state_dict().items()}
    reinitialise(model, "encoder", seed=9)
    torch.manual_seed(9)
    fresh = type(model)(model.config)
    for name, tensor in model.encoder.state_dict().items():
        assert torch.equal(tensor, fresh.encoder.state_dict()[name]), name
    assert all(torch.equal(tensor, decoder[name]) for name, tensor in model.decoder.state_dict().items())
    reinitialise(other, "encoder", seed=9)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in other.state_dict().items())
