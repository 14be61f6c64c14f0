"""sample, score and encode, of a run of kind `latent_class`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from textlatent.run.folder import Run
from textlatent.run.latent_class_folder import model_at, recipe_of
from textlatent.run.score import COLUMNS, write_rows
from textlatent.training.checkpoint import writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.launch import launch


def sample(
    run: Run | str | Path, count: int = 10, *, seed: int = 0, checkpoint: str = "final", **generation: Any
) -> list[str]:
    """Sentences drawn from P_dec(y|z), z ~ P_pri.

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the draws.
        checkpoint: "final", "best" or "step-N".
        generation: do_sample=True alone, which is what is done: words are drawn from tables as they are.

    Raises:
        ValueError: fewer than one sentence, no such checkpoint, or a setting of another kind of decoder.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    model = model_at(run, checkpoint)
    z = model.sample_prior(count, seed=seed)
    torch.manual_seed(seed)
    return model.decode(z, **generation)


def score(
    run: Run | str | Path,
    file: str | Path,
    output: str | Path | None = None,
    *,
    samples: int | None = None,
    checkpoint: str = "final",
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """One row per sentence, in the file's order: rate, distortion, -ELBO and -ln P(y), nats, all exact.

    Args:
        run: a Run or its folder.
        file: sentences, one a line, or a file with a column as in the recipe.
        output: NAME.csv or NAME.jsonl to write as well.
        samples: none: iw_nll_nats is -ln P(y) itself, a sum over z, and so the weights' ess is 1 of 1.
        checkpoint: "final", "best" or "step-N".
        progress: called with {"event": "progress", "done", "total"}, and with a note for whatever was left out.

    Raises:
        ValueError: an ending other than .csv or .jsonl, samples, or a fault in the file.
    """
    if samples is not None:
        raise ValueError("-ln P(y) is an exact sum over z here: leave `samples` out.")
    if output is not None and Path(output).suffix not in (".csv", ".jsonl"):
        raise ValueError(f"the output must end in .csv or .jsonl, got {output}.")
    run, recipe = recipe_of(run)
    encoded = run.text(file)
    accelerator = launch()
    scores = evaluate_split(
        model_at(run, checkpoint).to(accelerator.device),
        encoded,
        accelerator=accelerator,
        seed=recipe.seed,
        tokens_per_batch=recipe.evaluation.tokens_per_batch,
        keep_latents=False,
        pad_id=run.tokenizer.pad_token_id,
        progress=progress,
    )
    columns = (
        encoded.texts(torch.arange(len(encoded))),
        encoded.lengths.tolist(),
        scores.rate().tolist(),
        scores.distortion().tolist(),
        scores.neg_elbo().tolist(),
        (-scores.log_weights()[0]).tolist(),
        [1.0] * len(encoded),
    )
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*columns, strict=True)]
    if output is not None and accelerator.is_main_process:
        write_rows(rows, Path(output))
    if progress is not None and accelerator.is_main_process:
        for note in encoded.notes:
            progress({"event": "note", "text": note})
    return rows


def encode(run: Run | str | Path, file: str | Path, output: str | Path, *, checkpoint: str = "final") -> dict[str, Any]:
    """What was written: {"sentences", "latent_size", "output", "notes"}.

    .safetensors holds `mean`, P(k|y) [N, K], and `codes`, the likeliest class [N, 1]; of an HMM the share of a
    sentence's words that each state is expected to have, and the likeliest states (Viterbi) [N, T], -1 beyond its end.
    .npy holds the means alone.

    Args:
        run: a Run or its folder.
        file: sentences, one a line, or a file with a column as in the recipe.
        output: NAME.safetensors or NAME.npy.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: another ending, or a fault in the file.
    """
    run, output = run if isinstance(run, Run) else Run(run), Path(output)
    if output.suffix not in (".safetensors", ".npy"):
        raise ValueError(f"the output must end in .safetensors or .npy, got {output}.")
    split = run.text(file)
    found = model_at(run, checkpoint).encode(split.texts(range(len(split))))
    with writing(output):
        if output.suffix == ".npy":
            np.save(output, found.mean.numpy(), allow_pickle=False)
        else:
            save_file({"mean": found.mean.numpy(), "codes": found.codes.numpy()}, str(output))
    return {"sentences": len(split), "latent_size": found.mean.shape[1], "output": str(output), "notes": split.notes}
