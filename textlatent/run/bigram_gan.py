"""The verbs of runs of kind `bigram_gan`: tables of words and pairs, trained against a discriminator (THEORY T13)."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.corpus.tokenizer import decode_sentences
from textlatent.models.backbone import quiet
from textlatent.nats.noise import uniform
from textlatent.recipe.bigram_gan import BigramGanRecipe
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import Source, load_any, of_kind
from textlatent.run.begin import begin_on_text, noter, take_weights, trackers_may_fail
from textlatent.run.bigram_gan_evaluate import evaluate
from textlatent.run.bigram_gan_folder import Text, build_game, build_gan, build_options, gan_at
from textlatent.run.bigram_gan_use import diagnose, sample
from textlatent.run.folder import Run
from textlatent.run.recipes import find_recipe
from textlatent.training.adversarial import AdversarialTrainer
from textlatent.training.checkpoint import Checkpoints, write_folder, write_text
from textlatent.training.launch import deterministic, launch, threads

VERBS = ("train", "evaluate", "sample", "diagnose")
__all__ = ["VERBS", "diagnose", "evaluate", "sample", "train"]

Progress = Callable[[dict[str, Any]], None]


def train(
    recipe: Source,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    progress: Progress | None = None,
    start: str | Path | None = None,
) -> Run:
    """The trained run: resumed where its folder holds a checkpoint, evaluated at the end; arguments as in `run.train`.

    Raises:
        ValueError: a fault in the recipe, the corpus or the folder; the message says what to do.
        TrainingStopped: SIGTERM came; a checkpoint was written and the same call goes on from it.
    """
    quiet()
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = of_kind(load_any(path, overrides), BigramGanRecipe)
    folder = Path(out or loaded.out) / loaded.name
    accelerator = launch(trackers=loaded.training.trackers, folder=folder)
    with threads(loaded.training.threads), deterministic(loaded.training.deterministic):
        return _train(loaded, folder, accelerator, progress or (lambda event: None), start)


def _train(recipe: BigramGanRecipe, folder: Path, accelerator: Any, tell: Progress, start: str | Path | None) -> Run:
    note = noter(accelerator, tell)
    with accelerator.main_process_first():
        run = begin_on_text(recipe, folder, main=accelerator.is_main_process, note=note)
    text = Text(recipe, run.corpus, run.tokenizer)
    model = build_gan(recipe, text.tokenizer)
    if start is not None and not Checkpoints(folder / "checkpoints").any_valid():
        _start_from(model, start)
        note(f"started from the weights of {start}.")
    with trackers_may_fail(note):
        accelerator.init_trackers("textlatent", config={"recipe": dump_recipe(recipe)})
    splits = {name: text.split(name) for name in dict.fromkeys(("train", "valid", recipe.evaluation.split))}
    for split in splits.values():
        for each in split.notes:
            note(each)
    trainer = AdversarialTrainer(
        build_game(recipe, model),
        train=splits["train"],
        valid=splits["valid"],
        options=build_options(recipe),
        folder=folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
        sampler=lambda played: {"samples": _written(played, text.tokenizer, recipe.seed)},
        pad_id=text.tokenizer.pad_token_id,
    )
    trainer.fit()
    if accelerator.is_main_process:
        write_folder(folder / "final", gan_at(run, "best").save_pretrained)
    accelerator.wait_for_everyone()
    ledger = evaluate(run, progress=tell, accelerator=accelerator)
    if accelerator.is_main_process:
        _keep(run, recipe, ledger)
    accelerator.wait_for_everyone()
    with trackers_may_fail(note):
        accelerator.end_training()
    return run


def _start_from(model: BigramGAN, start: str | Path) -> None:
    """Begin with the tables and the discriminator of another run.

    Raises:
        ValueError: they are of another shape.
    """
    other = gan_at(start) if (Path(start) / "recipe.yaml").exists() else BigramGAN.from_pretrained(start)
    take_weights(model, other, start=start, same="data, tokenizer and discriminator sections")


@torch.no_grad()
def _written(model: BigramGAN, tokenizer: Any, seed: int, count: int = 3) -> list[str]:
    noise = uniform(torch.arange(count, device=model.device), seed=seed, shape=(model.config.words,), stream=0)[0]
    return decode_sentences(tokenizer, model.write(noise).tolist())


def _keep(run: Run, recipe: BigramGanRecipe, ledger: dict[str, Any]) -> None:
    """What a finished run leaves beside its model: a card and samples."""
    written = sample(run, 10, seed=recipe.seed)
    write_text(run.folder / "samples.json", json.dumps({"samples": written}, indent=1, ensure_ascii=False))
    lines = [f"- {name}: {ledger[f'{name}_nats']['value']:.4f} nats" for name in ("distortion", "floor", "reverse_nll")]
    card = ["---", "library_name: transformers", "tags: [textlatent, gan]", "---", "", f"# {recipe.name}", ""]
    card += ["A bigram GAN: tables of words and pairs of words, kind `bigram_gan` of textlatent.", "", *lines, ""]
    card += ["```python", "from textlatent.contrasts.bigram_gan import BigramGAN", ""]
    card += ['model = BigramGAN.from_pretrained(".")', "```", "", "```yaml", f"{dump_recipe(recipe)}```", ""]
    write_text(run.folder / "final" / "README.md", "\n".join(card))
