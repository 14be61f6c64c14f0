"""What a rank does in the tests of evaluation: Scores of small splits, as JSON."""

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from tests.toy_run import toy_trainer
from textlatent.scores import Scores
from textlatent.training.evaluate import evaluate, evaluate_at


def sizes(values: dict[str, Any], counts: list[int]) -> list[dict[str, Any]]:
    """The validation split's first n sentences, scored in float64 in small batches by all ranks, for each n."""
    trainer = toy_trainer(values, double=True)
    found = []
    for count in counts:
        scores = evaluate(
            trainer.model,
            trainer.valid,
            positions=torch.arange(count),
            accelerator=Accelerator(),
            samples=3,
            seed=7,
            tokens_per_batch=32,
        )
        found.append(as_lists(scores))
    return found


def some_latents(count: int, size: int) -> Tensor:
    """Latents that belong to no sentence."""
    return torch.randn(count, size, generator=torch.Generator().manual_seed(11), dtype=torch.float64)


def at(values: dict[str, Any], count: int) -> dict[str, Any]:
    """The validation split's first sentences scored at latents of no sentence by all ranks."""
    trainer = toy_trainer(values, double=True)
    z = some_latents(count, trainer.model.config.latent_size)
    scores = evaluate_at(
        trainer.model,
        trainer.valid,
        z,
        positions=torch.arange(count),
        accelerator=Accelerator(),
        tokens_per_batch=32,
    )
    return as_lists(scores)


def as_lists(scores: Scores) -> dict[str, Any]:
    """The record as JSON holds it."""
    return {name: tensor.tolist() for name, tensor in scores.to_dict().items()}
