"""score: nats for every sentence of a file, as CSV or JSONL."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from textlatent.nats.montecarlo import effective_sample_size, log_mean_exp
from textlatent.run.codes import marginals
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.training.checkpoint import writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch

COLUMNS = ("sentence", "tokens", "rate_nats", "distortion_nats", "neg_elbo_nats", "iw_nll_nats", "ess")
MARGINAL = "marginal_nll_nats"
"""One more column where z is codes and they are few enough: -ln P(y) itself, summed over all K^P of them."""


@by_kind
def score(
    run: Run | str | Path,
    file: str | Path,
    output: str | Path | None = None,
    *,
    samples: int | None = None,
    checkpoint: str = "final",
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """One row per sentence, in the file's order: rate, distortion, -ELBO and IW-NLL, nats, and the weights' ESS.

    A run whose codes can all be summed over (K^P of them for each sentence, `run.codes.EXACT` pairs) has -ln P(y) too.

    Args:
        run: a Run or its folder.
        file: sentences, one a line, or a file with a column as in the recipe.
        output: NAME.csv or NAME.jsonl to write as well.
        samples: importance samples K per sentence; the recipe's if not given.
        checkpoint: "final", "best" or "step-N".
        progress: called with {"event": "progress", "done", "total"}, and with a note for whatever was left out.

    Raises:
        ValueError: an ending other than .csv or .jsonl, or a fault in the file.
    """
    run = run if isinstance(run, Run) else Run(run)
    if output is not None and Path(output).suffix not in (".csv", ".jsonl"):
        raise ValueError(f"the output must end in .csv or .jsonl, got {output}.")
    encoded = run.text(file)
    accelerator = launch()
    model = run.model_at(checkpoint).to(accelerator.device)
    settings: dict[str, Any] = {
        "positions": torch.arange(len(encoded)),
        "accelerator": accelerator,
        "tokens_per_batch": run.recipe.evaluation.tokens_per_batch,
        "precision": run.recipe.evaluation.precision,
        "pad_id": run.tokenizer.pad_token_id,
        "progress": progress,
    }
    scores = evaluate_split(
        model,
        encoded,
        samples=run.recipe.evaluation.samples if samples is None else samples,
        seed=run.recipe.seed,
        keep_latents=False,
        **settings,
    )
    exact = marginals(model, encoded, **settings)
    weights = scores.log_weights()
    columns = (
        encoded.texts(torch.arange(len(encoded))),
        encoded.lengths.tolist(),
        scores.rate().tolist(),
        scores.distortion().tolist(),
        scores.neg_elbo().tolist(),
        (-log_mean_exp(weights)).tolist(),
        effective_sample_size(weights).tolist(),
    )
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
    if exact is not None:
        rows = [row | {MARGINAL: -log_p} for row, log_p in zip(rows, exact.tolist(), strict=True)]
    if output is not None and accelerator.is_main_process:
        write_rows(rows, Path(output))
    if progress is not None and accelerator.is_main_process:
        for note in encoded.notes:
            progress({"event": "note", "text": note})
    return rows


def write_rows(rows: list[dict[str, Any]], output: Path) -> None:
    """Write the rows as CSV or JSONL, by the file's ending."""
    with writing(output), output.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
