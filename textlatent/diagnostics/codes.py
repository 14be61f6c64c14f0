"""What a codebook is used for: how often each code, how many of them, what they tell of position and label.

Codes are numbered within their codebook. Where each position (or each level of a residual code) has a codebook of its
own, code 3 of one and code 3 of another are two codes: `Alphabet.symbols` gives every code of every book one number.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textlatent.nats.bounds import NINETY_FIVE, InformationBounds
from textlatent.nats.discrete import perplexity_of_counts
from textlatent.nats.draws import Collision, LeftOut, drawn_collision, drawn_entropy, drawn_information, whole
from textlatent.nats.montecarlo import Estimate
from textlatent.scores import Scores


@dataclass(frozen=True)
class Alphabet:
    """What codes there are.

    Attributes:
        codes: K, of each codebook.
        books: codebooks; position p uses number p modulo `books`, so 1 is a codebook that all positions share.
    """

    codes: int
    books: int = 1

    def __post_init__(self) -> None:
        if self.codes < 1 or self.books < 1:
            raise ValueError(f"an alphabet needs codes and books >= 1, got {self.codes} and {self.books}.")

    @property
    def size(self) -> int:
        """All codes of all books."""
        return self.codes * self.books

    def uniform_nats(self, positions: int) -> float:
        """P ln K: what a sentence costs under the uniform prior, nats (THEORY T11)."""
        return positions * math.log(self.codes)

    def symbols(self, codes: Int[Tensor, "N P"]) -> Int[Tensor, "N P"]:
        """Each code's number among all codes of all books.

        Raises:
            ValueError: a code that no codebook holds.
        """
        if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < self.codes:
            raise ValueError(
                f"codes must be 0 to {self.codes - 1}, got {int(codes.min())} to {int(codes.max())}; "
                "name the alphabet of the model that gave them."
            )
        return codes + self.codes * (torch.arange(codes.shape[1], device=codes.device) % self.books)

    def name(self, symbol: int) -> str:
        """The code as one writes it: "17", or "2:17" for code 17 of book 2."""
        return f"{symbol}" if self.books == 1 else f"{symbol // self.codes}:{symbol % self.codes}"


@dataclass(frozen=True)
class Usage:
    """How the codes are used, by the sentences counted.

    Attributes:
        counts: of each code at each position, [P, K * books].
        used: how many codes of all books were seen, and its error: how far other sentences would change that number.
        alive: how many codes are in use, those included that so few sentences do not show.
        perplexity: exp of the entropy of the codes of all positions together, its plug-in bias taken away; the
            largest is K * books. The error is over sentences.
        entropies: of the codes at each position, nats, bias taken away; their sum bounds I(y; k) from above.
        place: I(code; position), nats: 0 where every position uses the codes alike.
    """

    counts: Int[Tensor, "P S"]
    used: Estimate
    alive: Estimate
    perplexity: Estimate
    entropies: tuple[Estimate, ...]
    place: Estimate

    @property
    def unseen(self) -> list[int]:
        """The codes that no sentence has."""
        return (self.counts.sum(0) == 0).nonzero().squeeze(1).tolist()


def is_quantised(scores: Scores) -> bool:
    """Whether each sentence has codes and no others: a deterministic encoder over codes, ln P_enc(k|y) = 0."""
    if scores.codes is None or scores.log_p_enc is None:
        return False
    return not bool(scores.log_p_enc.any())


def code_counts(codes: Int[Tensor, "N P"], alphabet: Alphabet) -> Int[Tensor, "P S"]:
    """How often each code stands at each position, [P, K * books]; counts of parts and of processes add up.

    Raises:
        ValueError: a code that no codebook holds.
    """
    symbols = alphabet.symbols(codes)
    place = torch.arange(codes.shape[1], device=codes.device) * alphabet.size
    return torch.bincount((symbols + place).flatten(), minlength=codes.shape[1] * alphabet.size).view(
        codes.shape[1], alphabet.size
    )


def usage_event(counts: Int[Tensor, "P S"]) -> dict[str, Any]:
    """What a validation logs of its `code_counts`: codes_used, codes, code_perplexity (bias taken away), code_counts.

    `code_counts` is the list of each code's count over all positions.
    """
    total = counts.sum(0)
    return {
        "codes_used": int((total > 0).sum()),
        "codes": total.numel(),
        "code_perplexity": perplexity_of_counts(total).value,
        "code_counts": total.tolist(),
    }


def code_usage(codes: Int[Tensor, "N P"], alphabet: Alphabet) -> Usage:
    """How the codes of N sentences are used.

    Raises:
        ValueError: fewer than two sentences, or a code that no codebook holds.
    """
    count, positions = codes.shape
    if count < 2:
        raise ValueError(f"usage with errors needs at least 2 sentences, got {count}.")
    symbols = alphabet.symbols(codes)
    counts = code_counts(codes, alphabet)
    pooled = drawn_entropy(symbols).corrected
    perplexity = math.exp(pooled.value)
    place = torch.arange(positions, device=codes.device).expand_as(codes)
    held = (counts.sum(0) > 0).sum().item()
    return Usage(
        counts=counts,
        used=Estimate(held, math.sqrt(_seen_in_one(symbols, alphabet.size)), count),
        alive=codes_alive(symbols, alphabet.size),
        perplexity=Estimate(perplexity, perplexity * pooled.se, count),
        entropies=tuple(drawn_entropy(symbols[:, p : p + 1]).corrected for p in range(positions)),
        place=drawn_information(symbols, place).corrected,
    )


def codes_alive(symbols: Int[Tensor, "N P"], size: int) -> Estimate:
    """How many codes are in use, by Chao's lower bound on the number of kinds: seen + f1 (f1 - 1) / (2 (f2 + 1)).

    f1 and f2 are how many codes one and two sentences hold. With a code that none holds but many would, f1 is large;
    where it is 0 the codes that were not seen are dead as far as these sentences can tell. Never above `size`.

    Source: Chao 1984; the bias-corrected form and its variance, Chiu et al. 2014 (for incidences).
    """
    count = len(symbols)
    incidence = _incidence(symbols, size)
    seen, once, twice = (int(x) for x in ((incidence > 0).sum(), (incidence == 1).sum(), (incidence == 2).sum()))
    share = (count - 1) / count
    more = share * once * (once - 1) / (2.0 * (twice + 1))
    variance = more + share**2 * once * (2 * once - 1) ** 2 / (4.0 * (twice + 1) ** 2)
    variance += share**2 * once**2 * twice * (once - 1) ** 2 / (4.0 * (twice + 1) ** 4)
    return Estimate(min(float(size), seen + more), math.sqrt(variance), count)


def code_bounds(scores: Scores) -> InformationBounds:
    """I(y; k) = H(k) of a deterministic encoder, between two bounds, nats per sentence.

    Lower: the plug-in entropy of the sentences' codes, at most H(k) in expectation, at most ln N ever. Upper: the rate,
    which is a cross-entropy of the codes and so at least H(k) under any prior (THEORY T6, T11); or the sum of the
    positions' entropies, bias taken away, whichever is the smaller. The errors are the jackknife's over sentences.

    How often two sentences agree bounds H(k) >= H_2(k) from below once more, above ln N even. Where that bound is above
    the plug-in entropy, `lower` is the estimate of H_2 it belongs to, and where it is above the plug-in's interval,
    `floor` is the bound.

    Raises:
        ValueError: no rate, or fewer than two sentences.
    """
    codes = scores.need("codes")[0]
    count = len(codes)
    if count < 2:
        raise ValueError(f"bounds with errors need at least 2 sentences, got {count}.")
    together, upper = whole(codes), positions_entropy(codes)
    plug_in = drawn_entropy(together)
    rate = scores.rate().to(torch.float64)
    if rate.mean().item() < upper.value:
        upper = LeftOut(rate.mean().item(), (rate.sum() - rate) / (count - 1))
    if upper.value < plug_in.value:  # positions whose entropies, corrected, come out a rounding below
        upper = plug_in
    lower, floor = _from_below(plug_in, drawn_collision(together.squeeze(1)), most=upper.value)
    return InformationBounds(
        lower=lower.plain,
        upper=upper.plain,
        cap=math.log(count),
        count=count,
        lower_left_out=lower.left_out,
        upper_left_out=upper.left_out,
        floor=floor,
    )


def _from_below(plug_in: LeftOut, collision: Collision, *, most: float) -> tuple[LeftOut, float | None]:
    """The entropy's lower bound with its error, and the floor below it; neither above `most`, nats."""
    floor = min(collision.bound, most)
    if floor <= plug_in.value:
        return plug_in, floor if floor > plug_in.value - NINETY_FIVE * plug_in.plain.se else None
    found = collision.estimate or LeftOut(floor, torch.full_like(plug_in.left_out, floor))  # no pair: all that is known
    return LeftOut(min(found.value, most), found.left_out), floor


