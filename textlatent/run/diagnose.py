"""diagnose: a run's verdict, with what it rests on, in diagnosis.json."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from textlatent.diagnostics import verdict
from textlatent.diagnostics.use import gain_per_position, nats_lost
from textlatent.diagnostics.verdict import NO_LATENT, Diagnosis
from textlatent.nats.montecarlo import Estimate
from textlatent.recipe.schema import Recipe
from textlatent.run.codes import alphabet_of, codebook_health
from textlatent.run.conditions import NAMES
from textlatent.run.conditions import conditions as score_conditions
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text
from textlatent.training.launch import launch

POSITIONS = 20
_ELSEWHERE = ("other", "prior_draw", "prior_mean")


@by_kind
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
    progress: Callable[[dict[str, Any]], None] | None = None,
    **thresholds: float,
) -> Diagnosis:
    """The verdict on a run, written to diagnosis.json with the gain per position, the nats lost and the inference gap.

    Of a run with codes also its codebook's health: usage, what each code says, means against codes, and each player's
    own gradient.

    Args:
        run: a Run or its folder.
        conditions: also score another sentence's z, draws of the prior and its mean; without them nothing is said of
            "ignored" and "memorising".
        refine: also refine each posterior by gradient steps, which takes longest.
        sentences: how many, drawn by data.split_seed; the recipe's evaluation.sentences if not given.
        split: train, valid or test; the recipe's evaluation.split if not given.
        checkpoint: "final", "best" or "step-N".
        baseline: the folder of a language model of the same tokens; RUN/baseline if it is there.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with the events of `run.conditions`.
        **thresholds: of `diagnostics.check.Thresholds`.

    Raises:
        ValueError: a language model, an unknown threshold, split or checkpoint, or a fault of a baseline.
    """
    run = run if isinstance(run, Run) else Run(run)
    if not run.recipe.model.latent_size:
        raise ValueError(f"{run.folder}: {NO_LATENT}")
    if run.recipe.model.type == "deterministic":
        raise ValueError(
            f"{run.folder}: its encoder gives points, which have no density: there is no rate to judge. `reconstruct` "
            "and `probe` say what they hold."
        )
    verdict.read_thresholds(thresholds)  # a wrong name is better known before the sentences are scored
    accelerator = accelerator or launch()
    wanted = [name for name in NAMES if conditions or name not in _ELSEWHERE]
    scored = score_conditions(
        run,
        names=[name for name in wanted if refine or name != "refined"],
        sentences=sentences,
        split=split,
        checkpoint=checkpoint,
        baseline=baseline,
        accelerator=accelerator,
        progress=progress,
    )
    own = scored.pop("own")
    given: dict[str, Any] = {**scored, **thresholds}
    asked, alphabet, drawn = asked_rate(run.recipe), alphabet_of(run.recipe), _many_draws(run, own)
    found = verdict.diagnose(own, drawn=drawn, target_rate=asked, alphabet=alphabet, **given)
    if accelerator.is_main_process:
        about = {
            "split": split or run.recipe.evaluation.split,
            "model": {"run": str(run.folder), "checkpoint": checkpoint},
            "target_rate_nats": asked,
            "collapse_step": collapse_step(run),
            "seed": run.recipe.seed,
            "versions": versions(),
        }
        content = found.to_dict() | _use(own, scored) | about
        if found.coded:
            content["codes"] = _codes(run, own, split or run.recipe.evaluation.split, checkpoint)
        write_text(run.folder / "diagnosis.json", json.dumps(content, indent=1, allow_nan=False))
    return found


def _codes(run: Run, own: Scores, name: str, checkpoint: str) -> dict[str, Any]:
    """The codebook's health by the sentences of `own`."""
    split = run.split(name)
    return codebook_health(
        run.model_at(checkpoint),
        own,
        split,
        run.split("train"),
        positions=choose(len(split), len(own), run.recipe.data.split_seed),
        recipe=run.recipe,
        pad_id=run.tokenizer.pad_token_id,
    )


def asked_rate(recipe: Recipe) -> float | None:
    """The rate that the last stage asks for, in whichever way it does, nats; None where it asks for none."""
    objective = recipe.stage_objective(recipe.stages[-1])
    asked = (objective.target_rate, objective.minimum_rate, objective.capacity)
    return next((rate for rate in asked if rate is not None), None)


def collapse_step(run: Run) -> int | None:
    """The first of the last unbroken row of validations that found the latent empty; None where the last did not."""
    first = None
    for event in run.metrics if (run.folder / "metrics.jsonl").exists() else []:
        if event["event"] == "validate":
            empty = event.get("verdict") == "collapsed"
            first = (first or event["step"]) if empty else None
    return first


def _use(own: Scores, scored: Mapping[str, Scores]) -> dict[str, Any]:
    """What the decoder makes of z: nats lost under each condition, gain of each token position over another z."""
    elsewhere = {name: scored[name] for name in _ELSEWHERE if name in scored}
    gains = gain_per_position(own, next(iter(elsewhere.values())), positions=POSITIONS) if elsewhere else []
    return {
        "nats_lost": {name: _cell(nats_lost(own, each)) for name, each in elsewhere.items()},
        "gain_per_position": [_cell(gain) | {"sentences": gain.count} for gain in gains],
    }


def _many_draws(run: Run, own: Scores) -> Scores | None:
    """The Scores of the last evaluation, where their posteriors are those of `own`, sentence for sentence.

    The own condition has one draw a sentence, which leaves no IW-NLL: the draws are those in scores.safetensors.
    """
    try:
        drawn = run.scores
    except (OSError, SafetensorError):
        return None
    same = ("index", "posterior_mean", "posterior_log_variance")
    pairs = [(getattr(drawn, name), getattr(own, name)) for name in same]
    if any(a is None or b is None or a.shape != b.shape or not torch.allclose(a, b, atol=1e-4) for a, b in pairs):
        return None
    return drawn


def _cell(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "se": None if estimate.se != estimate.se else estimate.se}
