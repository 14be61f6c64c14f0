"""evaluate, of a run of kind `vectors`: nats, the plain error in its own unit, and the best linear code beside them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textlatent.corpus.vectors import Vectors, VectorSplit
from textlatent.diagnostics.cell import blank, mean_cell
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.linear import linear_code
from textlatent.models.vector import NO_DENSITY, VectorAutoencoder
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.vectors_folder import model_at, recipe_of, rows_of, vectors_of
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]


def evaluate(
    run: Run | str | Path,
    *,
    split: str | None = None,
    text: str | Path | None = None,
    samples: int | None = None,
    sentences: int | None = None,
    mixture: Sequence[str] = (),
    checkpoint: str = "final",
    precision: str | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The ledger of a run on a split or another file of rows; written to ledger.json and scores.safetensors beside it.

    `dist` is the plain error in the data's own unit, beside distortion_nats = lam * dist + constant; `linear` is what
    the best linear code of the training rows pays on the same rows.

    Args:
        run: a Run or its folder.
        split: train, valid or test; the recipe's evaluation.split if not given.
        text: a file of rows instead of a split; its ledger is ledger-NAME.json.
        samples: importance samples K per row; the recipe's if not given.
        sentences: how many rows, drawn by data.split_seed; the recipe's evaluation.rows if not given.
        mixture: splits whose posteriors enlarge the mixture of the information bounds.
        checkpoint: "final", "best" or "step-N".
        precision: "fp32", or None for it.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, at the end with {"event": "ledger", "ledger"}.

    Raises:
        ValueError: no such split or checkpoint, a fault in the file, fewer than one sample or row, or bf16.
    """
    run, recipe = recipe_of(run)
    if precision not in (None, "fp32"):
        raise ValueError(f"rows of numbers are scored in fp32, got precision {precision!r}; leave it out.")
    section, vectors, model = recipe.evaluation, vectors_of(run), model_at(run, checkpoint)
    name = str(text) if text is not None else split or section.split
    rows = rows_of(vectors, name, text, model, tensor=recipe.data.tensor)
    wanted = section.rows if sentences is None and text is None else sentences
    positions = choose(len(rows), wanted, recipe.data.split_seed)
    accelerator = accelerator or launch()
    draws = section.samples if samples is None else samples
    scores = evaluate_split(
        model.to(accelerator.device),
        rows,
        positions=positions,
        accelerator=accelerator,
        samples=draws if model.has_density else min(draws, 1),  # a point says the same every time
        seed=recipe.seed,
        tokens_per_batch=section.rows_per_batch,
        progress=progress,
    )
    context = {
        "split": name,
        "corpus": {"path": str(text), "sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}
        if text is not None
        else {"path": vectors.source, "sha256": vectors.sha256},
        "model": {"run": str(run.folder), "checkpoint": checkpoint, "type": model.config.model_type},
        "seed": recipe.seed,
        "versions": versions(),
        "notes": rows.notes,
    }
    others_ = _posteriors(model, vectors, mixture, name, positions)
    ledger = build_ledger(
        scores,
        ladder=section.ladder,
        others=others_,
        context=context | _in_units(model, scores, vectors, rows, positions),
    )
    if accelerator.is_main_process:
        suffix = "" if text is None and name == section.split else f"-{Path(name).stem}"
        with writing(run.folder / f"ledger{suffix}.json"):
            temporary = run.folder / ".scores.writing"
            scores.save(temporary, about=context)
            temporary.replace(run.folder / f"scores{suffix}.safetensors")
            write_text(run.folder / f"ledger{suffix}.json", json.dumps(ledger, indent=1))
        if progress is not None:
            progress({"event": "ledger", "ledger": ledger})
    return ledger


def _posteriors(
    model: VectorAutoencoder, vectors: Vectors, mixture: Sequence[str], name: str, positions: Tensor
) -> DiagonalGaussian | None:
    """Posteriors of other rows than those that are evaluated, for the mixture of the information bounds."""
    parts = []
    for split in dict.fromkeys(mixture):
        rest = torch.arange(len(getattr(vectors, split)))
        rest = rest[~torch.isin(rest, positions)] if split == name else rest
        if not len(rest):
            raise ValueError(f"mixture: every row of {split} is evaluated already; name another split.")
        found = model.encode(getattr(vectors, split).vectors[rest])
        if not isinstance(found, DiagonalGaussian):
            raise ValueError(f"mixture: {NO_DENSITY}; leave it out.")
        parts.append(found)
    if not parts:
        return None
    return DiagonalGaussian(torch.cat([p.mean for p in parts]), torch.cat([p.log_variance for p in parts]))


def _in_units(
    model: VectorAutoencoder, scores: Scores, vectors: Vectors, rows: VectorSplit, positions: Tensor
) -> dict[str, Any]:
    """The plain error in its own unit, and what the best linear code pays."""
    decoder, config = model.decoder, model.config
    dist = (scores.distortion() - decoder.constant) / decoder.lam
    cells: dict[str, Any] = {"unit": decoder.unit, "lam": decoder.lam, "constant_nats": decoder.constant}
    told: dict[str, Any] = {"dist": mean_cell(dist, "") | cells}
    if config.distortion != "l2":
        return told | {"linear": blank("the best linear code is known in closed form for squared error (l2) alone.")}
    lam = decoder.lam if model.has_density else None
    chosen = rows.vectors[positions]
    rate, error = linear_code(vectors.train.vectors, chosen, latent_size=config.latent_size, lam=lam)
    nats = decoder.lam * error + decoder.constant
    why = f"{NO_DENSITY}."
    linear = {
        "value": error.mean().item(),
        "se": mean_cell(error, "")["se"],
        "rate_nats": mean_cell(rate, why),
        "distortion_nats": mean_cell(nats, why),
        "neg_elbo_nats": mean_cell(None if rate is None else rate + nats, why),
        "unit": decoder.unit,
    }
    return told | {"linear": linear}
