"""Tables of probabilities: entropy, cross-entropy, KL, mutual information; and what counts say of them, with errors.

Everything is in nats and float64. The functions of tables are exact; those of counts are estimates, and carry an error.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Num
from torch import Tensor

from textlatent.nats.montecarlo import Estimate

Correction = Literal["none", "miller_madow", "jackknife"]
"""What is done about an entropy's plug-in bias, which is downwards: nothing, its first order, or leaving draws out."""
ROUNDING = 1e-6
"""By how much probabilities may miss a sum of 1: what float32 leaves of a softmax over thousands."""


def entropy(p: Float[Tensor, "... K"]) -> Float[Tensor, "..."]:
    """H(p) = -sum_k p_k ln p_k, nats, of each row of probabilities; 0 ln 0 = 0.

    Raises:
        ValueError: a row that is no probability: an entry below 0 or not finite, or a sum that is not 1.
    """
    p = _probabilities(p, "p")
    return -p.xlogy(p).sum(-1)


def cross_entropy(p: Float[Tensor, "... K"], q: Float[Tensor, "... K"]) -> Float[Tensor, "..."]:
    """H(p, q) = -sum_k p_k ln q_k, nats: what p costs in the code of q; infinite where p says what q excludes.

    Raises:
        ValueError: a row of either that is no probability.
    """
    return -_probabilities(p, "p").xlogy(_probabilities(q, "q")).sum(-1)


def kl(p: Float[Tensor, "... K"], q: Float[Tensor, "... K"]) -> Float[Tensor, "..."]:
    """KL(p || q) = sum_k p_k ln(p_k / q_k), nats, of each row; infinite where p says what q excludes, never below 0.

    The terms are p ln(p/q) - p + q, each >= 0, so that rounding cannot make a small divergence negative.

    Raises:
        ValueError: a row of either that is no probability.
    """
    p, q = torch.broadcast_tensors(_probabilities(p, "p"), _probabilities(q, "q"))
    return torch.where(p > 0.0, p * (p / q).log() - p + q, q).clamp(min=0.0).sum(-1)


def mutual_information(joint: Float[Tensor, "... X Y"]) -> Float[Tensor, "..."]:
    """I(X; Y) = KL(joint || product of its margins), nats, of each table P(x, y) (THEORY T6).

    Raises:
        ValueError: a table that is no probability.
    """
    flat = _probabilities(joint.flatten(-2), "the joint table")
    joint = flat.reshape(joint.shape)
    product = joint.sum(-1, keepdim=True) * joint.sum(-2, keepdim=True)
    return kl(flat, product.flatten(-2))


def conditional_entropy(joint: Float[Tensor, "... X Y"]) -> Float[Tensor, "..."]:
    """H(Y|X) = H(X, Y) - H(X), nats, of each table P(x, y).

    Raises:
        ValueError: a table that is no probability.
    """
    return entropy(joint.flatten(-2)) - entropy(joint.sum(-1))


def perplexity(p: Float[Tensor, "... K"]) -> Float[Tensor, "..."]:
    """Exp H(p), between 1 and K: so many outcomes, all as likely as one another, would be as uncertain (no unit).

    Raises:
        ValueError: a row that is no probability.
    """
    return entropy(p).exp()


def collision_entropy(p: Float[Tensor, "... K"]) -> Float[Tensor, "..."]:
    """H_2(p) = -ln sum_k p_k^2, nats: -ln of the chance that two draws agree; it is at most H(p) (Renyi 1961).

    Raises:
        ValueError: a row that is no probability.
    """
    return -_probabilities(p, "p").square().sum(-1).log()


def plug_in_bias(counts: Num[Tensor, "..."]) -> float:
    """By how much the entropy of the frequencies falls short of the entropy, to first order: -(K - 1) / (2 N), nats.

    K is how many outcomes were seen, N the number of draws. Of a mutual information, whose three entropies are biased
    alike, it leaves +(X - 1)(Y - 1) / (2 N) when every pair was seen.

    Raises:
        ValueError: counts of nothing, or below 0.

    Source: Miller 1955, Note on the bias of information estimates; Madow.
    """
    counts = _counts(counts)
    return -(int((counts > 0).sum()) - 1) / (2.0 * counts.sum().item())


def entropy_of_counts(counts: Num[Tensor, " K"], *, correction: Correction = "miller_madow") -> Estimate:
    """H estimated from how often each outcome was seen in N independent draws, nats, with its standard error.

    The plug-in entropy is at most H in expectation; `miller_madow` adds (K_seen - 1) / (2 N), and `jackknife` is
    N H - (N - 1) mean of the entropies without one draw. The error is sqrt(var(-ln p) / N) (the delta method), the
    jackknife's own where it corrects.

    Args:
        counts: one for each outcome, 0 where it was not seen.
        correction: of the bias.

    Raises:
        ValueError: counts of nothing, or below 0; an unknown correction.

    Source: Miller 1955; Zahl 1977 (jackknife); Basharin 1959 (variance).
    """
    counts = _counts(counts)
    return _estimate(
        _entropies(counts), _left_out(counts), weights=counts, bias=plug_in_bias(counts), correction=correction
    )


