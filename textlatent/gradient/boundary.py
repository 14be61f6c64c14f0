"""The boundary form: what moving the ends of the intervals of [0, 1) does to E f, and how much noise it moves.

A word drawn by inverse CDF is k where F_{k-1} <= eps < F_k. As the parameters move, each end F_k passes over a little
noise, which changes from word k to word k + 1 or back: the one place where the gradient of E f is, and the one that
differentiating at fixed noise leaves out.
"""

import torch
from jaxtyping import Float
from torch import Tensor


def boundary(probability: Float[Tensor, "*B V"], cost: Float[Tensor, "*B V"]) -> Float[Tensor, "*B"]:
    """sum_{k<V} (f_k - f_{k+1}) F_k, whose gradient is d E f exactly: E f = f_V + sum_{k<V} (f_k - f_{k+1}) F_k.

    Args:
        probability: p, with its graph.
        cost: f of each word; held.

    Source: summation by parts of sum_k f_k (F_k - F_{k-1}), F_V = 1 held; THEORY T13.
    """
    step = (cost[..., :-1] - cost[..., 1:]).detach()
    return (step * probability.cumsum(-1)[..., :-1]).sum(-1)


def boundary_shift(before: Float[Tensor, "*B V"], after: Float[Tensor, "*B V"]) -> Float[Tensor, "*B"]:
    """sum_{k<V} |dF_k|: the measure of the noise that jumps to another word, to first order in the change of p.

    Args:
        before: p.
        after: p after the parameters have changed a little.
    """
    return _shift(before, after).abs()[..., :-1].sum(-1)


def jump_measure(before: Float[Tensor, "*B V"], after: Float[Tensor, "*B V"]) -> Float[Tensor, "*B"]:
    """The measure of the noise that gives another word after than before, for a change of any size.

    1 - sum_k |[F_{k-1}, F_k) and [F'_{k-1}, F'_k) have in common|: the same as `boundary_shift` until an end passes its
    neighbour's old place.
    """
    return 1.0 - kept(before, after).sum(-1)


def kept(before: Float[Tensor, "*B V"], after: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    """The length of what the intervals of each word have in common before and after."""
    ends, later = before.double().cumsum(-1), after.double().cumsum(-1)
    begins, sooner = ends - before.double(), later - after.double()
    return (torch.minimum(ends, later) - torch.maximum(begins, sooner)).clamp_min(0.0)


def _shift(before: Float[Tensor, "*B V"], after: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    return (after.double() - before.double()).cumsum(-1)
