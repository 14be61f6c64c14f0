"""P(z|y) by Bayes where z is a class or a chain of states: the encoder that prior and decoder already are (THEORY T12).

With it -ELBO = rate + distortion = -ln P(y): the gap of every other encoder is its KL divergence from this one (T2).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.encoder.chain import recursion, relative_to_best


@dataclass(frozen=True)
class ClassPosterior:
    """P(k|y) of N sentences, and what follows from it, nats per sentence.

    Attributes:
        log_prob: ln P_enc(k|y), [N, K].
        rate: KL(P_enc(k|y) || P_pri(k)), [N].
        distortion: -E_enc ln P_dec(y|k), [N].
        log_marginal: ln P(y) = ln sum_k P_pri(k) P_dec(y|k), [N].
    """

    log_prob: Float[Tensor, "N K"]
    rate: Float[Tensor, " N"]
    distortion: Float[Tensor, " N"]
    log_marginal: Float[Tensor, " N"]

    @property
    def probability(self) -> Float[Tensor, "N K"]:
        """P_enc(k|y)."""
        return self.log_prob.exp()


@dataclass(frozen=True)
class ChainPosterior:
    """P(z_1 .. z_n|y) of B sentences, z a Markov chain of K states, and what follows from it.

    Attributes:
        states: P(z_t = k|y), [B, T, K], 0 on padding.
        transitions: sum_t P(z_t = i, z_{t+1} = j|y), [K, K] over the batch, each sentence times its weight; of each
            sentence, [B, K, K], where that was asked for.
        rate: KL(P(z|y) || P_pri(z)), nats per sentence, [B].
        distortion: -E ln P_dec(y|z), nats per sentence, [B].
        log_marginal: ln P(y), nats per sentence, [B].
    """

    states: Float[Tensor, "B T K"]
    transitions: Float[Tensor, "K K"] | Float[Tensor, "B K K"]
    rate: Float[Tensor, " B"]
    distortion: Float[Tensor, " B"]
    log_marginal: Float[Tensor, " B"]


def class_posterior(
    log_prior: Float[Tensor, " K"],
    log_dec: Float[Tensor, "N K"],
    *,
    log_enc: Float[Tensor, "N K"] | None = None,
) -> ClassPosterior:
    """Bayes: P(k|y) = P_pri(k) P_dec(y|k) / P(y), or what follows from another encoder's probabilities.

    A sentence that no class allows has P(y) = 0 and no posterior: it gets the prior, rate 0 and an infinite distortion.

    Args:
        log_prior: ln P_pri(k), nats; -inf for a class that never comes.
        log_dec: ln P_dec(y|k), nats.
        log_enc: ln P_enc(k|y) of an encoder that is not Bayes's; -ELBO is then above -ln P(y) by KL(enc || Bayes).
    """
    joint = log_prior + log_dec
    log_marginal = joint.logsumexp(-1)
    if log_enc is None:
        possible = (log_marginal > -torch.inf)[:, None]
        log_enc = torch.where(possible, joint - log_marginal.masked_fill(~possible[:, 0], 0.0)[:, None], log_prior)
    enc = log_enc.exp()
    rate = _expected(enc, log_enc - log_prior)
    return ClassPosterior(log_enc, rate, -_expected(enc, log_dec), log_marginal)


def chain_posterior(
    log_start: Float[Tensor, " K"],
    log_transition: Float[Tensor, "K K"],
    log_emission: Float[Tensor, "B T K"],
    lengths: Int[Tensor, " B"],
    *,
    weight: Float[Tensor, " B"] | None = None,
    per_sentence: bool = False,
) -> ChainPosterior:
    """Forward-backward over padded sentences, O(B T K^2) time and O(B T K) memory, float64.

    Probabilities are scaled at each word. Where that could lose a path (a backward variable out of range: some state
    fell below 1e-308 of the others and came back), the sentence is computed again in log space, so that every answer is
    exact to rounding.

    Args:
        log_start: ln P_pri(z_1), nats.
        log_transition: ln P_pri(z_{t+1} = j | z_t = i), nats.
        log_emission: ln P_dec(y_t | z_t), nats; whatever it is on padding.
        lengths: words of each sentence, EOS counted.
        weight: of each sentence in `transitions`; 1 if not given.
        per_sentence: keep the transitions of each sentence, [B, K, K].
    """
    inside = torch.arange(log_emission.shape[1], device=lengths.device) < lengths[:, None]  # [B, T]
    emission = log_emission.masked_fill(~inside[:, :, None], 0.0)
    found = recursion(
        log_start,
        log_transition,
        *relative_to_best(emission.transpose(0, 1)),
        inside.t(),
        log_emission_of=lambda rows: emission[rows],
        weight=weight,
        per_sentence=per_sentence,
    )
    states = found.states.transpose(0, 1) * inside[:, :, None]
    distortion = -_expected(states, emission).sum(1)
    distortion = distortion.masked_fill(found.log_marginal == -torch.inf, torch.inf)
    return ChainPosterior(states, found.transitions, found.rate, distortion, found.log_marginal)


def _expected(probability: Float[Tensor, "*N K"], nats: Float[Tensor, "*N K"]) -> Float[Tensor, "*N"]:
    """sum_k p_k x_k, where 0 times an infinite x is 0."""
    return torch.where(probability > 0.0, probability * nats, 0.0).sum(-1)