def positions_entropy(codes: Int[Tensor, "N P"]) -> LeftOut:
    """Sum_p H(k_p) >= H(k), nats, each entropy's bias of order 1/N taken away by Miller and Madow's term."""
    total = LeftOut(0.0, torch.zeros(len(codes), dtype=torch.float64, device=codes.device))
    for column in codes.unbind(1):
        total = total + drawn_entropy(column[:, None]) + _miller_madow(column)
    return total


def code_label_information(codes: Int[Tensor, "N P"], label: Int[Tensor, " N"]) -> tuple[list[Estimate], Estimate]:
    """I(k_p; label) of each position, nats, its bias taken away; and H(label). Sentences without a label are left out.

    Raises:
        ValueError: fewer than two sentences have a label.
    """
    known = label >= 0
    if int(known.sum()) < 2:
        raise ValueError(f"information on a label needs at least 2 sentences that have one, got {int(known.sum())}.")
    codes, label = codes[known], label[known][:, None]
    each = [drawn_information(column[:, None], label).corrected for column in codes.unbind(1)]
    return each, drawn_entropy(label).corrected


def silent_positions(entropies: tuple[Estimate, ...], *, threshold: float) -> Bool[Tensor, " P"]:
    """Which positions say (almost) the same code for every sentence: their entropy is at most `threshold` nats."""
    return torch.tensor([each.value <= threshold for each in entropies])


