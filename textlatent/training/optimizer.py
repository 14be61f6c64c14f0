"""The optimiser over the parts that learn, its step size, and seeds for what is random in a step."""

import hashlib
import math
from typing import Any

import torch
from torch import nn

from textlatent.training.muon import Muon
from textlatent.training.options import TrainingOptions

MUON_LEARNING_RATE = 0.02
"""Muon's peak step size where none is given (Jordan et al. 2024)."""


class Together:
    """AdamW and Muon, each with its own parameters, as the one optimiser the loop steps.

    The loop sets one learning rate for all groups; Muon's groups take it times `relative`.
    """

    def __init__(self, adamw: torch.optim.AdamW, muon: Muon, *, relative: float) -> None:
        self.parts: tuple[torch.optim.AdamW, Muon] = (adamw, muon)
        self.relative = relative

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Any, Any]:
        """The moments of both, by parameter."""
        return {parameter: state for part in self.parts for parameter, state in part.state.items()}

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.parts[1].param_groups:
            group["lr"] = group["lr"] * self.relative
        for part in self.parts:
            part.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)


def build_optimizer(model: nn.Module, options: TrainingOptions) -> torch.optim.AdamW | Together:
    """AdamW over the parameters that require a gradient; matrices are decayed, vectors and biases are not.

    With `optimizer: muon` the matrices inside the transformers' layers (no embedding, output layer or map of z)
    are Muon's and move along orthogonalised gradients; AdamW has the rest.

    Raises:
        ValueError: nothing is left to learn.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101; Jordan et al. 2024, Muon.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("nothing to learn: the stage's parts have no parameters; add encoder or decoder to `learn`.")
    hidden = _hidden_matrices(model) if options.optimizer == "muon" else []
    inside = {id(p) for p in hidden}
    groups = [
        {"params": [p for p in learning if p.ndim >= 2 and id(p) not in inside], "weight_decay": options.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    first, second = options.betas
    groups = [group for group in groups if group["params"]]
    adamw = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(first, second), fused=True)
    if not hidden:
        return adamw
    muon = Muon(hidden, lr=options.learning_rate, weight_decay=options.weight_decay)
    return Together(adamw, muon, relative=(options.muon_learning_rate or MUON_LEARNING_RATE) / options.learning_rate)


def _hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The matrices of the backbones that map hidden numbers to hidden numbers."""
    found: dict[int, nn.Parameter] = {}
    for backbone in (module for name, module in model.named_modules() if name.endswith("coder.backbone")):
        head = backbone.get_output_embeddings() if hasattr(backbone, "get_output_embeddings") else None
        words = {id(head.weight)} if head is not None else set()
        for module in backbone.modules():
            own = [] if isinstance(module, nn.Embedding) else module.parameters(recurse=False)
            found |= {id(p): p for p in own if p.ndim == 2 and p.requires_grad and id(p) not in words}
    return list(found.values())


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
