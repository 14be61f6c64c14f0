"""What a rank does in the tests of launch shapes: short trainings, and what they did, as JSON."""

from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from tests.toy_run import toy_trainer


def trainings(recipes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each recipe trained in float64: the gradients of its first steps, its events, its final weights and objective."""
    return [_training(values) for values in recipes]


def _training(values: dict[str, Any]) -> dict[str, Any]:
    gradients: list[list[float]] = []
    events: list[dict[str, Any]] = []

    def look(optimizer: Optimizer, *_: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if len(gradients) < 2:
            parts = [p.new_zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]
            gradients.append(torch.cat(parts).tolist())

    handle = register_optimizer_step_pre_hook(look)
    try:
        trainer = toy_trainer(values, double=True, progress=events.append)
        trainer.fit()
    finally:
        handle.remove()
    return {
        "gradients": gradients,
        "logs": [event for event in events if event["event"] == "log"],
        "validations": [event for event in events if event["event"] == "validate"],
        "weights": torch.cat([p.detach().flatten() for p in trainer.model.parameters()]).tolist(),
        "buffers": torch.cat([b.flatten().double() for b in trainer.model.buffers()] or [torch.zeros(0)]).tolist(),
        "objective": trainer.position.objective,
        "tokens": trainer.position.tokens,
    }
