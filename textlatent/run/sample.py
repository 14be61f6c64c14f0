"""sample: sentences written from draws of the prior."""

from pathlib import Path
from typing import Any

import torch

from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind


@by_kind
def sample(
    run: Run | str | Path, count: int = 10, *, seed: int = 0, checkpoint: str = "final", **generation: Any
) -> list[str]:
    """Sentences decoded from z ~ P_pri: decompressed noise (THEORY T1).

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the draws. The i-th z is the same however many are asked for; its words, drawn together with the
            others', are the same for the same count.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings. Words are drawn too (do_sample=True), because P(y) =
            E_pri P_dec(y|z) is a distribution over sentences, not over their modes; beams alone search instead.

    Raises:
        ValueError: fewer than one sentence, or no such checkpoint.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    z = model.sample_prior(count, seed=seed)
    torch.manual_seed(seed)
    return model.decode(z, **_with_words_drawn(generation))


def _with_words_drawn(generation: dict[str, Any]) -> dict[str, Any]:
    """The settings, words drawn from all of P_dec unless they say otherwise."""
    searches = generation.get("num_beams", 1) > 1 and not generation.keys() & {"temperature", "top_p", "top_k"}
    settings = {"do_sample": not searches, **generation}
    return {"top_k": 0, **settings} if settings["do_sample"] else settings
