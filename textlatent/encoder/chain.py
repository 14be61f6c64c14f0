"""Forward-backward, scaled or in logarithms, and Viterbi, over padded rows: what chain_posterior is made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LARGEST = 1e250
"""Of a scaled backward variable: below it all that fell under 1e-308 weighs less than 1e-50."""


@dataclass(frozen=True)
class Recursion:
    """What a forward and a backward pass give; fields as in `posterior.ChainPosterior`.

    Attributes:
        states: [B, T, K], of no meaning on padding.
        transitions: [K, K] of the batch, or [B, K, K].
        rate: nats, [B].
        log_marginal: nats, [B].
        safe: whether a row lost nothing by scaling, [B].
    """

    states: Tensor
    transitions: Tensor
    rate: Tensor
    log_marginal: Tensor
    safe: Tensor

    def replaced(self, rows: Int[Tensor, " n"], other: "Recursion", *, per_sentence: bool) -> "Recursion":
        """With these rows as another recursion has them; its transitions are added to the batch's."""
        transitions = self.transitions + other.transitions if not per_sentence else self.transitions
        if per_sentence:
            transitions = transitions.index_copy(0, rows, other.transitions)
        return Recursion(
            self.states.index_copy(0, rows, other.states),
            transitions,
            self.rate.index_copy(0, rows, other.rate),
            self.log_marginal.index_copy(0, rows, other.log_marginal),
            self.safe.index_copy(0, rows, other.safe),
        )


def scaled(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    log_emission: Float[Tensor, "B T K"],
    inside: Bool[Tensor, "B T"],
    *,
    weight: Float[Tensor, " B"] | None,
    per_sentence: bool,
) -> Recursion:
    """Both passes with probabilities that sum to one at each word.

    On padding the emission is 1 (log 0), which leaves the backward variable at 1 and the marginal alone. The sum of xi
    over t is one product, A * sum_t alpha_{t-1}' (b_t beta_t / c_t), so that nothing of size T K^2 is ever kept.

    Source: Rabiner 1989, A tutorial on hidden Markov models, section V.A; the product is ours.
    """
    start, transition = log_start.exp(), log_transition.exp()
    largest = log_emission.amax(-1, keepdim=True)  # [B, T, 1]
    largest = largest.masked_fill(largest == -torch.inf, 0.0)
    emission = (log_emission - largest).exp_().transpose(0, 1).contiguous()  # [T, B, K]
    width, count, _ = emission.shape
    alpha, beta = torch.empty_like(emission), torch.empty_like(emission)
    norm = emission.new_empty(width, count, 1)
    predicted: Tensor = start.expand(count, -1)
    for t in range(width):
        joint = predicted * emission[t]
        torch.sum(joint, -1, keepdim=True, out=norm[t])
        norm[t].clamp_(min=torch.finfo(joint.dtype).tiny)  # a sentence of probability 0: not safe, below
        torch.div(joint, norm[t], out=alpha[t])
        predicted = alpha[t] @ transition
    beta[-1] = 1.0
    ahead = emission.div_(norm)  # b_t / c_t, then times beta_t
    backward = transition.t().contiguous()
    for t in range(width - 1, 0, -1):
        ahead[t] *= beta[t]
        torch.matmul(ahead[t], backward, out=beta[t - 1])
    ahead[0] *= beta[0]
    states = alpha * beta

    mask = inside.t()[:, :, None]  # [T, B, 1]
    log_norm = norm.log() * mask
    log_marginal = (log_norm + largest.transpose(0, 1) * mask).sum((0, 2))
    safe = (norm > torch.finfo(norm.dtype).tiny).all(0).squeeze(-1) & (beta < _LARGEST).all(0).all(-1)
    rate = _rate(states, beta, ahead, start, mask)
    pairs = ahead[1:] * mask[1:]  # only where a word follows
    if weight is not None:
        pairs = torch.where(weight[:, None] > 0.0, pairs * weight[:, None], 0.0)  # a row left out may hold NaN
    if per_sentence:
        transitions = torch.einsum("tbi,tbj->bij", alpha[:-1], pairs) * transition
    else:
        transitions = (alpha[:-1].flatten(0, 1).t() @ pairs.flatten(0, 1)) * transition
    return Recursion(states.transpose(0, 1), transitions, rate, log_marginal, safe)


