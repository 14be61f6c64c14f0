"""How good a bigram is, in exact nats: against counts, against another bigram, against a known language."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.decoder.table import Bigram, count_pairs, log_estimate
from textlatent.gradient.exact import absorb, expected_cost

PSEUDO_COUNTS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)

Part = tuple[Int[Tensor, "n T"], Int[Tensor, " n"], Float[Tensor, " n"]]
"""Some sentences of a language: words with EOS, lengths, probabilities."""


@dataclass(frozen=True)
class AgainstLanguage:
    """A bigram beside a language whose probabilities are known; nats per sentence.

    Attributes:
        cross_entropy: E_language -ln P_bigram(y).
        forward_kl: KL(language || bigram).
        reverse_kl: KL(bigram || language): infinite as soon as the bigram writes what the language excludes.
        jsd: the Jensen-Shannon divergence, between 0 and ln 2.
        inside: the share of the bigram's sentences that are of the language.
        reverse_kl_inside: KL(bigram given that it is inside || language).
    """

    cross_entropy: float
    forward_kl: float
    reverse_kl: float
    jsd: float
    inside: float
    reverse_kl_inside: float


@torch.no_grad()
def likeliest_bigram(
    tokens: Int[Tensor, "B T"],
    lengths: Int[Tensor, " B"],
    *,
    vocabulary: int,
    held_out: tuple[Int[Tensor, "C U"], Int[Tensor, " C"]],
) -> tuple[Bigram, float]:
    """The maximum-likelihood bigram of sentences, with the pseudo-count of PSEUDO_COUNTS that suits held-out ones best.

    Without any (pure maximum likelihood) a pair that was never seen has an infinite cost; that is what it is for.

    Args:
        tokens: words with EOS.
        lengths: words of each sentence, EOS counted.
        vocabulary: V.
        held_out: sentences to choose by: validation's.
    """
    start, pairs = count_pairs(tokens, lengths, vocabulary=vocabulary)
    best: tuple[float, Bigram, float] | None = None
    for pseudo in PSEUDO_COUNTS:
        logs = (log_estimate(counts, pseudo_count=pseudo) for counts in (start, pairs))
        table = Bigram.from_log_probabilities(*logs)
        nats = float(-table.log_prob(*held_out).mean())
        if best is None or nats < best[0]:
            best = nats, table, pseudo
    assert best is not None
    if math.isinf(best[0]):
        raise ValueError("no pseudo-count gives the validation sentences a probability; are their words in range?")
    return best[1], best[2]


@torch.no_grad()
def cross_entropy(writer: Bigram, reader: Bigram, *, words: int, eos: int) -> float:
    """E_writer -ln P_reader of its sentences of T words, nats, exact: the reverse NLL where the reader is the floor."""
    first, pair = -reader.log_start(), -reader.log_transition()
    start, transition = writer.log_start().exp(), writer.log_transition().exp()
    never = torch.zeros((), dtype=first.dtype)
    first = torch.where(start > 0.0, first, never)  # 0 * inf
    pair = torch.where(absorb(transition, eos=eos) > 0.0, pair, never)
    return float(expected_cost(start, transition, first=first, pair=pair, words=words, eos=eos))


@torch.no_grad()
def unended(table: Bigram, *, words: int, eos: int) -> float:
    """The share of sentences that have not ended after T words."""
    now, transition = table.log_start().exp(), absorb(table.log_transition().exp(), eos=eos)
    for _ in range(words - 1):
        now = now @ transition
    return float(1.0 - now[eos])


@torch.no_grad()
def against_language(table: Bigram, parts: Iterator[Part], *, entropy: float) -> AgainstLanguage:
    """The bigram beside the language, every sentence of it summed.

    Outside the language P_language is 0: there ln (g / m) = ln 2 in the JSD, and reverse KL is infinite.

    Args:
        table: the bigram.
        parts: all sentences of the language, in parts.
        entropy: of the language, nats.
    """
    total = torch.zeros(4, dtype=torch.float64)
    for tokens, lengths, p in parts:
        log_g, log_p = table.log_prob(tokens, lengths), p.log()
        g, log_m = log_g.exp(), torch.logaddexp(log_g, log_p) - math.log(2.0)
        mixed = 0.5 * (p * (log_p - log_m) + torch.where(g > 0.0, g * (log_g - log_m), 0.0)).sum()
        within = torch.where(g > 0.0, g * (log_g - log_p), 0.0).sum()
        total += torch.stack([-(p * log_g).sum(), mixed, g.sum(), within]).cpu()
    cross, mixed_sum, inside, within_sum = total.tolist()
    outside = max(0.0, 1.0 - inside)
    within_kl = within_sum / inside - math.log(inside) if inside > 0.0 else math.inf
    return AgainstLanguage(
        cross_entropy=cross,
        forward_kl=cross - entropy,
        reverse_kl=math.inf if outside > 1e-12 else within_sum,
        jsd=mixed_sum + 0.5 * outside * math.log(2.0),
        inside=inside,
        reverse_kl_inside=within_kl,
    )
