"""AdamW over the parts that learn, its step size, and seeds for what is random in a step."""

import hashlib
import math
from typing import Any

import torch
from torch import nn

from textlatent.training.options import TrainingOptions


def build_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW:
    """AdamW over the parameters that require a gradient; matrices are decayed, vectors and biases are not.

    Raises:
        ValueError: nothing is left to learn.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("nothing to learn: the stage's parts have no parameters; add encoder or decoder to `learn`.")
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    first, second = options.betas
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(first, second), fused=True)


def learning_rate_at(step: int, *, steps: int, options: TrainingOptions) -> float:
    """AdamW's step size at a step of a stage of `steps`: linear warm-up, then the schedule."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    if options.scheduler == "constant":
        return options.learning_rate
    progress = min(1.0, (step - options.warmup_steps) / max(1, steps - options.warmup_steps))
    if options.scheduler == "linear":
        return options.learning_rate * (1.0 - progress)
    return options.learning_rate * 0.5 * (1.0 + math.cos(math.pi * progress))


def seed_of(*words: int) -> int:
    """A 63-bit seed for torch, a function of the words."""
    digest = hashlib.blake2b(repr(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_torch(seed: int) -> None:
    """Seed torch's generators as `torch.manual_seed` does, without the 0.8 ms it takes to look at the call stack."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def reinitialise(model: Any, part: str, *, seed: int) -> None:
    """Give one part of a model fresh weights, as a new model with this seed would have."""
    torch.manual_seed(seed)
    fresh = type(model)(model.config)
    getattr(model, part).load_state_dict(getattr(fresh, part).state_dict())
