"""The verbs of runs of kind `ring`: fitted to counts where potentials are shared, else trained by the loop (T14)."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textlatent.contrasts.ring_basis import Basis
from textlatent.contrasts.ring_counts import Counts, count
from textlatent.contrasts.ring_errors import sandwich, sequence_variability, standard_errors
from textlatent.contrasts.ring_fit import METHODS, Fit, fit
from textlatent.contrasts.ring_model import RingModel
from textlatent.corpus.alphabet import Alphabet
from textlatent.corpus.encoding import EncodedSplit
from textlatent.models.backbone import quiet
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import Source, load_any, of_kind
from textlatent.recipe.ring import RingRecipe, RingTraining
from textlatent.report.ring import save_fit_figure, save_sites_figure
from textlatent.run import build
from textlatent.run.begin import has_begun, noter, trackers_may_fail
from textlatent.run.corpus import build_corpus
from textlatent.run.folder import Run
from textlatent.run.recipes import find_recipe
from textlatent.run.ring_evaluate import evaluate, sample
from textlatent.run.ring_folder import (
    CRITERION,
    alphabet_of,
    build_alphabet,
    build_model,
    build_options,
    build_split,
    build_stage,
    ring_at,
)
from textlatent.run.train import finish
from textlatent.training.checkpoint import write_folder, write_text
from textlatent.training.launch import deterministic, launch, threads
from textlatent.training.loop import Trainer

VERBS = ("train", "evaluate", "sample")
__all__ = ["VERBS", "evaluate", "sample", "train"]

Progress = Callable[[dict[str, Any]], None]
Note = Callable[[str], None]


def train(
    recipe: Source,
    *,
    overrides: Iterable[str] = (),
    out: str | Path | None = None,
    progress: Progress | None = None,
    start: str | Path | None = None,
) -> Run:
    """The fitted run, evaluated at the end; one of the loop is resumed where its folder holds a checkpoint.

    Args:
        recipe: a YAML file, the name of one that comes along, the values themselves, or a RingRecipe.
        overrides: "model.labels=20", ...
        out: the folder that holds runs; the recipe's `out` if not given.
        progress: called with every event.
        start: must not be given: both fits are convex, and where they begin is of no account.

    Raises:
        ValueError: a fault in the recipe, the corpus or the folder; the message says what to do.
        TrainingStopped: SIGTERM came; a checkpoint was written and the same call goes on from it.
    """
    quiet()
    if start is not None:
        raise ValueError("a ring's fit is convex: where it starts is of no account. Leave start out.")
    path = find_recipe(recipe) if isinstance(recipe, (str, Path)) else recipe
    loaded = of_kind(load_any(path, overrides), RingRecipe)
    folder = Path(out or loaded.out) / loaded.name
    section = loaded.training or RingTraining()
    accelerator = launch(trackers=section.trackers, folder=folder)
    tell = progress or (lambda event: None)
    with threads(section.threads), deterministic(section.deterministic):
        return _train(loaded, folder, accelerator, tell)


def _train(recipe: RingRecipe, folder: Path, accelerator: Any, tell: Progress) -> Run:
    note = noter(accelerator, tell)
    with accelerator.main_process_first():
        run, alphabet, splits = _prepare(recipe, folder, accelerator.is_main_process, note)
    for split in splits.values():
        for text in split.notes:
            note(text)
    if recipe.model.potentials == "shared":
        if accelerator.is_main_process:
            _fit(run, recipe, alphabet, splits["train"], note)
        accelerator.wait_for_everyone()
    else:
        _loop(run, recipe, alphabet, splits, accelerator, tell)
    ledger = evaluate(run, progress=tell, accelerator=accelerator)
    if accelerator.is_main_process:
        _keep(run, recipe, ledger)
    accelerator.wait_for_everyone()
    return run


def _prepare(recipe: RingRecipe, folder: Path, main: bool, note: Note) -> tuple[Run, Alphabet, dict[str, EncodedSplit]]:
    """The folder made or found again, and the text as labels; the main process comes first."""
    begun = has_begun(folder, recipe, main=main, finished=True)
    corpus = build_corpus(recipe.data)
    if main:
        if begun:
            Run(folder).check_corpus(corpus)
        for text in corpus.notes:
            note(text)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "corpus.json", json.dumps(build.corpus_card(corpus), indent=1))
        alphabet = build_alphabet(recipe, corpus)
        content = {"unit": alphabet.unit, "end": alphabet.end, "symbols": alphabet.symbols}
        write_text(folder / "labels.json", json.dumps(content, indent=1, ensure_ascii=False))
        write_text(folder / "recipe.yaml", dump_recipe(recipe))
    run = Run(folder)
    alphabet = alphabet_of(run)
    names: dict[str, None] = dict.fromkeys(("train", "valid", recipe.evaluation.split))
    splits = {name: build_split(name, corpus, alphabet, recipe) for name in names}
    if main:
        sizes, numbers = splits["train"].lengths.unique(return_counts=True)
        found = {str(size): number for size, number in zip(sizes.tolist(), numbers.tolist(), strict=True)}
        write_text(folder / "sizes.json", json.dumps(found, indent=1))
    return run, alphabet, splits


def _fit(run: Run, recipe: RingRecipe, alphabet: Alphabet, split: EncodedSplit, note: Note) -> None:
    """Both fits from one pass of counting; the one asked for becomes the model, fit.json and the figure hold both."""
    closed, ridge = recipe.model.closed, 1.0 if recipe.fit.ridge is None else recipe.fit.ridge
    counts: Counts = count(split.tokens, split.offsets, labels=len(alphabet), closed=closed)
    basis = Basis.full(len(alphabet), fields=not closed)
    note(f"{len(split):,} sequences of {counts.sites:,.0f} sites counted; the fits no longer see them.")
    fits = {method: fit(counts, basis, method=method, ridge=ridge) for method in METHODS}
    errors = {
        method: standard_errors(sandwich(found, sequence_variability(found, split.tokens, split.offsets))).tolist()
        for method, found in fits.items()
    }
    write_text(run.folder / "fit.json", json.dumps(_fit_card(fits, errors, alphabet), ensure_ascii=False))
    chosen = fits[recipe.fit.method]
    fields = {name: getattr(build_model(recipe, alphabet).config, name) for name in ("symbols", "unit", "end")}
    model = RingModel.of(chosen.ring(2), criterion=CRITERION[recipe.fit.method], **fields)
    write_folder(run.folder / "final", model.save_pretrained)
    save_fit_figure(run.folder / "ring.png", json.loads((run.folder / "fit.json").read_text(encoding="utf-8")))


def _fit_card(fits: dict[str, Fit], errors: dict[str, list[float]], alphabet: Alphabet) -> dict[str, Any]:
    """fit.json: potentials of both fits with their sandwich standard errors, nats."""
    first = next(iter(fits.values()))
    return {
        "symbols": alphabet.symbols,
        "names": first.basis.names,
        "closed": first.counts.closed,
        "ridge": first.ridge,
        "pairs": first.counts.pairs.tolist(),
        "sites": first.counts.sites,
        "sequences": float(first.counts.numbers.sum()),
        **{
            method: {
                "theta_nats": found.theta.tolist(),
                "se_nats": errors[method],
                "value_nats": found.value,
                "newton_steps": found.steps,
            }
            for method, found in fits.items()
        },
    }


def _loop(
    run: Run, recipe: RingRecipe, alphabet: Alphabet, splits: dict[str, EncodedSplit], accelerator: Any, tell: Progress
) -> None:
    """Potentials of each edge and site, by the one loop of everything else."""
    note = noter(accelerator, tell)
    with trackers_may_fail(note):
        accelerator.init_trackers("textlatent", config={"recipe": dump_recipe(recipe)})
    model = build_model(recipe, alphabet)
    trainer = Trainer(
        model,
        train=splits["train"],
        valid=splits["valid"],
        stages=[build_stage(recipe)],
        options=build_options(recipe),
        folder=run.folder,
        seed=recipe.seed,
        accelerator=accelerator,
        progress=tell,
    )
    position = trainer.fit()
    if position.stopped_early:
        note(f"stopped early at step {position.step}: {position.without_better} validations without a better one.")
    finish(run, model, accelerator, position.best_step, note)
    if accelerator.is_main_process:
        found = ring_at(run)
        save_sites_figure(
            run.folder / "ring.png",
            edges=found.decoder.edges.detach().tolist(),
            fields=found.decoder.fields.detach().tolist(),
            symbols=alphabet.symbols,
            metrics=run.metrics,
        )
    with trackers_may_fail(note):
        accelerator.end_training()


def _keep(run: Run, recipe: RingRecipe, ledger: dict[str, Any]) -> None:
    """What a finished run leaves beside its model: samples and a card."""
    drawn = sample(run, 10, seed=recipe.seed)
    write_text(run.folder / "samples.json", json.dumps({"samples": drawn}, indent=1, ensure_ascii=False))
    names = ("distortion_nats", "nll_per_site_nats", "pseudo_nll_nats", "pseudo_nll_per_site_nats")
    lines = [f"- {name}: {ledger[name]['value']:.4f}" for name in names]
    card = ["---", "library_name: transformers", "tags: [textlatent, ring]", "---", "", f"# {recipe.name}", ""]
    card += [f"A ring of {recipe.model.unit}, kind `ring` of textlatent; distortion_nats is -ln P(Y), exact.", ""]
    card += [*lines, "", "```python", "from textlatent.contrasts.ring_model import RingModel", ""]
    card += ['ring = RingModel.from_pretrained(".").ring(40)', "```", "", "```yaml", f"{dump_recipe(recipe)}```", ""]
    write_text(run.folder / "final" / "README.md", "\n".join(card))
