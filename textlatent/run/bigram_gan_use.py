"""sample and diagnose, of a run of kind `bigram_gan`."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.quality import unended
from textlatent.corpus.tokenizer import decode_sentences
from textlatent.diagnostics.bigram import BigramDiagnosis, BigramThresholds, diagnose_bigram
from textlatent.nats.noise import uniform
from textlatent.run.bigram_gan_evaluate import Reference
from textlatent.run.bigram_gan_folder import build_gan, gan_at, recipe_of, text_of
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.training.checkpoint import write_text
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]


def sample(
    run: Run | str | Path, count: int = 10, *, seed: int = 0, checkpoint: str = "final", **generation: Any
) -> list[str]:
    """Sentences by inverse CDF: each a function of (seed, its number) alone.

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the noise.
        checkpoint: "final", "best" or "step-N".
        generation: must be empty, or num_beams=1: tables are drawn from as they are.

    Raises:
        ValueError: fewer than one sentence, a generation setting, or no such checkpoint.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    if given := [name for name, value in generation.items() if (name, value) != ("num_beams", 1)]:
        raise ValueError(f"tables are drawn from as they are, without {', '.join(given)}; leave it out.")
    model, run = gan_at(run, checkpoint), run if isinstance(run, Run) else Run(run)
    noise = uniform(torch.arange(count), seed=seed, shape=(model.config.words,), stream=0)[0]
    return decode_sentences(run.tokenizer, model.write(noise).tolist())


def diagnose(
    run: Run | str | Path,
    *,
    conditions: bool = False,
    refine: bool = False,
    sentences: int | None = None,
    split: str | None = None,
    checkpoint: str = "final",
    baseline: str | Path | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
    **thresholds: float,
) -> BigramDiagnosis:
    """The verdict on the generator's tables, written to diagnosis.json; of a latent nothing is said, for there is none.

    Args:
        run: a Run or its folder.
        conditions: of no effect: there is no z to exchange.
        refine: of no effect: there is no posterior.
        sentences: how many held-out sentences; the recipe's evaluation.sentences if not given.
        split: train, valid or test; the recipe's evaluation.split if not given.
        checkpoint: "final", "best" or "step-N".
        baseline: must not be given: the likeliest bigram is the baseline.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}.
        **thresholds: of `diagnostics.bigram.BigramThresholds`.

    Raises:
        ValueError: a baseline, an unknown threshold, split or checkpoint.
    """
    run, recipe = recipe_of(run)
    known = [field.name for field in fields(BigramThresholds)]
    if unknown := [name for name in thresholds if name not in known]:
        raise ValueError(f"there is no threshold {', '.join(unknown)}; there are {', '.join(known)}.")
    if baseline is not None:
        raise ValueError("the baseline of a bigram GAN is the likeliest bigram of its text; leave baseline out.")
    accelerator, text, model = accelerator or launch(), text_of(run), gan_at(run, checkpoint)
    name = split or recipe.evaluation.split
    encoded = text.split(name)
    positions = choose(
        len(encoded), recipe.evaluation.sentences if sentences is None else sentences, recipe.data.split_seed
    )
    settings: dict[str, Any] = {
        "positions": positions,
        "accelerator": accelerator,
        "pad_id": run.tokenizer.pad_token_id,
    }
    settings |= {"keep_tokens": True, "keep_latents": False, "progress": progress}
    own, floor = (evaluate_split(each, encoded, **settings) for each in (model, Reference(text.floor[0], like=model)))
    found = diagnose_bigram(
        own,
        floor,
        moved=_moved(model, build_gan(recipe, run.tokenizer)),
        unended=unended(model.generator, words=model.config.words, eos=model.config.eos_token_id),
        unended_floor=unended(text.floor[0], words=model.config.words, eos=model.config.eos_token_id),
        thresholds=BigramThresholds(**thresholds),  # type: ignore[arg-type]
    )
    if accelerator.is_main_process:
        about = {"split": name, "model": {"run": str(run.folder), "checkpoint": checkpoint}, "seed": recipe.seed}
        content = found.to_dict() | about | {"versions": versions()}
        write_text(run.folder / "diagnosis.json", json.dumps(content, indent=1, allow_nan=False))
    return found


@torch.no_grad()
def _moved(model: BigramGAN, start: BigramGAN) -> float:
    """The largest change of any entry of the tables since the recipe's start, a probability."""
    pairs = zip(model.generator.parameters(), start.generator.parameters(), strict=True)
    return max(float((now.softmax(-1) - then.softmax(-1)).abs().max()) for now, then in pairs)
