"""AdamW's groups, its step size, and seeds."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.tiny import vae
from tests.toy_run import toy_recipe, toy_trainer
from textlatent.training.checkpoint import Checkpoints
from textlatent.training.muon import Muon
from textlatent.training.optimizer import (
    Together,
    build_optimizer,
    learning_rate_at,
    reinitialise,
    seed_of,
    set_learning_rate,
)
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


MUON = TrainingOptions(optimizer="muon", learning_rate=0.5, muon_learning_rate=0.1, weight_decay=0.1)


def test_muon_has_the_matrices_inside_the_layers() -> None:
    model = vae(dtype=torch.float32)
    optimizer = build_optimizer(model, MUON)
    assert isinstance(optimizer, Together)
    names = {id(p): name for name, p in model.named_parameters()}
    adamw, muon = ([names[id(p)] for g in part.param_groups for p in g["params"]] for part in optimizer.parts)
    assert sorted(adamw + muon) == sorted(names.values())
    assert all("layer" in name or ".h." in name for name in muon)
    assert not [name for name in adamw if (".layer." in name or ".h." in name) and model.get_parameter(name).ndim == 2]
    assert {p.ndim for g in optimizer.parts[1].param_groups for p in g["params"]} == {2}


def test_together_each_steps_as_it_would_alone() -> None:
    """Five steps of both beside the two optimisers alone, at the loop's learning rate and 0.1 / 0.5 of it."""
    model, alone = vae(dtype=torch.float32), vae(dtype=torch.float32)
    optimizer = build_optimizer(model, MUON)
    assert isinstance(optimizer, Together)
    inside = {id(p) for g in optimizer.parts[1].param_groups for p in g["params"]}
    pairs = list(zip(model.parameters(), alone.parameters(), strict=True))
    muon = Muon([q for p, q in pairs if id(p) in inside], lr=0.1, weight_decay=0.1)
    rest = [q for p, q in pairs if id(p) not in inside]
    adamw = torch.optim.AdamW(
        [
            {"params": [q for q in rest if q.ndim >= 2], "weight_decay": 0.1},
            {"params": [q for q in rest if q.ndim < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
    )
    for step in range(5):
        rate = 0.01 * (step + 1)
        torch.manual_seed(step)
        for p, q in pairs:
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        set_learning_rate(optimizer, rate)
        for group in adamw.param_groups:
            group["lr"] = rate
        muon.param_groups[0]["lr"] = rate * 0.1 / 0.5
        optimizer.step()
        optimizer.zero_grad()
        adamw.step()
        muon.step()
    assert all(p.grad is None for p in model.parameters())
    for p, q in pairs:
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_both_states_come_back_from_a_checkpoint(tmp_path: Path) -> None:
    """Three steps, save, load into a new model, three more: the weights of six steps, bit for bit."""

    def learn(model: nn.Module, optimizer: Any, steps: range) -> None:
        for step in steps:
            torch.manual_seed(step)
            for p in model.parameters():
                p.grad = torch.randn_like(p)
            for group in optimizer.param_groups:
                group["lr"] = 0.01
            optimizer.step()

    model, checkpoints = vae(dtype=torch.float32), Checkpoints(tmp_path)
    optimizer = build_optimizer(model, MUON)
    learn(model, optimizer, range(3))
    checkpoints.save(3, model=model, optimizer=optimizer, state={})
    learn(model, optimizer, range(3, 6))
    other = vae(dtype=torch.float32, seed=1)
    again = build_optimizer(other, MUON)
    checkpoints.load_model(3, other)
    checkpoints.load_optimizer(3, model=other, optimizer=again)
    learn(other, again, range(3, 6))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


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
