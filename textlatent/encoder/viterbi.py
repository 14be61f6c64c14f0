"""The likeliest path of states of each sentence."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def viterbi(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    log_emission: Float[Tensor, "B T K"],
    lengths: Int[Tensor, " B"],
) -> tuple[Int[Tensor, "B T"], Float[Tensor, " B"]]:
    """The likeliest states of each sentence, -1 on padding, and ln P(y, z) of them, nats.

    Arguments as in `posterior.chain_posterior`.

    Source: Viterbi 1967; Rabiner 1989, section III.B.
    """
    inside = torch.arange(log_emission.shape[1], device=lengths.device) < lengths[:, None]
    count, width, classes = log_emission.shape
    best = log_start + log_emission[:, 0]
    stay = torch.arange(classes, device=best.device).expand(count, -1)
    came = [stay]
    for t in range(1, width):
        score, where = (best[:, :, None] + log_transition).max(1)
        here = inside[:, t, None]
        best = torch.where(here, score + log_emission[:, t], best)
        came.append(torch.where(here, where, stay))
    score, state = best.max(-1)
    path = [state]
    for t in range(width - 1, 0, -1):
        state = came[t].gather(1, state[:, None]).squeeze(1)
        path.append(state)
    return torch.stack(path[::-1], 1).masked_fill(~inside, -1), score
