"""What is measured: a shipped recipe's model and loop on generated sentences, and peers that take turns with it."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from textlatent.corpus.batches import EncodedSplit, plan_epoch
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.run import build
from textlatent.run.recipes import find_recipe
from textlatent.training.launch import launch
from textlatent.training.loop import Trainer


@dataclass(frozen=True)
class Text:
    """What decides how long a step takes: how many sentences, their lengths in words, the vocabulary."""

    sentences: int
    mean: float
    deviation: float
    longest: int
    vocabulary: int


PTB = Text(sentences=42_000, mean=21.0, deviation=10.2, longest=82, vocabulary=10_000)
TOY = Text(sentences=18_000, mean=8.1, deviation=1.8, longest=12, vocabulary=254)
TEXTS = {"ptb/cpu": PTB, "ptb/gpu": PTB, "quickstart": TOY}


@dataclass(frozen=True)
class Tokenizer:
    """As much of one as building a model needs."""

    size: int
    pad_token_id: int = 0
    bos_token_id: int = 1
    eos_token_id: int = 2
    unk_token_id: int = 3

    def __len__(self) -> int:
        return self.size


def generate(text: Text, *, sentences: int | None = None, seed: int = 0) -> EncodedSplit:
    """Random sentences: gamma-distributed lengths, words by Zipf's law."""
    random, count = np.random.default_rng(seed), sentences or text.sentences
    shape = (text.mean / text.deviation) ** 2
    words = random.gamma(shape, text.mean / shape, count).round().clip(1, text.longest).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(words + 1)])
    weight = 1.0 / (np.arange(text.vocabulary - 4) + 2.7)
    tokens = random.choice(np.arange(4, text.vocabulary), offsets[-1], p=weight / weight.sum())
    tokens[offsets[1:] - 1] = Tokenizer.eos_token_id
    return EncodedSplit(
        tokens=torch.from_numpy(tokens.astype(np.int32)),
        offsets=torch.from_numpy(offsets),
        words=torch.from_numpy(words),
        characters=torch.from_numpy(5 * words),
        label=torch.full((count,), -1),
        index=torch.arange(count),
        notes=[],
        dataset=Dataset.from_dict({}),
    )


def recipe(name: str, *overrides: str) -> Recipe:
    """A shipped recipe."""
    return load_recipe(find_recipe(name), overrides)


def build_model(values: Recipe, text: Text) -> Any:
    """The recipe's model for a vocabulary of this size."""
    model = build.build_model(values, Tokenizer(text.vocabulary))
    model.tokenizer = None
    return model


def build_trainer(name: str, *, steps: int) -> Trainer:
    """The recipe's loop on generated sentences; it logs every `steps` steps and neither validates nor saves."""
    never = 10**9
    quiet = [f"training.{key}={never}" for key in ("steps", "validate_every", "sample_every", "save_every")]
    values, text = recipe(name, f"training.log_every={steps}", *quiet), TEXTS[name]
    torch.set_num_threads(values.training.threads or torch.get_num_threads())
    split = generate(text)
    return Trainer(
        build_model(values, text),
        train=split,
        valid=split,
        stages=build.build_stages(values),
        options=build.build_options(values),
        folder=Path(tempfile.mkdtemp()),
        seed=values.seed,
        accelerator=launch(),
    )


class _Enough(Exception):
    """The last run is done."""


Peer = Callable[[list[torch.Tensor]], Any]


def take_turns(
    trainer: Trainer, peers: dict[str, Peer], *, runs: int, alternate: bool = True
) -> dict[str, list[float]]:
    """Seconds of each run of the toolkit's loop ("toolkit") and of each peer over the same steps, in turn.

    A run is the steps between two lines of metrics.jsonl, and the loop stands still while the peers have their turn;
    everything it does between two steps, its log line included, is in its time. Who is first to meet a run's sentences
    changes from run to run (unless not `alternate`, when the toolkit always is): memory of new shapes is found by the
    first. One run more comes before all and is not counted.
    """
    steps = trainer.options.log_every
    plan = first_steps(trainer, steps * (runs + 1))
    seconds: dict[str, list[float]] = {name: [] for name in ("toolkit", *peers)}
    began = time.perf_counter()

    def baton(event: dict[str, Any]) -> None:
        nonlocal began
        if event["event"] != "log":
            return
        synchronise()
        seconds["toolkit"].append(time.perf_counter() - began)
        done = len(seconds["toolkit"])
        if done % 2 or not alternate:  # runs 0, 2, ...: the toolkit was first
            let_peers(done - 1)
        if done > runs:
            raise _Enough
        if done % 2 and alternate:  # runs 1, 3, ...: the peers are
            let_peers(done)
        began = time.perf_counter()

    def let_peers(run: int) -> None:
        for name, peer in peers.items():
            seconds[name].append(timed(lambda peer=peer: peer(plan[steps * run : steps * (run + 1)])))

    trainer.journal.progress = baton
    try:
        trainer.fit()
    except _Enough:
        pass
    return {name: values[1:] for name, values in seconds.items()}


def timed(work: Callable[[], Any]) -> float:
    """Seconds that the work took, on the device too."""
    synchronise()
    began = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - began


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def run_lengths(trainer: Trainer, *, runs: int) -> list[torch.Tensor]:
    """The lengths of all sentences of each run that `take_turns` counts."""
    steps, lengths = trainer.options.log_every, trainer.train.lengths
    plan = first_steps(trainer, steps * (runs + 1))
    return [lengths[torch.cat(plan[first : first + steps])] for first in range(steps, len(plan), steps)]


def first_steps(trainer: Trainer, steps: int) -> list[torch.Tensor]:
    """The first steps of the training."""
    plan: list[torch.Tensor] = []
    epoch, budget = 0, trainer.options.tokens_per_step
    while len(plan) < steps:
        plan += plan_epoch(trainer.train.lengths, tokens_per_step=budget, seed=trainer.seed, epoch=epoch)
        epoch += 1
    return plan[:steps]
