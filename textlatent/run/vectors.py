"""The verbs of runs of kind `vectors`: autoencoders of rows of numbers (THEORY T6c, T6d)."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from textlatent.corpus.vectors import Vectors
from textlatent.models.backbone import quiet
from textlatent.models.vector import VectorAutoencoder
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import Source, load_any, of_kind
from textlatent.recipe.vectors import VectorRecipe
from textlatent.run.begin import has_begun, noter, take_weights, trackers_may_fail
from textlatent.run.card import ledger_table
from textlatent.run.folder import Run
from textlatent.run.recipes import find_recipe
from textlatent.run.train import finish
from textlatent.run.vectors_evaluate import evaluate
from textlatent.run.vectors_folder import (
    SPLITS,
    build_model,
    build_options,
    build_stage,
    build_vectors,
    check_same,
    model_at,
)
from textlatent.run.vectors_use import diagnose, encode
from textlatent.training.checkpoint import Checkpoints, write_text
from textlatent.training.launch import deterministic, launch, threads
from textlatent.training.loop import Trainer

VERBS = ("train", "evaluate", "encode", "diagnose")
__all__ = ["VERBS", "diagnose", "encode", "evaluate", "train"]

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
        ValueError: a fault in the recipe, the rows or the folder; the message says what to do.
    """
    quiet()
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = of_kind(load_any(path, overrides), VectorRecipe)
    folder = Path(out or loaded.out) / loaded.name
    accelerator = launch(trackers=loaded.training.trackers, folder=folder)
    with threads(loaded.training.threads), deterministic(loaded.training.deterministic):
        return _train(loaded, folder, accelerator, progress or (lambda event: None), start)


def _train(recipe: VectorRecipe, folder: Path, accelerator: Any, tell: Progress, start: str | Path | None) -> Run:
    note = noter(accelerator, tell)
    with accelerator.main_process_first():
        vectors = _prepare(recipe, folder, accelerator.is_main_process, note)
    run, model = Run(folder), build_model(recipe, vectors.train.vectors)
    if start is not None and not Checkpoints(folder / "checkpoints").any_valid():
        _start_from(model, start)
        note(f"started from the weights of {start}.")
    with trackers_may_fail(note):
        accelerator.init_trackers("textlatent", config={"recipe": dump_recipe(recipe)})
    trainer = Trainer(
        model,
        train=vectors.train,
        valid=vectors.valid,
        stages=[build_stage(recipe)],
        options=build_options(recipe),
        folder=folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
    )
    position = trainer.fit()
    if position.stopped_early:
        note(f"stopped early at step {position.step}: {position.without_better} validations without a better one.")
    finish(run, model, accelerator, position.best_step, note)
    ledger = evaluate(run, progress=tell, accelerator=accelerator)
    if accelerator.is_main_process:
        write_text(folder / "final" / "README.md", _card(recipe, ledger, model))
    accelerator.wait_for_everyone()
    with trackers_may_fail(note):
        accelerator.end_training()
    return run


def _prepare(recipe: VectorRecipe, folder: Path, main: bool, note: Callable[[str], None]) -> Vectors:
    """The folder made or found again, and the rows; the main process comes first."""
    begun = has_begun(folder, recipe, main=main)
    vectors = build_vectors(recipe)
    if main:
        if begun:
            check_same(folder, vectors)
        for text in vectors.notes:
            note(text)
        folder.mkdir(parents=True, exist_ok=True)
        sizes = {name: len(getattr(vectors, name)) for name in SPLITS}
        card = {"path": vectors.source, "sha256": vectors.sha256, "sentences": sizes, "labels": []}
        card |= {"notes": vectors.notes, "files": vectors.files}
        write_text(folder / "corpus.json", json.dumps(card, indent=1))
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
    return vectors


def _start_from(model: VectorAutoencoder, start: str | Path) -> None:
    other = model_at(start) if (Path(start) / "recipe.yaml").exists() else VectorAutoencoder.from_pretrained(start)
    take_weights(model, other, start=start, same="model section and vectors of the same length")


def _card(recipe: VectorRecipe, ledger: Mapping[str, Any], model: VectorAutoencoder) -> str:
    """The model card: what it is, its ledger, how to use it."""
    head = ["---", "library_name: transformers", "tags: [textlatent, autoencoder]", "---", "", f"# {recipe.name}", ""]
    what = f"An autoencoder of vectors of {model.config.size} numbers through {model.config.latent_size} dimensions"
    body = [f"{what}: {model.num_parameters():,} parameters, kind `vectors` of textlatent.", "", "## Ledger", ""]
    use = [
        "## Use",
        "",
        "```python",
        "from textlatent.models.vector import VectorAutoencoder",
        "",
        'model = VectorAutoencoder.from_pretrained(".")',
    ]
    use += ["z = model.encode(rows)  # a float32 tensor [N, n]", "```", "", "## Recipe", "", "```yaml"]
    return "\n".join([*head, *body, ledger_table(ledger), "", *use, f"{dump_recipe(recipe)}```", ""])
