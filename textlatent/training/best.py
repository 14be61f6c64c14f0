"""What a validation says: is it the best of its stage, and have there been enough without a better one?"""

from typing import Any

from textlatent.nats.montecarlo import mean_with_error
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.training.position import Position

RATE_TOLERANCE = 0.1  # where a rate is asked for, a validation counts whose rate is within this share of it


def judge(position: Position, objective: Objective, scores: Scores, *, patience: int | None) -> dict[str, Any]:
    """A validation's numbers, nats per sentence, and its verdict, which the position remembers.

    A validation counts once every schedule has ended, and with a rate near one that is asked for.

    Args:
        position: changed in place.
        objective: of the stage; its final weights compare.
        scores: of the validation sentences.
        patience: validations without a better one that end the stage; None for no end.
    """
    rate, neg_elbo = None, None  # a point encoder has neither
    if scores.has_rate:
        rate, neg_elbo = mean_with_error(scores.rate()), mean_with_error(scores.neg_elbo())
    loss = objective.final_loss(scores).mean().item()
    counts = objective.settled(position.stage_step)
    counts = counts and (rate is None or objective.meets(rate.value, tolerance=RATE_TOLERANCE))
    better = counts and (position.best is None or loss < position.best)
    if better:
        position.best, position.best_step, position.without_better = loss, position.step, 0
    elif counts:
        position.without_better += 1
    position.stopped_early = patience is not None and position.without_better >= patience
    return {
        "rate_nats": None if rate is None else rate.value,
        "rate_nats_se": None if rate is None else rate.se,
        "distortion_nats": scores.distortion().mean().item(),
        "neg_elbo_nats": None if neg_elbo is None else neg_elbo.value,
        "neg_elbo_nats_se": None if neg_elbo is None else neg_elbo.se,
        "loss": loss,
        "best": better,
        "stopped_early": position.stopped_early,
    }
