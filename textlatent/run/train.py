"""train: a recipe -> a run with its model, its ledger and its Scores."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from textlatent.corpus.tokenizer import tokenizer_sha256
from textlatent.models import Autoencoder, load_model
from textlatent.models.backbone import quiet
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.report.plots import run_figure, save_run_figure
from textlatent.run import build
from textlatent.run.begin import Note, begin_on_text, noter, take_weights, trackers_may_fail
from textlatent.run.card import write_card
from textlatent.run.diagnose import asked_rate
from textlatent.run.evaluate import evaluate
from textlatent.run.folder import Run
from textlatent.run.interpolate import interpolate
from textlatent.run.kinds import by_kind
from textlatent.run.recipes import find_recipe
from textlatent.run.reconstruct import reconstruct
from textlatent.run.sample import sample
from textlatent.training.checkpoint import Checkpoints, write_folder, write_text
from textlatent.training.launch import deterministic, launch, threads
from textlatent.training.loop import Trainer

Progress = Callable[[dict[str, Any]], None]


@by_kind
def train(
    recipe: str | Path | Mapping[str, Any] | Recipe,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    progress: Progress | None = None,
    start: str | Path | None = None,
) -> Run:
    """The trained run: resumed where its folder holds a checkpoint, evaluated at the end.

    Args:
        recipe: a YAML file, the name of one that comes along, the values themselves, or a Recipe.
        overrides: "training.steps=500", ...
        out: the folder that holds runs; the recipe's `out` if not given.
        progress: called with every event (a dict with "event": note, log, validate, sample, progress, ledger).
        start: another run's folder (or any saved model) whose weights to begin with.

    Raises:
        ValueError: a fault in the recipe, the corpus or the folder; the message says what to do.
        TrainingStopped: SIGTERM came; a checkpoint was written and the same call goes on from it.
    """
    quiet()
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = load_recipe(path, overrides)
    folder = Path(out or loaded.out) / loaded.name
    accelerator = launch(trackers=loaded.training.trackers, folder=folder)
    with threads(loaded.training.threads), deterministic(loaded.training.deterministic):
        return _train(loaded, folder, accelerator, progress or (lambda event: None), start)


def _train(recipe: Recipe, folder: Path, accelerator: Any, tell: Progress, start: str | Path | None) -> Run:
    """Everything made, the loop run, what came of it kept."""
    note = noter(accelerator, tell)
    with accelerator.main_process_first():
        run, pieces = _prepare(recipe, folder, accelerator.is_main_process, note)
    model = build.build_model(recipe, pieces["tokenizer"], note=note)
    if start is not None and not Checkpoints(folder / "checkpoints").any_valid():
        _start_from(model, start, note)
    with trackers_may_fail(note):
        accelerator.init_trackers("textlatent", config={"recipe": dump_recipe(recipe)})
    trainer = Trainer(
        model,
        train=pieces["train"],
        valid=pieces["valid"],
        stages=build.build_stages(recipe),
        options=build.build_options(recipe),
        folder=folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
        sampler=_sampler(pieces["valid"].texts(list(range(min(3, len(pieces["valid"]))))), recipe.seed),
        pad_id=pieces["tokenizer"].pad_token_id,
    )
    position = trainer.fit()
    if position.stopped_early:
        note(f"stopped early at step {position.step}: {position.without_better} validations without a better one.")
    finish(run, model, accelerator, position.best_step, note)
    ledger = evaluate(run, checkpoint="final", progress=tell, accelerator=accelerator)
    if accelerator.is_main_process:
        _keep(run, ledger)
    accelerator.wait_for_everyone()
    with trackers_may_fail(note):
        accelerator.end_training()
    return run


def _keep(run: Run, ledger: dict[str, Any]) -> None:
    """What a finished run leaves beside its model: card, samples, figure."""
    write_card(run, ledger)
    _write_samples(run)
    figure = run_figure(run.metrics, ledger, target_rate=asked_rate(run.recipe))
    save_run_figure(run.folder / "training.png", figure)


def _prepare(recipe: Recipe, folder: Path, main: bool, note: Note) -> tuple[Run, dict[str, Any]]:
    """The run, with tokenizer and splits; the main process comes first."""
    run = begin_on_text(recipe, folder, main=main, note=note)
    pieces: dict[str, Any] = {"tokenizer": run.tokenizer}
    for name in dict.fromkeys(("train", "valid", recipe.evaluation.split)):  # a fault in any is better known now
        pieces[name] = run.split(name)
        for text in pieces[name].notes:
            note(text)
    return run, pieces


def _start_from(model: Autoencoder, start: str | Path, note: Callable[[str], None]) -> None:
    """Begin with another run's weights.

    Raises:
        ValueError: they are of another shape; the message says which.
    """
    other = Run(start).model if (Path(start) / "recipe.yaml").exists() else load_model(start)
    tokenizers = (other.tokenizer, model.tokenizer)
    if None not in tokenizers and len({tokenizer_sha256(each) for each in tokenizers if each is not None}) > 1:
        raise ValueError(
            f"cannot start from {start}: its tokenizer is another, so the same number is another word. Set "
            "tokenizer.path to the folder that holds its tokenizer."
        )
    take_weights(model, other, start=start, same="model and tokenizer sections")
    note(f"started from the weights of {start}.")


def _sampler(texts: list[str], seed: int) -> Callable[[Autoencoder], dict[str, list[str]]]:
    """Texts to look at during training: three draws from the prior, and three reconstructions."""

    def look(model: Autoencoder) -> dict[str, list[str]]:
        drawn = model.decode(model.sample_prior(3, seed=seed)) if model.has_prior else []
        if not model.config.latent_size:  # nothing to come back from
            return {"samples": drawn}
        return {"samples": drawn, "originals": texts, "reconstructions": model.decode(model.encode(texts).mean)}

    return look


def _write_samples(run: Run) -> None:
    """samples.json: ten sentences from the prior; where there is a z, five there and back, one path between two."""
    drawn = sample(run, 10, seed=run.recipe.seed) if run.model.has_prior else []
    content: dict[str, Any] = {"samples": drawn, "reconstructions": [], "interpolation": None}
    if run.recipe.model.latent_size:
        pairs = reconstruct(run, count=5, split=run.recipe.evaluation.split)
        first, second = (pairs.originals * 2)[:2]
        path = interpolate(run, first, second)
        content["reconstructions"] = list(zip(pairs.originals, pairs.reconstructions, strict=True))
        content["interpolation"] = {"first": first, "second": second, "at": path.at, "sentences": path.sentences}
    write_text(run.folder / "samples.json", json.dumps(content, indent=1, ensure_ascii=False))


def finish(run: Run, model: Any, accelerator: Any, best: int | None, note: Callable[[str], None]) -> None:
    """final/: the best model; the last one, and a word about it, where no validation was eligible."""
    if accelerator.is_main_process:
        chosen = type(model).from_pretrained(run.weights("best")) if best is not None else model
        if best is None:
            note(
                "no validation came within 10 % of the rate asked for (or after the schedule): final/ is the last step."
            )
        write_folder(run.folder / "final", chosen.save_pretrained)
    accelerator.wait_for_everyone()
