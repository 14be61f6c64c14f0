"""Forward-backward over padded sentences, scaled where that loses nothing and in logarithms where it would.

It goes word by word over [T, B, K], so that each word's numbers lie together.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LARGEST = 1e250
"""Of a scaled backward variable: below it all that fell under 1e-308 weighs less than 1e-50."""


@dataclass(frozen=True)
class Recursion:
    """What a forward and a backward pass give.

    Attributes:
        states: P(z_t = k|y), [T, B, K], of no meaning on padding.
        transitions: sum_t P(z_t = i, z_{t+1} = j|y), of the batch [K, K] or of each sentence [B, K, K].
        rate: KL(P(z|y) || P_pri(z)), nats, [B].
        log_marginal: ln P(y), nats, [B].
        safe: whether scaling lost nothing, [B].
    """

    states: Tensor
    transitions: Tensor
    rate: Tensor
    log_marginal: Tensor
    safe: Tensor


def relative_to_best(log_emission: Float[Tensor, "... K"]) -> tuple[Float[Tensor, "... K"], Float[Tensor, "..."]]:
    """Probabilities over the largest of their K, and ln of that largest, nats; 0 where all are impossible."""
    log_best = log_emission.amax(-1)
    log_best = log_best.masked_fill(log_best == -torch.inf, 0.0)
    return (log_emission - log_best[..., None]).exp(), log_best


def recursion(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    emission: Float[Tensor, "T B K"],
    log_best: Float[Tensor, "T B"],
    inside: Bool[Tensor, "T B"],
    *,
    log_emission_of: Callable[[Int[Tensor, " n"]], Float[Tensor, "n T K"]],
    weight: Float[Tensor, " B"] | None = None,
    per_sentence: bool = False,
) -> Recursion:
    """The scaled recursion, and in logarithms the sentences in which it could have lost a path.

    Args:
        log_start: ln P_pri(z_1), nats.
        log_transition: ln P_pri(z_{t+1} = j | z_t = i), nats.
        emission: P_dec(y_t|z_t) over the largest of each word's; 1 on padding.
        log_best: ln of that largest, nats; 0 on padding.
        inside: False on padding.
        log_emission_of: ln P_dec(y_t|z_t) of some sentences, 0 on padding.
        weight: of each sentence in the sum of transitions; 1 if not given.
        per_sentence: keep the transitions of each sentence.
    """
    found = scaled(log_start, log_transition, emission, log_best, inside, weight=weight, per_sentence=per_sentence)
    if bool(found.safe.all()):
        return found
    rows = (~found.safe).nonzero().squeeze(1)
    again = log_space(
        log_start,
        log_transition,
        log_emission_of(rows),
        inside[:, rows].t(),
        weight=None if weight is None else weight[rows],
        per_sentence=per_sentence,
    )
    if per_sentence:
        transitions = found.transitions.index_copy(0, rows, again.transitions)
    else:
        transitions = found.transitions + again.transitions  # the scaled sum has left these sentences out
    return Recursion(
        found.states.index_copy(1, rows, again.states),
        transitions,
        found.rate.index_copy(0, rows, again.rate),
        found.log_marginal.index_copy(0, rows, again.log_marginal),
        found.safe,
    )


def scaled(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    emission: Float[Tensor, "T B K"],
    log_best: Float[Tensor, "T B"],
    inside: Bool[Tensor, "T B"],
    *,
    weight: Float[Tensor, " B"] | None = None,
    per_sentence: bool = False,
) -> Recursion:
    """Both passes with probabilities that sum to one at each word; arguments as in `recursion`.

    On padding the emission is 1, which leaves the backward variable at 1 and the marginal alone. The sum of xi over t
    is one product, A * sum_t alpha_{t-1}' (b_t beta_t / c_t), so that nothing of size T K^2 is ever kept; sentences
    that are not safe are left out of it.

    Source: Rabiner 1989, A tutorial on hidden Markov models, section V.A; the product is ours.
    """
    start, transition = log_start.exp(), log_transition.exp()
    alpha, norm = _forward(start, transition, emission)
    beta, ahead = _backward(transition, emission / norm)
    states = alpha * beta

    tiny = torch.finfo(norm.dtype).tiny
    safe = (norm > tiny).all(0).squeeze(-1)
    if not bool(beta.amax() < _LARGEST):  # NaN is not safe either
        safe = safe & (beta.amax((0, 2)) < _LARGEST)
    log_marginal = ((norm.squeeze(-1).log() + log_best) * inside).sum(0)
    pairs = ahead[1:] * inside[1:, :, None]  # only where a word follows
    if weight is not None or not bool(safe.all()):
        counted = safe if weight is None else weight * safe
        pairs = torch.where(counted[:, None] > 0.0, pairs * counted[:, None], 0.0)  # what is not safe may hold NaN
    if per_sentence:
        transitions = torch.einsum("tbi,tbj->bij", alpha[:-1], pairs) * transition
    else:
        transitions = (alpha[:-1].flatten(0, 1).t() @ pairs.flatten(0, 1)) * transition
    return Recursion(states, transitions, _rate(states, beta, ahead, start, inside), log_marginal, safe)


def _forward(start: Tensor, transition: Tensor, emission: Tensor) -> tuple[Tensor, Tensor]:
    """P(z_t | y_<=t) [T, B, K], and c_t = P(y_t | y_<t) over the word's largest emission [T, B, 1]."""
    alpha, norm = torch.empty_like(emission), emission.new_empty(*emission.shape[:2], 1)
    tiny = torch.finfo(emission.dtype).tiny
    predicted: Tensor = start.expand(emission.shape[1], -1)
    for b, a, c in zip(emission, alpha, norm, strict=True):
        torch.mul(predicted, b, out=a)
        torch.sum(a, -1, keepdim=True, out=c)
        a /= c.clamp_(min=tiny)  # a sentence of probability 0 is not safe, and no NaN
        predicted = a @ transition
    return alpha, norm


