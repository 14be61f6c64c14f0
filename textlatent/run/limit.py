"""limit: a run of codes -> how far its encoder and prior are from the best that its decoder allows."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch

from textlatent.diagnostics.limit import CodeLimit, code_limit
from textlatent.report.limit import limit_figure
from textlatent.report.plots import save_run_figure
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.training.checkpoint import write_text
from textlatent.training.evaluate import evaluate, evaluate_at
from textlatent.training.launch import launch

SENTENCES, CODES = 200, 4096


@by_kind
def limit(
    run: Run | str | Path,
    *,
    split: str | None = None,
    sentences: int = SENTENCES,
    checkpoint: str = "final",
    codes: int = CODES,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> CodeLimit:
    """R(D) of the run's decoder over all its codes, with the run's own point; written to limit.json and limit.png.

    The decoder scores every sentence under every code: N K^P passes.

    Args:
        run: a Run or its folder; its model has codes.
        split: train, valid or test; the recipe's evaluation.split if not given.
        sentences: N, drawn by data.split_seed.
        checkpoint: "final", "best" or "step-N".
        codes: the largest K^P.
        progress: called with {"event": "progress", "done", "total"} in codes.

    Raises:
        ValueError: a model without codes, or with more of them than `codes`; no such split or checkpoint.
    """
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    if model.quantiser is None:
        raise ValueError("limit needs a model with codes, and this one's z are numbers; take a run of model.type vq.")
    alphabet, positions = model.config.codes, model.config.positions
    if alphabet**positions > codes:
        raise ValueError(
            f"R(D) is over all {alphabet}^{positions} codes, more than {codes:,}; raise codes, or train with fewer "
            "codes or positions."
        )
    accelerator = launch()
    model.to(accelerator.device)
    encoded = run.split(split or run.recipe.evaluation.split)
    chosen = choose(len(encoded), sentences, run.recipe.data.split_seed)
    settings: dict[str, Any] = {
        "positions": chosen,
        "accelerator": accelerator,
        "tokens_per_batch": run.recipe.evaluation.tokens_per_batch,
        "pad_id": run.tokenizer.pad_token_id,
    }
    scores = evaluate(model, encoded, **settings)
    every = torch.tensor(list(product(range(alphabet), repeat=positions)))
    columns = []
    for number, code in enumerate(every, 1):
        z = model.quantiser.look_up(code[None].to(model.device)).detach().cpu().expand(len(chosen), -1)
        columns.append(evaluate_at(model, encoded, z, **settings).need("log_p_dec")[0])
        if progress is not None and accelerator.is_main_process:
            progress({"event": "progress", "what": "scoring codes", "done": number, "total": len(every)})
    place = alphabet ** torch.arange(positions - 1, -1, -1)
    own = (scores.need("codes")[0] * place).sum(1)
    found = code_limit(torch.stack(columns, 1), own, scores.rate())
    if accelerator.is_main_process:
        write_text(run.folder / "limit.json", json.dumps(found.to_dict(), indent=1))
        save_run_figure(run.folder / "limit.png", limit_figure(found, name=run.recipe.name))
    return found
