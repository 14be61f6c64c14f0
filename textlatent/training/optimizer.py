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
    """AdamW and others, each with its own parameters, as the one optimiser the loop steps.

    `set_learning_rate` sets one for all groups; one that has `relative` takes it times that.
    """

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Any, Any]:
        """The moments of all, by parameter."""
        return {parameter: state for part in self.parts for parameter, state in part.state.items()}

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for part in self.parts:
            part.step()

    def zero_grad(self, *, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=set_to_none)


def build_optimizer(model: Any, options: TrainingOptions) -> torch.optim.Optimizer | Together:
    """AdamW over the parameters that require a gradient; matrices are decayed, vectors and biases are not.

    With `optimizer: muon` the matrices inside the transformers' layers (no embedding, output layer or map of z)
    are Muon's and move along orthogonalised gradients; AdamW has the rest.

    Codes that learn by gradient are SGD's, without decay or momentum: a code that was not hit stays as it is, to the
    bit, and eta is a factor of the learning rate (of the gradient, AdamW would divide it out again).

    Raises:
        ValueError: nothing is left to learn.

    Source: Loshchilov & Hutter 2019, arXiv:1711.05101; Jordan et al. 2024, Muon.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learning:
        raise ValueError("nothing to learn: the stage's parts have no parameters; add encoder or decoder to `learn`.")
    hidden = _hidden_matrices(model) if options.optimizer == "muon" else []
    codes = [(rows, factor) for rows, factor in _codes(model) if rows.requires_grad]
    elsewhere = {id(p) for p in (*hidden, *(rows for rows, _ in codes))}
    learning = [p for p in learning if id(p) not in elsewhere]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": options.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    first, second = options.betas
    parts: list[torch.optim.Optimizer] = []
    if groups:
        parts += [torch.optim.AdamW(groups, lr=options.learning_rate, betas=(first, second), fused=True)]
    if hidden:
        relative = (options.muon_learning_rate or MUON_LEARNING_RATE) / options.learning_rate
        muon: list[Any] = [{"params": hidden, "relative": relative}]
        parts += [Muon(muon, lr=options.learning_rate, weight_decay=options.weight_decay)]
    if codes:
        rows_of = [{"params": [rows], "relative": factor} for rows, factor in codes]
        parts += [torch.optim.SGD(rows_of, lr=options.learning_rate)]
    return parts[0] if len(parts) == 1 else Together(*parts)


def _codes(model: Any) -> list[tuple[nn.Parameter, float]]:
    """Parameters whose rows are codes, and what their learning rate is to be multiplied by."""
    quantiser = getattr(model, "quantiser", None)
    return [] if quantiser is None else quantiser.row_parameters()


def _hidden_matrices(model: nn.Module) -> list[nn.Parameter]:
    """The matrices of the backbones that map hidden numbers to hidden numbers."""
    found: dict[int, nn.Parameter] = {}
    parts = ("encoder.backbone", "prior.backbone", "decoder.backbone")
    for backbone in (module for name, module in model.named_modules() if name in parts):
        head = backbone.get_output_embeddings() if hasattr(backbone, "get_output_embeddings") else None
        words = {id(head.weight)} if head is not None else set()
        for module in backbone.modules():
            own = [] if isinstance(module, nn.Embedding) else module.parameters(recurse=False)
            found |= {id(p): p for p in own if p.ndim == 2 and p.requires_grad and id(p) not in words}
    return list(found.values())


def set_learning_rate(optimizer: Any, rate: float) -> None:
    """AdamW's step size for all groups; Muon's and the codes' in proportion."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("relative", 1.0)


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