def _backward(transition: Tensor, ahead: Tensor) -> tuple[Tensor, Tensor]:
    """The backward variables [T, B, K], 1 at the last word, and b_t beta_t / c_t, made of b_t / c_t in place."""
    beta, back = torch.empty_like(ahead), transition.t().contiguous()
    beta[-1] = 1.0
    for t in range(len(ahead) - 1, 0, -1):
        ahead[t] *= beta[t]
        torch.mm(ahead[t], back, out=beta[t - 1])
    ahead[0] *= beta[0]
    return beta, ahead


def _rate(states: Tensor, beta: Tensor, ahead: Tensor, start: Tensor, inside: Tensor) -> Float[Tensor, " B"]:
    """KL(P(z|y) || P_pri(z)), nats: of the first state, then E ln P(z_t | z_{t-1}, y) / P_pri(z_t | z_{t-1}).

    That ratio is b_t(j) beta_t(j) / (c_t beta_{t-1}(i)), so that only the states' own marginals are needed.
    """
    tiny = torch.finfo(states.dtype).tiny  # what lies below it has a state of no weight; xlogy is five times slower

    def times_log(weight: Tensor, x: Tensor) -> Tensor:
        return weight * x.clamp(min=tiny).log_()

    first = times_log(states[0], states[0]) - times_log(states[0], start)
    steps = times_log(states[1:], ahead[1:]).sub_(times_log(states[:-1], beta[:-1]))
    return first.sum(-1) + (steps.sum(-1) * inside[1:]).sum(0)


def log_space(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    log_emission: Float[Tensor, "B T K"],
    inside: Bool[Tensor, "B T"],
    *,
    weight: Float[Tensor, " B"] | None = None,
    per_sentence: bool = False,
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
    safe = torch.ones_like(log_marginal, dtype=torch.bool)
    return Recursion(states.transpose(0, 1).contiguous(), transitions, rate, log_marginal, safe)


def _log_forward(
    log_start: Float[Tensor, " K"], log_transition: Float[Tensor, "K K"], log_emission: Float[Tensor, "B T K"]
) -> Float[Tensor, "B T K"]:
    """Ln P(y_1 .. y_t, z_t), nats."""
    rows = [log_start + log_emission[:, 0]]
    for t in range(1, log_emission.shape[1]):
        rows.append((rows[-1][:, :, None] + log_transition).logsumexp(1) + log_emission[:, t])
    return torch.stack(rows, 1)
