"""baseline: the run's own decoder trained without z, by the same steps, and what z is worth against it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from textlatent.recipe.model import Model
from textlatent.recipe.objective import Objective
from textlatent.recipe.schema import Recipe
from textlatent.recipe.training import Stage
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.train import train

FOLDER = "baseline"


@by_kind
def baseline(
    run: Run | str | Path,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Run:
    """The language model that a run's gain is measured against, trained into RUN/baseline; again, to resume.

    It is the run's recipe with model.latent_size 0: the same text, tokens, decoder and optimiser, -ln P(y) for the
    loss, one stage of as many steps as the decoder learned for, and the same sentences to be judged on.

    Args:
        run: a Run or its folder.
        progress: called with every event of the training.

    Raises:
        ValueError: the run is a language model itself, its corpus has changed, or what `train` refuses.
        TrainingStopped: as `train`; the same call goes on from the checkpoint.
    """
    run = run if isinstance(run, Run) else Run(run)
    if not run.recipe.model.latent_size:
        raise ValueError(f"{run.folder} is a language model itself (model.latent_size is 0): it needs no baseline.")
    _ = run.corpus  # refused where it is no longer the run's: another text would be another question
    return train(baseline_recipe(run.recipe, out=run.folder), progress=progress)


def baseline_recipe(recipe: Recipe, *, out: str | Path) -> Recipe:
    """The recipe of the language model: what concerns z at its defaults, all else the run's own."""
    return recipe.model_copy(
        update={
            "name": FOLDER,
            "out": str(out),
            "model": Model(latent_size=0, decoder=recipe.model.decoder),
            "objective": Objective(),
            "training": recipe.training.model_copy(update={"steps": decoder_steps(recipe)}),
            "stages": [Stage()],
        }
    )


def decoder_steps(recipe: Recipe) -> int:
    """Optimiser steps of the decoder's own since it last began anew; all of the run's where it never learned."""
    steps = 0
    for stage in recipe.stages:
        steps = 0 if "decoder" in stage.reset else steps
        steps += recipe.stage_steps(stage) if "decoder" in stage.learn else 0
    return steps or sum(recipe.stage_steps(stage) for stage in recipe.stages)
