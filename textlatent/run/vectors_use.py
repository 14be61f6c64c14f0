"""encode and diagnose, of a run of kind `vectors`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor

from textlatent.diagnostics import verdict
from textlatent.diagnostics.verdict import Diagnosis
from textlatent.models.vector import NO_DENSITY, VectorAutoencoder
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.conditions import others, prior_latents
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.vectors_folder import model_at, read_rows, recipe_of, rows_of, vectors_of
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]


def encode(run: Run | str | Path, file: str | Path, output: str | Path, *, checkpoint: str = "final") -> dict[str, Any]:
    """What was written: {"sentences", "latent_size", "output", "notes"}, "sentences" counting rows.

    .safetensors holds `mean` and `log_variance`, float32 [N, D], or `z` where the encoder gives points; .npy holds the
    means, or the points.

    Args:
        run: a Run or its folder.
        file: rows of numbers, .npy, .safetensors, .csv or .tsv.
        output: NAME.safetensors or NAME.npy.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: another ending, or a fault in the file.
    """
    output = Path(output)
    if output.suffix not in (".safetensors", ".npy"):
        raise ValueError(f"the output must end in .safetensors or .npy, got {output}.")
    run, recipe = recipe_of(run)
    model = model_at(run, checkpoint)
    matrix = read_rows(file, model, tensor=recipe.data.tensor)
    found = model.encode(matrix)
    if isinstance(found, DiagonalGaussian):
        tensors = {"mean": found.mean.numpy(), "log_variance": found.log_variance.contiguous().numpy()}
    else:
        tensors = {"z": found.numpy()}
    first = np.ascontiguousarray(next(iter(tensors.values())))
    with writing(output):
        if output.suffix == ".npy":
            np.save(output, first, allow_pickle=False)
        else:
            save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, str(output))
    return {"sentences": len(matrix), "latent_size": first.shape[1], "output": str(output), "notes": []}


def diagnose(
    run: Run | str | Path,
    *,
    conditions: bool = True,
    refine: bool = True,
    sentences: int | None = None,
    split: str | None = None,
    checkpoint: str = "final",
    baseline: str | Path | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
    **thresholds: float,
) -> Diagnosis:
    """The verdict on a run, written to diagnosis.json; what is said of words has no value here.

    Args:
        run: a Run or its folder.
        conditions: also score another row's z, draws of the prior and its mean.
        refine: posteriors of rows are not refined; a note says so where they were asked for.
        sentences: how many rows, drawn by data.split_seed; the recipe's evaluation.rows if not given.
        split: train, valid or test; the recipe's evaluation.split if not given.
        checkpoint: "final", "best" or "step-N".
        baseline: there is none for rows.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"} and notes.
        **thresholds: of `diagnostics.checks.Thresholds`.

    Raises:
        ValueError: the encoder gives points, an unknown threshold, split or checkpoint.
    """
    run, recipe = recipe_of(run)
    verdict.read_thresholds(thresholds)
    if baseline is not None:
        raise ValueError("a baseline is a language model; rows of numbers have none. Leave it out.")
    if refine and progress is not None:
        progress({"event": "note", "text": "posteriors of rows of numbers are not refined: no inference gap is told."})
    model, name = model_at(run, checkpoint), split or recipe.evaluation.split
    if not model.has_density:
        raise ValueError(f"{run.folder}: {NO_DENSITY}, so that there is nothing to diagnose; its error is its ledger.")
    rows = rows_of(vectors_of(run), name, None, model)
    wanted = recipe.evaluation.rows if sentences is None else sentences
    positions = choose(len(rows), wanted, recipe.data.split_seed)
    settings: dict[str, Any] = {"seed": recipe.seed, "accelerator": accelerator or launch(), "progress": progress}
    own = evaluate_split(
        model, rows, positions=positions, tokens_per_batch=recipe.evaluation.rows_per_batch, **settings
    )
    given: dict[str, Any] = dict(thresholds)
    if conditions:
        given |= _elsewhere(model, rows.vectors[positions], own, recipe.seed)
    found = verdict.diagnose(
        own,
        target_rate=recipe.objective.target_rate or recipe.objective.minimum_rate or recipe.objective.capacity,
        **given,
    )
    if settings["accelerator"].is_main_process:
        about = {"split": name, "model": {"run": str(run.folder), "checkpoint": checkpoint}, "seed": recipe.seed}
        content = found.to_dict() | about | {"versions": versions()}
        write_text(run.folder / "diagnosis.json", json.dumps(content, indent=1, allow_nan=False))
    return found


@torch.no_grad()
def _elsewhere(model: VectorAutoencoder, rows: Tensor, own: Scores, seed: int) -> dict[str, Scores]:
    """The same rows under another row's z, draws of the prior and its mean."""
    index, found = own.need("index"), {}
    for name, z in (
        ("other", own.need("z")[0][others(len(rows), seed)] if len(rows) > 1 else None),
        ("prior_draw", prior_latents(model, index, seed=seed)),
        ("prior_mean", prior_latents(model, index, seed=seed, mean=True)),
    ):
        if z is not None:
            log_prob = model.decoder.log_prob(rows.to(model.device), z.to(model.device, model.dtype))
            found[name] = Scores(log_p_dec=log_prob[None].cpu(), index=index)
    return found