def perplexity_of_counts(counts: Num[Tensor, " K"], *, correction: Correction = "miller_madow") -> Estimate:
    """Exp of the estimated entropy (no unit): how many outcomes are in use; its error by the delta method.

    Raises:
        ValueError: as `entropy_of_counts`.
    """
    found = entropy_of_counts(counts, correction=correction)
    value = math.exp(found.value)
    return Estimate(value, value * found.se, found.count)


def mutual_information_of_counts(counts: Num[Tensor, "X Y"], *, correction: Correction = "miller_madow") -> Estimate:
    """I(X; Y) estimated from a table of counts of N independent pairs, nats, with its standard error.

    I = H(X) + H(Y) - H(X, Y), each entropy corrected; the plug-in is at least I in expectation, and a corrected one may
    come out below 0 where there is none. The error is sqrt(var(ln p_xy / p_x p_y) / N), which is too small where the
    information is near 0.

    Raises:
        ValueError: as `entropy_of_counts`.

    Source: Paninski 2003, Estimation of entropy and mutual information; Moddemeijer 1989 (variance).
    """
    counts = _counts(counts)
    rows, columns = counts.sum(1), counts.sum(0)
    surprise = _entropies(rows)[:, None] + _entropies(columns)[None, :] - _entropies(counts)
    left_out = _left_out(rows)[:, None] + _left_out(columns)[None, :] - _left_out(counts)
    bias = plug_in_bias(rows) + plug_in_bias(columns) - plug_in_bias(counts)
    return _estimate(surprise.flatten(), left_out.flatten(), weights=counts.flatten(), bias=bias, correction=correction)


def _probabilities(p: Tensor, name: str) -> Tensor:
    """In float64; refused where a row is no probability."""
    p = p.to(torch.float64)
    if not bool(((p >= 0.0) & p.isfinite()).all()):
        raise ValueError(f"{name} must hold probabilities, finite and >= 0, got one of {p.min().item():g}.")
    sums = p.sum(-1)
    if bool(((sums - 1.0).abs() > ROUNDING).any()):
        worst = sums.flatten()[(sums.flatten() - 1.0).abs().argmax()].item()
        raise ValueError(f"{name} must sum to 1 along its last axis, got a row that sums to {worst:.7g}; normalise it.")
    return p


def _counts(counts: Tensor) -> Tensor:
    counts = counts.to(torch.float64)
    if not bool(((counts >= 0.0) & counts.isfinite()).all()):
        raise ValueError(f"counts must be finite and >= 0, got one of {counts.min().item():g}.")
    if not counts.sum() > 0:
        raise ValueError("an estimate needs at least one count above 0, got none.")
    return counts


def _entropies(counts: Tensor) -> Tensor:
    """-ln of each outcome's frequency; 0 where it was not seen, which weighs nothing."""
    frequency = counts / counts.sum()
    return torch.where(counts > 0, -frequency.log(), torch.zeros_like(frequency))


def _left_out(counts: Tensor) -> Tensor:
    """The plug-in entropy when one draw of each outcome has left: H of counts - e_k, [like counts]; NaN of one draw."""
    total = counts.sum()
    fewer = (counts - 1.0).clamp(min=0.0)
    sums = counts.xlogy(counts).sum() - counts.xlogy(counts) + fewer.xlogy(fewer)
    return (total - 1.0).log() - sums / (total - 1.0)


def _estimate(surprise: Tensor, left_out: Tensor, *, weights: Tensor, bias: float, correction: Correction) -> Estimate:
    """The mean of what each draw says, corrected; `surprise` and `left_out` for each outcome, `weights` its draws."""
    total = weights.sum().item()
    mean = (weights * surprise).sum() / total
    spread = (weights * (surprise - mean).square()).sum() / total
    error = math.sqrt(spread.item() / total) if total > 1 else math.nan
    if correction == "none":
        return Estimate(mean.item(), error, round(total))
    if correction == "miller_madow":
        return Estimate(mean.item() - bias, error, round(total))
    if correction != "jackknife":
        raise ValueError(f"correction must be none, miller_madow or jackknife, got {correction!r}.")
    if total < 2:
        raise ValueError("the jackknife leaves one draw out and needs at least 2, got 1; use miller_madow.")
    seen = weights > 0
    others, weights = left_out[seen], weights[seen]
    middle = (weights * others).sum() / total
    variance = (total - 1.0) / total * (weights * (others - middle).square()).sum()
    return Estimate((total * mean - (total - 1.0) * middle).item(), variance.sqrt().item(), round(total))
