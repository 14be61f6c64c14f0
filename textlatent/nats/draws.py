"""Entropy and information of symbols that come in groups: N sentences, each with P symbols that depend on each other.

Symbols of one sentence are no independent draws, so counts alone have no error: the jackknife leaves whole sentences
out, one at a time. With one symbol a sentence it is the usual one (nats/discrete.py). Everything in nats and float64.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.nats.bounds import jackknife_error
from textlatent.nats.montecarlo import Estimate

NOT_ONE = 4.744
"""(1 + x) e^-x = 0.05: with chance 0.95 no two of N draws agree only where N sqrt(sum p^2) is below this."""


@dataclass(frozen=True)
class LeftOut:
    """A number of N sentences, and what it would be without each of them.

    Attributes:
        value: the plug-in, nats.
        left_out: without sentence k, [N].
    """

    value: float
    left_out: Float[Tensor, " N"]

    def __add__(self, other: "LeftOut") -> "LeftOut":
        return LeftOut(self.value + other.value, self.left_out + other.left_out)

    def __sub__(self, other: "LeftOut") -> "LeftOut":
        return LeftOut(self.value - other.value, self.left_out - other.left_out)

    @property
    def plain(self) -> Estimate:
        """The plug-in, with the jackknife's standard error."""
        return Estimate(self.value, self._error(), len(self.left_out))

    @property
    def corrected(self) -> Estimate:
        """N value - (N - 1) mean of the left-out ones: the plug-in without its bias of order 1/N; and its error."""
        count = len(self.left_out)
        if count < 2:
            raise ValueError(f"the jackknife leaves one sentence out and needs at least 2, got {count}.")
        value = count * self.value - (count - 1) * self.left_out.mean().item()
        return Estimate(value, self._error(), count)

    def _error(self) -> float:
        return jackknife_error(self.left_out) if len(self.left_out) > 1 else math.nan


@dataclass(frozen=True)
class Collision:
    """-ln of the chance that two draws agree, H_2 <= H, nats.

    Attributes:
        estimate: from the share of the pairs that agree; its left-out values are those of the chance, to first order.
            None where no pair agrees.
        bound: from below, exceeded by H_2 at 95 %.
    """

    estimate: LeftOut | None
    bound: float


def drawn_entropy(symbols: Int[Tensor, "N P"]) -> LeftOut:
    """Plug-in entropy, nats, of all N P symbols taken together; and without each sentence.

    With c_s how often symbol s is there and f(c) = c ln c, H = ln M - sum_s f(c_s) / M, M = N P. Sentence i, which
    holds symbol s m_is times, changes f(c_s) to f(c_s - m_is) and M by P: O(N P) for all of them.

    Raises:
        ValueError: no symbols, or one below 0.
    """
    ids = _compact(symbols)
    count, each = ids.shape
    counts = torch.bincount(ids.flatten()).to(torch.float64)
    row = torch.arange(count, device=ids.device)[:, None].expand_as(ids)
    pairs, times = torch.unique(row * len(counts) + ids, return_counts=True)
    held, total = counts[pairs % len(counts)], counts.xlogy(counts).sum()
    fewer = held - times
    change = fewer.xlogy(fewer) - held.xlogy(held)
    sums = total + torch.zeros(count, dtype=torch.float64, device=ids.device).index_add(0, pairs // len(counts), change)
    rest = (count - 1.0) * each
    left_out = math.log(rest) - sums / rest if rest else torch.full_like(sums, math.nan)
    return LeftOut(math.log(count * each) - total.item() / (count * each), left_out)


def drawn_information(left: Int[Tensor, "N P"], right: Int[Tensor, "N P"]) -> LeftOut:
    """Plug-in I(left; right), nats, of symbols that stand at the same places: H(left) + H(right) - H(both).

    Of the code and its position, of the code at one position and the sentence's label ([N, 1] each).

    Raises:
        ValueError: no symbols, or one below 0.
    """
    left, right = _compact(left), _compact(right)
    both = left * (int(right.max()) + 1) + right
    return drawn_entropy(left) + drawn_entropy(right) - drawn_entropy(both)


def whole(symbols: Int[Tensor, "N P"]) -> Int[Tensor, "N 1"]:
    """Each row as one symbol: rows that agree everywhere have the same."""
    return torch.unique(symbols, dim=0, return_inverse=True)[1][:, None]


def drawn_collision(symbols: Int[Tensor, " N"]) -> Collision:
    """-ln of the chance that two draws agree, nats, which is at most H; and a bound below it that holds at 95 %.

    The chance is estimated without bias by the share of the N (N - 1) / 2 pairs that agree; its jackknife error over
    itself is the logarithm's (delta method: a share without one of the draws may be 0). Where no pair agrees there is
    no estimate, only the bound: N draws without a pair have a chance of at most (1 + x) e^-x, x = N sqrt(sum p^2),
    whatever p is, so that 2 ln N - 2 ln 4.744 is exceeded at 95 %. So few draws can show up to 2 ln N nats, where the
    plug-in entropy cannot exceed ln N.

    The bound is the lower of two: that of the jackknife's error of the chance, and the one that would hold without a
    pair, which is what is left where pairs are few.

    Raises:
        ValueError: fewer than two draws.

    Source: Renyi 1961 (H_2 <= H); the chance of no pair, in the Poisson limit prod_k (1 + x_k) e^-x_k with x_k = N p_k,
    is highest at given sum p^2 with one heavy symbol, because x -> ln(1 + x) - x is convex in x^2.
    """
    count = len(symbols)
    if count < 2:
        raise ValueError(f"a pair needs at least two draws, got {count}.")
    ids = _compact(symbols[:, None]).squeeze(1)
    counts = torch.bincount(ids).to(torch.float64)
    pairs = (counts * (counts - 1.0)).sum().item()
    never = 2.0 * (math.log(count) - math.log(NOT_ONE))
    if pairs == 0:
        return Collision(None, never)
    chance = pairs / (count * (count - 1.0))
    value = -math.log(chance)
    if count < 3:  # one draw has no pairs
        return Collision(LeftOut(value, torch.full((count,), math.nan, dtype=torch.float64)), min(never, value))
    left_out = (pairs - 2.0 * (counts[ids] - 1.0)) / ((count - 1.0) * (count - 2.0))
    high = chance + 1.96 * jackknife_error(left_out)
    estimate = LeftOut(value, value - (left_out - chance) / chance)
    return Collision(estimate, max(0.0, min(never, -math.log(high))))


def _compact(symbols: Tensor) -> Int[Tensor, "N P"]:
    """The same symbols numbered from 0 without gaps, [N, P]."""
    if symbols.numel() == 0:
        raise ValueError("an entropy of draws needs at least one symbol, got none.")
    if bool((symbols < 0).any()):
        raise ValueError(f"symbols must be >= 0, got {int(symbols.min())}; leave those that mean nothing out.")
    return torch.unique(symbols, return_inverse=True)[1]
