"""The verbs of runs of kind `latent_class`: learned by EM, by the exact gradient, or as an amortised VAE (T12)."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textlatent.models import LatentClassModel
from textlatent.models.backbone import quiet
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.latent_class import LatentClassRecipe
from textlatent.recipe.load import Source, load_any, of_kind
from textlatent.run.begin import Note, begin_on_text, noter, trackers_may_fail
from textlatent.run.card import ledger_table
from textlatent.run.folder import Run
from textlatent.run.latent_class_evaluate import diagnose, evaluate
from textlatent.run.latent_class_folder import (
    build_model,
    em_options,
    loop_options,
    stage_of,
    start_tables,
)
from textlatent.run.latent_class_use import encode, sample, score
from textlatent.run.recipes import find_recipe
from textlatent.run.train import finish
from textlatent.training.checkpoint import write_folder, write_text
from textlatent.training.em import EM
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import deterministic, launch, threads
from textlatent.training.loop import Trainer

VERBS = ("train", "evaluate", "diagnose", "sample", "score", "encode")
__all__ = ["VERBS", "diagnose", "encode", "evaluate", "sample", "score", "train"]

Progress = Callable[[dict[str, Any]], None]


def train(
    recipe: Source,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    progress: Progress | None = None,
    start: str | Path | None = None,
) -> Run:
    """The trained run: resumed where its folder holds a checkpoint, evaluated at the end.

    Args:
        recipe: a YAML file, the name of one that comes along, the values themselves, or a LatentClassRecipe.
        overrides: "model.classes=4", ...
        out: the folder that holds runs; the recipe's `out` if not given.
        progress: called with every event.
        start: there is none: the tables start near the corpus's own words.

    Raises:
        ValueError: a fault in the recipe, the corpus or the folder; the message says what to do.
        TrainingStopped: SIGTERM came; a checkpoint was written and the same call goes on from it.
    """
    if start is not None:
        raise ValueError("a latent class model starts near the corpus's own words; leave `start` out.")
    quiet()
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = of_kind(load_any(path, overrides), LatentClassRecipe)
    folder = Path(out or loaded.out) / loaded.name
    loop = loop_options(loaded)
    accelerator = launch(trackers=loop.trackers if loaded.method != "em" else None, folder=folder)
    count = em_options(loaded).threads if loaded.method == "em" else loop.threads
    with threads(count), deterministic(loop.deterministic and loaded.method != "em"):
        return _train(loaded, folder, accelerator, progress or (lambda event: None))


def _train(recipe: LatentClassRecipe, folder: Path, accelerator: Any, tell: Progress) -> Run:
    note = noter(accelerator, tell)
    with accelerator.main_process_first():
        run = begin_on_text(recipe, folder, main=accelerator.is_main_process, note=note)
    splits = {name: run.split(name) for name in dict.fromkeys(("train", "valid", recipe.evaluation.split))}
    for split in splits.values():
        for text in split.notes:
            note(text)
    model = build_model(recipe, run.tokenizer, sentences=len(splits["train"]))
    fit = _fit_em if recipe.method == "em" else _fit_loop
    fit(run, recipe, model, splits, accelerator, tell, note)
    ledger = evaluate(run, progress=tell, accelerator=accelerator)
    if accelerator.is_main_process:
        write_text(folder / "final" / "README.md", _card(recipe, ledger, model))
        drawn = {"samples": sample(run, 10, seed=recipe.seed)}
        write_text(folder / "samples.json", json.dumps(drawn, indent=1, ensure_ascii=False))
    accelerator.wait_for_everyone()
    with trackers_may_fail(note):
        accelerator.end_training()
    return run


def _fit_em(
    run: Run,
    recipe: LatentClassRecipe,
    model: LatentClassModel,
    splits: Any,
    accelerator: Any,
    tell: Progress,
    note: Note,
) -> None:
    """Every start to its end, the best in final/, all of them in restarts.json."""
    section = recipe.evaluation

    def judge() -> float:
        scores = evaluate_split(
            model, splits["valid"], accelerator=accelerator, tokens_per_batch=section.tokens_per_batch,
            keep_latents=False, pad_id=model.decoder.pad,
        )  # fmt: skip
        return scores.neg_elbo().mean().item()

    em = EM(
        model,
        start_tables(model, splits["train"], recipe),
        train=splits["train"],
        options=em_options(recipe),
        folder=run.folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
        judge=judge,
    )
    standing = em.fit()
    if accelerator.is_main_process:
        content = {"best": standing.best, "restarts": standing.rows}
        write_text(run.folder / "restarts.json", json.dumps(content, indent=1))
        write_folder(run.folder / "final", model.save_pretrained)
    accelerator.wait_for_everyone()


def _fit_loop(
    run: Run,
    recipe: LatentClassRecipe,
    model: LatentClassModel,
    splits: Any,
    accelerator: Any,
    tell: Progress,
    note: Note,
) -> None:
    """The loop of every autoencoder: steps on -ELBO, the best validation in final/."""
    start_tables(model, splits["train"], recipe)
    with trackers_may_fail(note):
        accelerator.init_trackers("textlatent", config={"recipe": dump_recipe(recipe)})
    trainer = Trainer(
        model,
        train=splits["train"],
        valid=splits["valid"],
        stages=[stage_of(recipe)],
        options=loop_options(recipe),
        folder=run.folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
        sampler=lambda each: {"samples": each.decode(each.sample_prior(3, seed=recipe.seed), do_sample=True)},
        pad_id=run.tokenizer.pad_token_id,
    )
    position = trainer.fit()
    if position.stopped_early:
        note(f"stopped early at step {position.step}: {position.without_better} validations without a better one.")
    finish(run, model, accelerator, position.best_step, note)


def _card(recipe: LatentClassRecipe, ledger: dict[str, Any], model: LatentClassModel) -> str:
    """The model card: what it is, its ledger, how to use it."""
    what = {"mixture_unigram": "A mixture of unigrams", "mixture_bigram": "A mixture of bigrams"}
    name = what.get(recipe.model.family, "A hidden Markov model")
    how = {"em": "EM", "gradient": "the exact gradient of the marginal likelihood", "amortised": "a taught encoder"}
    return "\n".join(
        [
            "---", "library_name: transformers", "tags: [textlatent, latent-class]", "---", "", f"# {recipe.name}", "",
            f"{name} with {recipe.model.classes} classes and {model.num_parameters():,} table entries, learned by "
            f"{how[recipe.method]}.", "",
            f"{ledger['sentences']:,} sentences of the {ledger['split']} split, nats per sentence unless the row says "
            "otherwise.", "",
            ledger_table(ledger), "",
            "```python", "from textlatent.models import load_model", "",
            f'model = load_model("{ledger["model"]["run"]}/final")',
            'model.encode(["a sentence ."]).mean  # P(k|y)',
            'model.score(["a sentence ."]).neg_elbo()  # nats',
            "model.decode(model.sample_prior(5, seed=0), do_sample=True)", "```", "",
        ]
    )  # fmt: skip
