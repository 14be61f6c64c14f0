"""The loss that a run was trained with, in words: its weights, the rate asked for, what is free."""

from textlatent.recipe.objective import Objective
from textlatent.recipe.schema import Recipe

_FREE = {
    "dimension": "in each dimension of each sentence",
    "sentence": "in each sentence",
    "batch_dimension": "in each dimension, by the batch's mean",
    "batch": "by the batch's mean",
}


def trained_loss(recipe: Recipe) -> str:
    """The loss of the last stage in which the decoder learns, nats per sentence: "loss = 0.05 rate + distortion".

    Where no stage teaches the decoder it is the last one's. Of several stages the one meant is named.
    """
    stages = [stage for stage in recipe.stages if "decoder" in stage.learn] or recipe.stages
    objective = recipe.stage_objective(stages[-1])
    loss = _distortion(objective)
    if recipe.model.type != "deterministic":
        loss = _with_rate(objective)
    codebook = recipe.model.codebook
    if recipe.model.type == "vq" and codebook.levels is None and codebook.gradient_rule != "end_to_end":
        loss += ", and the codes' own losses"
    return f"loss = {loss}" + ("" if len(recipe.stages) == 1 else f"   (stage {stages[-1].name})")


def _with_rate(objective: Objective) -> str:
    """What is charged for rate and distortion, and where beta comes from."""
    words = [_beta(objective), _free(objective)]
    if objective.importance_samples > 1:
        ratio = f"{_power('(P_pri / P_enc)', _weight(objective))} {_power('P_dec', f'{objective.lam:g}')}"
        charged = f"-ln mean {ratio} over {objective.importance_samples} draws"
    elif objective.capacity is not None:
        charged = (
            f"{_times(f'{objective.capacity_weight:g}')}|rate - {objective.capacity:g}| + {_distortion(objective)}"
        )
    else:
        charged = f"{_times(_weight(objective))}rate + {_distortion(objective)}"
    return ", ".join([charged, *filter(None, words)])


def _weight(objective: Objective) -> str:
    """Beta as a number where it is one all along."""
    changes = objective.target_rate is not None or objective.minimum_rate is not None
    if changes or objective.schedule != "constant":
        return "beta"
    return "1" if objective.beta is None else f"{objective.beta:g}"


def _beta(objective: Objective) -> str:
    """How beta came to its value, where it is no constant."""
    if objective.target_rate is not None:
        return f"beta found so that the rate is {objective.target_rate:g}"
    if objective.minimum_rate is not None:
        return f"beta found, at most 1, so that the rate is at least {objective.minimum_rate:g}"
    if objective.capacity_steps is not None:
        return f"the {objective.capacity:g} reached from 0 in {objective.capacity_steps} steps"
    if objective.schedule == "constant":
        return ""
    first, last = objective.beta_start or 0.0, 1.0 if objective.beta is None else objective.beta
    rises = "" if objective.schedule == "linear" else f" {objective.cycles} times"
    return f"beta rising{rises} from {first:g} to {last:g} in {objective.schedule_steps} steps"


def _free(objective: Objective) -> str:
    return f"{objective.free_nats:g} nats free {_FREE[objective.free_nats_on]}" if objective.free_nats else ""


def _distortion(objective: Objective) -> str:
    return f"{_times(f'{objective.lam:g}')}distortion"


def _times(weight: str) -> str:
    return "" if weight == "1" else f"{weight} "


def _power(base: str, exponent: str) -> str:
    return base if exponent == "1" else f"{base}^{exponent}"
