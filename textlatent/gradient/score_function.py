"""The score function: the gradient of E f(k) from draws alone, for any sampler whose ln P(k) is known.

    d E f = E [(f(k) - b) d ln P(k)],    b any number that does not look at k

Each function returns a number whose gradient is the estimate; costs and baselines are held (no gradient goes through
them). A draw of several words has a column for each: ln P(w_t | w_<t), and the cost from that word on.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def score_function(
    log_prob: Float[Tensor, "N ..."], cost: Float[Tensor, "N ..."], *, baseline: Tensor | float = 0.0
) -> Float[Tensor, ""]:
    """mean_n sum_t (f - b) ln P, whose gradient is the REINFORCE estimate of d E f, in the unit of f.

    Args:
        log_prob: ln P of each draw, or of each of its words given those before.
        cost: f of each draw, or what is still to come from each word on (`cost_to_go`).
        baseline: b, a number or one for each entry; it must not depend on the draw it is taken from.

    Source: Williams 1992, Simple statistical gradient-following algorithms, theorem 1.
    """
    return ((cost - baseline).detach() * log_prob).sum() / len(log_prob)


def cost_to_go(cost: Float[Tensor, "N T"]) -> Float[Tensor, "N T"]:
    """sum_{s >= t} f_s: a word answers for what comes with it and after it, whatever came before has mean 0.

    Source: Sutton et al. 2000, Policy gradient methods, theorem 1.
    """
    return cost.flip(1).cumsum(1).flip(1)


def leave_one_out(
    cost: Float[Tensor, "N ..."], *, total: Float[Tensor, "..."] | None = None, count: int | None = None
) -> Float[Tensor, "N ..."]:
    """The mean of the other draws' costs, a baseline that costs no bias.

    (A mean that holds the draw itself multiplies the whole gradient by (N - 1) / N.)

    Args:
        cost: of N independent draws.
        total: sum over all draws where these are a part of them (over processes).
        count: how many draws there are in all.

    Raises:
        ValueError: fewer than two draws.

    Source: Kool, van Hoof & Welling 2019, Buy 4 REINFORCE samples, get a baseline for free, eq. 9.
    """
    total = cost.sum(0) if total is None else total
    count = len(cost) if count is None else count
    if count < 2:
        raise ValueError(f"a leave-one-out baseline needs at least 2 draws, got {count}; raise the number of samples.")
    return (total - cost) / (count - 1)


def optimal_baseline(
    cost: Float[Tensor, " N"], square: Float[Tensor, " N"], *, weight: Float[Tensor, " N"] | None = None
) -> Float[Tensor, ""]:
    """b* = E[f |d ln P|^2] / E[|d ln P|^2], the constant that leaves the least variance, in the unit of f.

    Args:
        cost: f of each outcome.
        square: |d ln P|^2 of each outcome.
        weight: probability of each outcome; equal if not given (draws). From draws, use those of other draws.

    Source: Greensmith, Bartlett & Baxter 2004, Variance reduction techniques for gradient estimates, theorem 8.
    """
    weight = torch.ones_like(cost) if weight is None else weight
    return (weight * square * cost).sum() / (weight * square).sum()


def leave_one_out_optimal(cost: Float[Tensor, " N"], square: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
    """`optimal_baseline` for each draw, estimated from the others: it costs no bias.

    Raises:
        ValueError: fewer than two draws.
    """
    if len(cost) < 2:
        raise ValueError(f"the optimal baseline is estimated from other draws, got {len(cost)}; draw at least 2.")
    return ((square * cost).sum() - square * cost) / (square.sum() - square)


def score_square(probability: Float[Tensor, "*B V"], word: Tensor) -> Float[Tensor, "*B"]:
    """|d ln p_k / d logits|^2 = 1 - 2 p_k + sum_j p_j^2, of a softmax (no unit)."""
    drawn = probability.gather(-1, word[..., None]).squeeze(-1)
    return 1.0 - 2.0 * drawn + probability.square().sum(-1)
