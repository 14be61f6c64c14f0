"""What the decoder makes of z: nats lost without the own z, where in the sentence they lie, what inference leaves.

Everything is a paired difference between two conditions of the same sentences.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textlatent.diagnostics.likelihood import ratio_with_error
from textlatent.nats.montecarlo import Estimate, log_mean_exp, mean_with_error
from textlatent.scores import Scores


@dataclass(frozen=True)
class InferenceGap:
    """What the posteriors cost above ln P(y), and whose fault it is (nats per sentence).

    Attributes:
        gap: -ELBO - IW-NLL; 0 for the exact posterior. None where one draw per sentence leaves no IW-NLL.
        amortisation: -ELBO less the -ELBO of refined posteriors: what the encoder misses and a few steps find. None
            without refined posteriors.
        left: gap - amortisation: the posterior's family, and too few steps. None where one of the two is.
        samples: K of the IW-NLL, draws per sentence; IW-NLL is an upper bound, so the gap is at least this. None where
            -ln P(y) is exact.
    """

    gap: Estimate | None
    amortisation: Estimate | None
    left: Estimate | None
    samples: int | None


def nats_lost(own: Scores, other: Scores) -> Estimate:
    """E ln P_dec(y|z) - ln P_dec(y|z'), nats per sentence: what the decoder loses when z is replaced by z'.

    For a decoder that is Bayes' own, and z' of another sentence, it is I(y; z) plus the divergence from the product
    to the joint (the lautum information), so no less than the information; for a deaf one it is 0.

    Args:
        own: the sentences with their own z.
        other: the same sentences, in the same order, with another z (or none: a language model).

    Raises:
        ValueError: not the same sentences, or one of the two without log_p_dec.

    Source: THEORY T16; Palomar & Verdu 2008, Lautum information.
    """
    check_same_sentences(own, other)
    return mean_with_error(_log_p_dec(own) - _log_p_dec(other))


def gain_per_position(own: Scores, other: Scores, *, positions: int = 20) -> list[Estimate]:
    """E ln P_dec(y_t|y_<t, z) - ln P_dec(y_t|y_<t, z') at each of the first `positions` tokens t, nats per token.

    Each is a mean over the sentences that have a token there (EOS is one); the list ends with the longest sentence.

    Raises:
        ValueError: not the same sentences, or one of the two without log_p_dec_token and tokens.
    """
    gain, scored = gain_per_token(own, other)
    longest = min(positions, int(scored.any(0).sum()))
    return [mean_with_error(gain[scored[:, t], t]) for t in range(longest)]


def share_beyond(own: Scores, other: Scores, *, first: int = 3) -> Estimate:
    """The share of the gain that lies beyond the first tokens (no unit), over sentences longer than 2 * first tokens.

    Such a sentence has as many words beyond its first ones as among them (EOS apart): gain that is spread evenly over
    the tokens leaves more than half of itself there. z that holds the first words alone leaves nothing, because the
    decoder has read them by then. The sum over the sum, with the error of a ratio; the share of a mean gain that is
    not above 0 has no meaning.

    Raises:
        ValueError: not the same sentences, no token scores, no sentence long enough, or no gain to share out.

    Source: Bosc & Vincent 2020, arXiv:2004.07683 (z holds the first words and the length).
    """
    gain, scored = gain_per_token(own, other)
    enough = long_enough(own, first=first)
    if not bool(enough.any()):
        raise ValueError(f"no sentence has more than {2 * first} tokens; give longer ones, or a smaller `first`.")
    gain, scored = gain[enough], scored[enough]
    total, beyond = (gain * scored).sum(1), (gain * scored)[:, first:].sum(1)
    if not total.sum() > 0:
        raise ValueError(f"the other z is no worse than the own one ({total.mean():g} nats): no gain to share out.")
    return ratio_with_error(beyond, total)


def inference_gap(own: Scores, refined: Scores | None, *, drawn: Scores | None = None) -> InferenceGap:
    """-ELBO - IW-NLL, and how much of it refining each sentence's posterior recovers, nats per sentence.

    Args:
        own: the sentences with their own z; best with the draws' noise that `refined` has, which then cancels.
        refined: the same sentences after gradient steps on each posterior; its -ELBO is averaged over its own draws.
        drawn: the same sentences with K draws each and their densities, for the IW-NLL; the more, the nearer it is to
            -ln P(y). `own` if not given.

    Raises:
        ValueError: not the same sentences, or Scores without a rate or a distortion.

    Source: Cremer et al. 2018, arXiv:1801.03558 (amortisation and approximation gap); THEORY T2, T3.
    """
    drawn = own if drawn is None else drawn
    check_same_sentences(own, drawn)
    gap = recovered = None
    draws = drawn.need("log_p_dec").shape[0]
    if draws > 1 and drawn.log_p_enc is not None and drawn.log_p_pri is not None:
        gap = _neg_elbo(drawn) + log_mean_exp(drawn.log_weights().to(torch.float64))
    if refined is not None:
        check_same_sentences(own, refined)
        recovered = _neg_elbo(own) - _neg_elbo(refined)
    left = None if gap is None or recovered is None else gap - recovered
    found = [None if x is None else mean_with_error(x) for x in (gap, recovered, left)]
    return InferenceGap(found[0], found[1], found[2], draws)


def gain_per_token(own: Scores, other: Scores) -> tuple[Float[Tensor, "B T"], Bool[Tensor, "B T"]]:
    """The gain of every token, nats, 0 on padding; and which are scored.

    Raises:
        ValueError: not the same sentences, or one of the two without log_p_dec_token and tokens.
    """
    check_same_sentences(own, other)
    mine, theirs = (scores.need("log_p_dec_token").to(torch.float64) for scores in (own, other))
    width = min(mine.shape[1], theirs.shape[1])  # what is wider is padding: both hold the same tokens
    scored = torch.arange(width, device=mine.device) < own.need("tokens")[:, None]
    return (mine[:, :width] - theirs[:, :width]) * scored, scored


def long_enough(scores: Scores, *, first: int) -> Bool[Tensor, " B"]:
    """Which sentences have more than 2 * first tokens, so that as many words lie beyond the first as among them."""
    return scores.need("tokens") > 2 * first


def check_same_sentences(own: Scores, other: Scores) -> None:
    """Refuse two records that are not of the same sentences in the same order.

    Raises:
        ValueError: another number of sentences, or another index or length at some place.
    """
    if len(own) != len(other):
        raise ValueError(
            f"two conditions must hold the same sentences, got {len(own)} and {len(other)}; score them on one split."
        )
    for name in ("index", "tokens"):
        left, right = getattr(own, name), getattr(other, name)
        if left is not None and right is not None and not torch.equal(left.cpu(), right.cpu()):
            at = int((left.cpu() != right.cpu()).nonzero()[0])
            raise ValueError(
                f"two conditions must hold the same sentences in the same order; at place {at} the {name} is "
                f"{left[at]} and {right[at]}."
            )


def _log_p_dec(scores: Scores) -> Float[Tensor, " B"]:
    return scores.need("log_p_dec").to(torch.float64).mean(0)


def _neg_elbo(scores: Scores) -> Float[Tensor, " B"]:
    return scores.neg_elbo().to(torch.float64)