def usage_cells(usage: Usage, alphabet: Alphabet, *, label: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The usage as JSON holds it, for diagnosis.json: what the report draws."""
    return {
        "alphabet": {"codes": alphabet.codes, "books": alphabet.books},
        "used": usage.used.value,
        "alive": {"value": usage.alive.value, "se": usage.alive.se},
        "perplexity": {"value": usage.perplexity.value, "se": usage.perplexity.se},
        "position_entropies_nats": [{"value": each.value, "se": each.se} for each in usage.entropies],
        "position_information_nats": {"value": usage.place.value, "se": usage.place.se},
        "counts": usage.counts.tolist(),
        "label": label,
    }


def _miller_madow(column: Int[Tensor, " N"]) -> LeftOut:
    """(K_seen - 1) / 2N, and what it is without each sentence."""
    _, ids, counts = torch.unique(column, return_inverse=True, return_counts=True)
    seen, count = len(counts), len(column)
    fewer: Float[Tensor, " N"] = seen - (counts[ids] == 1).to(torch.float64)
    return LeftOut((seen - 1) / (2.0 * count), (fewer - 1.0) / (2.0 * (count - 1)))


def _incidence(symbols: Int[Tensor, "N P"], size: int) -> Int[Tensor, " S"]:
    """How many sentences hold each code."""
    row = torch.arange(len(symbols), device=symbols.device)[:, None]
    return torch.bincount(torch.unique(row * size + symbols) % size, minlength=size)


def _seen_in_one(symbols: Int[Tensor, "N P"], size: int) -> int:
    """How many codes a single sentence holds: each would be missed with chance 1/e by as many other sentences."""
    return int((_incidence(symbols, size) == 1).sum())
