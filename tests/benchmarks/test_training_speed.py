"""What does the toolkit's loop cost? Its training tokens/s as a ratio to a bare loop over the very same modules.

The bare loop has the same weights, batches (which it collates, as the toolkit does), autocast, clipping and optimiser,
draws its noise with torch.randn, minimises KL + NLL, and reads nothing back. Goal: a ratio of at least 0.97.
"""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.benchmarks.fresh import measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import build_trainer, run_lengths, take_turns
from textlatent.corpus.batches import collate
from textlatent.training.loop import Trainer
from textlatent.training.optimizer import build_optimizer

# recipe, device, steps in a run (the toolkit logs once in it), runs
CASES = [("quickstart", "cpu", 50, 16), ("ptb/cpu", "cpu", 10, 12), ("ptb/gpu", "cuda", 50, 12)]


class BareLoop:
    """Training steps in plain torch over a copy of the trainer's modules, made when the first turn comes."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.device = trainer.accelerator.device
        self.options = trainer.options

    def _begin(self) -> None:
        self.model = deepcopy(self.trainer.model)
        self.optimizer = build_optimizer(self.model, self.options)
        self.parameters = list(self.model.parameters())

    def __call__(self, plan: list[Tensor]) -> None:
        """One step on each set of sentences."""
        if not hasattr(self, "model"):
            self._begin()
        for positions in plan:
            batch = collate(self.trainer.train, positions)
            tokens, lengths = batch["tokens"].to(self.device), batch["lengths"].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
                loss = self._loss(tokens, lengths)
            loss.backward()
            if self.options.clip:
                nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def _loss(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(tokens.shape[1], device=self.device) < lengths[:, None]
        posterior = self.model.encoder(tokens, mask)
        mean, log_variance = posterior.mean, posterior.log_variance
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum()
        return (kl - self.model.decoder.log_prob_token(tokens, z, mask).sum()) / self.trainer.mean_sentences


def train(recipe: str, steps: int, runs: int) -> dict[str, Any]:
    """Seconds of each run of both loops, and the tokens in it."""
    trainer = build_trainer(recipe, steps=steps)
    seconds = take_turns(trainer, {"bare": BareLoop(trainer)}, runs=runs)
    return {"seconds": seconds, "tokens": [int(lengths.sum()) for lengths in run_lengths(trainer, runs=runs)]}


@pytest.mark.parametrize(("recipe", "device", "steps", "runs"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_tokens_per_second_against_a_bare_loop(benchmark: Any, recipe: str, device: str, steps: int, runs: int) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    cuda = device == "cuda"
    result = measure(benchmark, "tests.benchmarks.test_training_speed:train", recipe, steps, runs, cuda=cuda)
    toolkit, bare = result["seconds"]["toolkit"], result["seconds"]["bare"]
    rows = [
        ("toolkit / bare loop, tokens/s", spread(ratios(bare, toolkit))),
        ("toolkit, tokens/s", spread(ratios(result["tokens"], toolkit), digits=0)),
        ("bare loop, tokens/s", spread(ratios(result["tokens"], bare), digits=0)),
    ]
    show(f"training {recipe} on {device}, {steps} steps a run (goal: ratio >= 0.97)", result["machine"], rows)
