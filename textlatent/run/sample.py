"""sample: sentences written from draws of the prior."""

from pathlib import Path
from typing import Any

import torch

from textlatent.nats.noise import PRIOR_DRAW, normal
from textlatent.run.folder import Run


def sample(
    run: Run | str | Path, count: int = 10, *, seed: int = 0, checkpoint: str = "final", **generation: Any
) -> list[str]:
    """Sentences decoded from z ~ P_pri: decompressed noise (THEORY T1).

    Args:
        run: a Run or its folder.
        count: how many.
        seed: of the draws; draw i is the same however many are asked for.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings. Words are drawn too (do_sample=True) unless told otherwise,
            because P(y) = E_pri P_dec(y|z) is a distribution over sentences, not over their modes.
    """
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    prior = model.prior()
    noise = normal(torch.arange(count), seed=seed, shape=(model.config.latent_size,), stream=PRIOR_DRAW)[0]
    torch.manual_seed(seed)
    with torch.no_grad():
        z = prior.sample(noise.to(prior.mean))
    settings: dict[str, Any] = {"do_sample": True, "top_k": 0, **generation}
    if settings.get("num_beams", 1) > 1 and "do_sample" not in generation:
        settings["do_sample"] = False
    return model.decode(z, **_without_sampling_settings(settings))


def _without_sampling_settings(settings: dict[str, Any]) -> dict[str, Any]:
    if settings["do_sample"]:
        return settings
    return {name: value for name, value in settings.items() if name not in ("top_k", "top_p", "temperature")}