def _rate(
    states: Float[Tensor, "T B K"],
    beta: Float[Tensor, "T B K"],
    ahead: Float[Tensor, "T B K"],
    start: Float[Tensor, " K"],
    mask: Bool[Tensor, "T B 1"],
) -> Float[Tensor, " B"]:
    """KL(P(z|y) || P_pri(z)), nats: of the first state, then E ln P(z_t | z_{t-1}, y) / P_pri(z_t | z_{t-1}).

    That ratio is b_t(j) beta_t(j) / (c_t beta_{t-1}(i)), so that only the states' own marginals are needed.
    """
    first = _times_log(states[0], states[0]) - _times_log(states[0], start.expand_as(states[0]))
    steps = _times_log(states[1:], ahead[1:]) - _times_log(states[:-1], beta[:-1])
    return first.sum(-1) + (steps * mask[1:]).sum((0, 2))


def _times_log(weight: Tensor, x: Tensor) -> Tensor:
    """Weight ln x, 0 where the weight is 0."""
    return torch.where(weight > 0.0, weight * x.log(), 0.0)


def log_space(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    log_emission: Float[Tensor, "B T K"],
    inside: Bool[Tensor, "B T"],
    *,
    weight: Float[Tensor, " B"] | None,
    per_sentence: bool,
) -> Recursion:
    """Both passes in logarithms, O(B K^2) more memory; a sentence of probability 0 gets the prior's own states."""
    width = log_emission.shape[1]
    forward = _log_forward(log_start, log_transition, log_emission)
    log_marginal = forward[:, -1].logsumexp(-1)
    if bool((log_marginal == -torch.inf).any()):
        possible = log_marginal > -torch.inf
        log_emission = torch.where(possible[:, None, None], log_emission, 0.0)
        forward = _log_forward(log_start, log_transition, log_emission)
    after = [torch.zeros_like(log_emission[:, 0])]
    transitions = log_emission.new_zeros(len(log_emission), *log_transition.shape)
    rate = log_emission.new_zeros(len(log_emission))
    for t in range(width - 1, 0, -1):
        ahead = log_emission[:, t] + after[-1]  # [B, K]
        joint = log_transition + ahead[:, None]  # [B, K, K]
        after.append(joint.logsumexp(-1))
        pair = (forward[:, t - 1, :, None] + joint).flatten(1).softmax(-1)  # normalised: 3,000 words round to e^2000
        xi = pair.view_as(joint) * inside[:, t, None, None]
        transitions += xi
        step = ahead[:, None] - after[-1][:, :, None]
        rate += torch.where(xi > 0.0, xi * step, 0.0).sum((1, 2))
    states = (forward + torch.stack(after[::-1], 1)).softmax(-1)
    first = states[:, 0]
    rate += torch.where(first > 0.0, first * (first.log() - log_start), 0.0).sum(-1)
    if not per_sentence:
        transitions = (transitions if weight is None else transitions * weight[:, None, None]).sum(0)
    return Recursion(states, transitions, rate, log_marginal, torch.ones_like(log_marginal, dtype=torch.bool))


def _log_forward(
    log_start: Float[Tensor, " K"], log_transition: Float[Tensor, "K K"], log_emission: Float[Tensor, "B T K"]
) -> Float[Tensor, "B T K"]:
    """Ln P(y_1 .. y_t, z_t), nats."""
    rows = [log_start + log_emission[:, 0]]
    for t in range(1, log_emission.shape[1]):
        rows.append((rows[-1][:, :, None] + log_transition).logsumexp(1) + log_emission[:, t])
    return torch.stack(rows, 1)


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
