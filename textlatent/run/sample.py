"""sample: sentences written from draws of the prior."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textlatent.models import Autoencoder, SentenceVQ
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind


@by_kind
def sample(
    run: Run | str | Path,
    count: int = 10,
    *,
    seed: int = 0,
    code_temperature: float | None = None,
    checkpoint: str = "final",
    **generation: Any,
) -> list[str]:
    """Sentences decoded from z ~ P_pri: decompressed noise (THEORY T1); first codes, then words, where z are codes.

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the draws. The i-th z is the same however many are asked for; its words, drawn together with the
            others', are the same for the same count.
        code_temperature: of P_pri(k), where z are codes: below 1, likelier ones; P_pri itself if not given.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings. Words are drawn too (do_sample=True), because P(y) =
            E_pri P_dec(y|z) is a distribution over sentences, not over their modes; beams alone search instead.

    Raises:
        ValueError: fewer than one sentence, no such checkpoint, or a temperature of codes that there are not.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    z = _drawn(model, count, seed=seed, code_temperature=code_temperature)
    torch.manual_seed(seed)
    return model.decode(z, **_with_words_drawn(generation))


def _drawn(model: Autoencoder, count: int, *, seed: int, code_temperature: float | None) -> Tensor:
    """z, or codes, ~ P_pri."""
    if code_temperature is None:
        return model.sample_prior(count, seed=seed)
    if not isinstance(model, SentenceVQ):
        raise ValueError("code_temperature is of a prior over codes, and this model has none; leave it out.")
    return model.sample_codes(count, seed=seed, temperature=code_temperature)


def _with_words_drawn(generation: dict[str, Any]) -> dict[str, Any]:
    """The settings, words drawn from all of P_dec unless they say otherwise."""
    searches = generation.get("num_beams", 1) > 1 and not generation.keys() & {"temperature", "top_p", "top_k"}
    settings = {"do_sample": not searches, **generation}
    return {"top_k": 0, **settings} if settings["do_sample"] else settings
