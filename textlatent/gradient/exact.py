"""The exact gradient: every outcome summed, or, on a bigram, backward dynamic programming over what is still to come.

A bigram's sentence has T words: w_1 ~ P, w_{t+1} ~ Q[w_t], and costs first[w_1] + sum_t pair[w_t, w_{t+1}]. With `eos`
that word is absorbing: after it only it comes, and nothing is charged.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class ToGo(NamedTuple):
    """What is still to come, expected, in the unit of the cost.

    Attributes:
        first: first[j] + value after w_1 = j, [V].
        pair: pair[i, j] + value after w_{t+1} = j, for t = 1 .. T-1, [T-1, V, V].
    """

    first: Float[Tensor, " V"]
    pair: Float[Tensor, "T-1 V V"]


def expectation(logits: Float[Tensor, "*B V"], cost: Float[Tensor, "*B V"]) -> Float[Tensor, "*B"]:
    """E f = sum_k p_k f_k under softmax(logits): autograd of it is p_j (f_j - E f), exactly, at V evaluations of f."""
    return (logits.softmax(-1) * cost).sum(-1)


def absorb(transition: Float[Tensor, "V V"], *, eos: int | None) -> Float[Tensor, "V V"]:
    """Q with its row of `eos` replaced by certainty of `eos`."""
    if eos is None:
        return transition
    rows = torch.arange(len(transition), device=transition.device)[:, None] == eos
    certain = torch.zeros_like(transition[0])
    certain[eos] = 1.0
    return torch.where(rows, certain, transition)


def _live(pair: Float[Tensor, "V V"], *, eos: int | None) -> Float[Tensor, "V V"]:
    """The costs, nothing charged after `eos`."""
    if eos is None:
        return pair
    rows = torch.arange(len(pair), device=pair.device)[:, None] == eos
    return pair.masked_fill(rows, 0.0)


def to_go(
    transition: Float[Tensor, "V V"],
    *,
    first: Float[Tensor, " V"],
    pair: Float[Tensor, "V V"],
    words: int,
    eos: int | None = None,
) -> ToGo:
    """Expected cost of each choice and all after it, by one pass from the end; O(T V^2), no roll-outs.

    Args:
        transition: Q, rows that sum to 1.
        first: cost of the first word.
        pair: cost of a word after another.
        words: T >= 1.
        eos: the absorbing word, if there is one.

    Source: Bellman's equation; it replaces the roll-outs of Yu et al. 2017 (SeqGAN, arXiv:1609.05473, eq. 4).
    """
    transition, pair = absorb(transition, eos=eos), _live(pair, eos=eos)
    value, steps = torch.zeros_like(first), []
    for _ in range(words - 1):
        steps.append(pair + value)
        value = (transition * steps[-1]).sum(-1)
    stacked = torch.stack(steps[::-1]) if steps else pair.new_zeros(0, *pair.shape)
    return ToGo(first + value, stacked)


def occupancy(
    start: Float[Tensor, " V"], transition: Float[Tensor, "V V"], *, words: int, eos: int | None = None
) -> Float[Tensor, "T V"]:
    """P(w_t = i) for t = 1 .. T, by one pass from the beginning."""
    transition, now = absorb(transition, eos=eos), [start]
    for _ in range(words - 1):
        now.append(now[-1] @ transition)
    return torch.stack(now)


def expected_cost(
    start: Float[Tensor, " V"],
    transition: Float[Tensor, "V V"],
    *,
    first: Float[Tensor, " V"],
    pair: Float[Tensor, "V V"],
    words: int,
    eos: int | None = None,
) -> Float[Tensor, ""]:
    """E of a sentence's cost, exact, differentiable in P and Q; arguments as in `to_go`."""
    return (start * to_go(transition, first=first, pair=pair, words=words, eos=eos).first).sum()


def bigram_gradient(
    start: Float[Tensor, " V"],
    transition: Float[Tensor, "V V"],
    *,
    first: Float[Tensor, " V"],
    pair: Float[Tensor, "V V"],
    words: int,
    eos: int | None = None,
) -> tuple[Float[Tensor, " V"], Float[Tensor, "V V"]]:
    """d E cost / d logits of P and of Q's rows, in closed form; arguments as in `to_go`.

    P_j (G_j - E G) for the first word; sum_t P(w_t = i) Q_ij (G_t,ij - E_j G_t,ij) for those after it.
    """
    ahead = to_go(transition, first=first, pair=pair, words=words, eos=eos)
    at_start = start * (ahead.first - (start * ahead.first).sum())
    if words == 1:
        return at_start, torch.zeros_like(transition)
    visited = occupancy(start, transition, words=words, eos=eos)[:-1]  # [T-1, V]
    if eos is not None:
        visited = visited.clone()
        visited[:, eos] = 0.0
    centred = ahead.pair - (transition * ahead.pair).sum(-1, keepdim=True)
    return at_start, (visited[..., None] * transition * centred).sum(0)
