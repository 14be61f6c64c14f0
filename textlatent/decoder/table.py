"""Probability tables of words: unigram and bigram, one table or one for each class, in float64.

EOS is a word like the others, so that a sentence's length has a probability too: it is the one the last word carries.
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class Table(nn.Module, ABC):
    """P(w_1 .. w_n) from tables, or P(w_1 .. w_n | k) for each of K classes k. Abstract; C below is () or (K,)."""

    vocabulary: int
    classes: int | None

    @abstractmethod
    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T"] | Float[Tensor, "B T K"]:
        """Ln P(w_t | w_<t) under each class, nats, [B, T, *C], 0 on padding.

        Args:
            tokens: w_1 .. w_n, then padding of any id below V.
            lengths: n, EOS counted where the sentences have one.
        """

    @abstractmethod
    def sample(
        self,
        noise: Float[Tensor, "B T"],
        *,
        eos: int | None = None,
        label: Int[Tensor, " B"] | None = None,
        pad: int = 0,
    ) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
        """Sentences and their lengths: word t is the inverse distribution function at eps_t (THEORY T13).

        Args:
            noise: eps, uniform in [0, 1), as wide as the longest sentence may be.
            eos: the word that ends a sentence; None: all are T words. A row without it is cut at T words.
            label: the class of each sentence, for a table that has classes.
            pad: what stands after EOS.
        """

    def log_prob(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, " B"] | Float[Tensor, "B K"]:
        """Ln P(w_1 .. w_n) under each class, nats per sentence, [B, *C]; arguments as in `log_prob_token`."""
        return self.log_prob_token(tokens, lengths).sum(1)


class Unigram(Table):
    """P(w_t) = P[w_t], whatever came before.

    Args:
        vocabulary: V.
        classes: K, or None for one table without a class.
    """

    def __init__(self, vocabulary: int, *, classes: int | None = None) -> None:
        super().__init__()
        self.vocabulary, self.classes = _checked(vocabulary, classes)
        self.logits = nn.Parameter(torch.zeros(*_shape(classes), vocabulary, dtype=torch.float64))

    @classmethod
    def from_log_probabilities(cls, words: Float[Tensor, "*C V"]) -> Self:
        """The table whose ln P[w] are given, [V] or [K, V]; -inf for a word that never comes."""
        table = cls(words.shape[-1], classes=words.shape[0] if words.ndim == 2 else None)
        table.set(words)
        return table

    @torch.no_grad()
    def set(self, words: Float[Tensor, "*C V"]) -> None:
        """Make ln P[w] the table."""
        self.logits.copy_(words)

    def log_probabilities(self) -> Float[Tensor, "*C V"]:
        """Ln P[w], nats."""
        return self.logits.log_softmax(-1)

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T"] | Float[Tensor, "B T K"]:
        """Ln P[w_t], nats, [B, T, *C], 0 on padding."""
        return _masked(self.log_probabilities().movedim(-1, 0)[tokens], lengths)

    def sample(
        self,
        noise: Float[Tensor, "B T"],
        *,
        eos: int | None = None,
        label: Int[Tensor, " B"] | None = None,
        pad: int = 0,
    ) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
        """Sentences and their lengths; arguments as in `Table.sample`."""
        rows = _of_label(self.log_probabilities().detach().exp(), label, self.classes, len(noise))  # [B, V]
        return ended(torch.stack([word_from_noise(rows, eps) for eps in noise.unbind(1)], 1), eos=eos, pad=pad)


class Bigram(Table):
    """P(w_1) = P[w_1], P(w_{t+1} | w_t) = Q[w_t, w_{t+1}] (THEORY T13).

    Args:
        vocabulary: V; Q takes 8 V^2 bytes, for each class.
        classes: K, or None for one table without a class.
    """

    def __init__(self, vocabulary: int, *, classes: int | None = None) -> None:
        super().__init__()
        self.vocabulary, self.classes = _checked(vocabulary, classes)
        shape = (*_shape(classes), vocabulary)
        self.start_logits = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.transition_logits = nn.Parameter(torch.zeros(*shape, vocabulary, dtype=torch.float64))

    @classmethod
    def from_log_probabilities(cls, start: Float[Tensor, "*C V"], transition: Float[Tensor, "*C V V"]) -> Self:
        """The table whose ln P[i] and ln Q[i, j] are given, without classes or with them in front."""
        table = cls(start.shape[-1], classes=start.shape[0] if start.ndim == 2 else None)
        table.set(start, transition)
        return table

    @torch.no_grad()
    def set(self, start: Float[Tensor, "*C V"], transition: Float[Tensor, "*C V V"]) -> None:
        """Make ln P[i] and ln Q[i, j] the tables."""
        self.start_logits.copy_(start)
        self.transition_logits.copy_(transition)

    def log_start(self) -> Float[Tensor, "*C V"]:
        """Ln P[i], nats."""
        return self.start_logits.log_softmax(-1)

    def log_transition(self) -> Float[Tensor, "*C V V"]:
        """Ln Q[i, j], nats."""
        return self.transition_logits.log_softmax(-1)

    def log_prob_token(
        self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]
    ) -> Float[Tensor, "B T"] | Float[Tensor, "B T K"]:
        """Ln P[w_1], then ln Q[w_{t-1}, w_t], nats, [B, T, *C], 0 on padding."""
        first = self.log_start().movedim(-1, 0)[tokens[:, :1]]
        rest = self.log_transition().movedim((-2, -1), (0, 1))[tokens[:, :-1], tokens[:, 1:]]
        return _masked(torch.cat([first, rest], 1), lengths)

    def sample(
        self,
        noise: Float[Tensor, "B T"],
        *,
        eos: int | None = None,
        label: Int[Tensor, " B"] | None = None,
        pad: int = 0,
    ) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
        """Sentences and their lengths; arguments as in `Table.sample`."""
        start = self.log_start().detach().exp()
        transition = self.log_transition().detach().exp()
        words = [word_from_noise(_of_label(start, label, self.classes, len(noise)), noise[:, 0])]
        for eps in noise[:, 1:].unbind(1):
            rows = transition[words[-1]] if label is None else transition[label, words[-1]]  # [B, V]
            words.append(word_from_noise(rows, eps))
        return ended(torch.stack(words, 1), eos=eos, pad=pad)


def log_estimate(
    counts: Float[Tensor, "*rows V"],
    *,
    pseudo_count: float = 0.0,
    otherwise: Float[Tensor, "*rows V"] | None = None,
) -> Float[Tensor, "*rows V"]:
    """Ln of the most probable distribution of each row given its counts, nats, float64.

    (n_j + a) / (N + a V): maximum likelihood at a = 0, and for a > 0 the mode under a Dirichlet prior of parameters
    1 + a, whose log density is a sum_j ln p_j plus a constant. A word without count gets -inf at a = 0, exactly.

    Args:
        counts: n_j >= 0, whole or expected.
        pseudo_count: a >= 0.
        otherwise: log probabilities of the rows that have neither counts nor pseudo-counts, for which every
            distribution is as likely; uniform if not given.

    Raises:
        ValueError: a negative count or pseudo-count, or one that is no number.
    """
    if pseudo_count < 0.0:
        raise ValueError(f"pseudo_count must be >= 0, got {pseudo_count}; 0 is maximum likelihood.")
    weight = counts.to(torch.float64) + pseudo_count
    if not bool((weight >= 0.0).all()):  # NaN as well
        raise ValueError("counts must be >= 0 and numbers; look at where they were made.")
    total = weight.sum(-1, keepdim=True)
    uniform = weight.new_full((), 1.0 / weight.shape[-1]).log()
    empty = uniform if otherwise is None else otherwise.to(torch.float64)
    return torch.where(total > 0.0, weight.log() - total.clamp(min=torch.finfo(torch.float64).tiny).log(), empty)


def count_words(
    tokens: Int[Tensor, "B T"],
    lengths: Int[Tensor, " B"],
    *,
    vocabulary: int,
    weight: Float[Tensor, " B"] | None = None,
) -> Float[Tensor, " V"]:
    """How often each word comes, float64; a sentence of weight 2 counts twice."""
    inside = _inside(tokens, lengths)
    each = _weights(tokens, weight)[inside]
    return each.new_zeros(vocabulary).index_add_(0, tokens[inside], each)


def count_pairs(
    tokens: Int[Tensor, "B T"],
    lengths: Int[Tensor, " B"],
    *,
    vocabulary: int,
    weight: Float[Tensor, " B"] | None = None,
) -> tuple[Float[Tensor, " V"], Float[Tensor, "V V"]]:
    """How often each word is the first [V], and each pair follows another [V, V], float64: all a `Bigram` asks."""
    each, inside = _weights(tokens, weight), _inside(tokens, lengths)
    begun = inside[:, 0]
    start = each.new_zeros(vocabulary).index_add_(0, tokens[begun, 0], each[begun, 0])
    both = inside[:, 1:]
    place = tokens[:, :-1][both] * vocabulary + tokens[:, 1:][both]
    pairs = each.new_zeros(vocabulary * vocabulary).index_add_(0, place, each[:, 1:][both])
    return start, pairs.view(vocabulary, vocabulary)


def word_from_noise(probability: Float[Tensor, "*rows V"], noise: Float[Tensor, " B"]) -> Int[Tensor, " B"]:
    """The i with eps in [sum_{j<i} P[j], sum_{j<=i} P[j]), sums in float64; a word of probability 0 is never drawn.

    Where the sum of all rounds to less than eps, it is the last word of any probability (THEORY T13).

    Args:
        probability: one row for each draw [B, V], or one for all [V].
        noise: eps, in [0, 1).
    """
    ends, eps = probability.to(torch.float64).cumsum(-1), noise.to(torch.float64).contiguous()
    shared = probability.ndim == 1
    found = torch.searchsorted(ends, eps if shared else eps[:, None], right=True)
    place = torch.arange(probability.shape[-1], device=probability.device)
    last = torch.where(probability > 0.0, place, -1).amax(-1)
    return torch.minimum(found if shared else found.squeeze(1), last)


def ended(words: Int[Tensor, "B T"], *, eos: int | None, pad: int = 0) -> tuple[Int[Tensor, "B T"], Int[Tensor, " B"]]:
    """The words up to the first EOS, `pad` after it, and how many there are; all T where there is none."""
    width = words.shape[1]
    if eos is None:
        return words, words.new_full((len(words),), width)
    place = torch.arange(width, device=words.device)
    lengths = torch.where(words == eos, place + 1, width).amin(1)
    return words.masked_fill(place >= lengths[:, None], pad), lengths


def _checked(vocabulary: int, classes: int | None) -> tuple[int, int | None]:
    if vocabulary < 1 or (classes is not None and classes < 1):
        raise ValueError(
            f"a table needs at least one word and one class, got vocabulary {vocabulary}, classes {classes}."
        )
    return vocabulary, classes


def _shape(classes: int | None) -> tuple[int, ...]:
    return () if classes is None else (classes,)


def _inside(tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> Bool[Tensor, "B T"]:
    return torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]


def _weights(tokens: Int[Tensor, "B T"], weight: Float[Tensor, " B"] | None) -> Float[Tensor, "B T"]:
    ones = torch.ones(tokens.shape, dtype=torch.float64, device=tokens.device)
    return ones if weight is None else ones * weight.to(torch.float64)[:, None]


def _masked(nats: Float[Tensor, "B T *C"], lengths: Int[Tensor, " B"]) -> Float[Tensor, "B T *C"]:
    """0 in the place of padding, whatever was read there."""
    outside = torch.arange(nats.shape[1], device=nats.device) >= lengths[:, None]
    return nats.masked_fill(outside.view(*outside.shape, *(1,) * (nats.ndim - 2)), 0.0)


def _of_label(
    probability: Float[Tensor, "*C V"], label: Int[Tensor, " B"] | None, classes: int | None, count: int
) -> Float[Tensor, "B V"]:
    """The row of each sentence's class."""
    if (label is None) != (classes is None):
        raise ValueError("a table with classes draws from the class of each sentence (label), one without from none.")
    return probability.expand(count, -1) if label is None else probability[label]
