"""The two halves of EM for a latent class model: what prior and decoder expect of sentences, and what fits that best.

The E-step is the exact encoder, on counts where counts suffice; the M-step is a mode in closed form (THEORY T12).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.decoder.classes import StateDecoder
from textlatent.decoder.counts import Bags, PairCounts, WordCounts, bags
from textlatent.decoder.table import Unigram, log_estimate
from textlatent.encoder.chain import recursion, relative_to_best
from textlatent.encoder.posterior import class_posterior
from textlatent.models.latent_class import LatentClassModel
from textlatent.prior.classes import ChainPrior, ClassPrior

Statistics = dict[str, Tensor]
"""Sums over sentences, float64: `sentences`; `rate`, `distortion`, `nll` in nats; the tables' expected counts."""


class Expectation(ABC):
    """E-step and M-step of a model; the statistics of parts of a corpus add up.

    Args:
        model: whose prior and decoder they are.
    """

    def __init__(self, model: LatentClassModel) -> None:
        self.model = model

    @abstractmethod
    def gather(
        self, tokens: Int[Tensor, " n"], lengths: Int[Tensor, " N"], *, weight: Float[Tensor, " N"] | None = None
    ) -> Any:
        """What the E-step needs of some sentences, made once: their words one after the other, and their lengths.

        Args:
            tokens: every sentence's words, EOS included.
            lengths: words of each.
            weight: of each sentence; 2 counts as two of them. 1 if not given.
        """

    @abstractmethod
    def expect(self, gathered: Any) -> Statistics:
        """The E-step: sums over the sentences gathered, under the exact posterior."""

    @abstractmethod
    def maximise(self, statistics: Statistics) -> None:
        """The M-step: the tables most probable given expected counts of the whole corpus.

        A row that expects nothing, under no pseudo-counts, keeps what it was.
        """

    @abstractmethod
    def occupancy(self, statistics: Statistics) -> Float[Tensor, " K"]:
        """How much each class is expected to hold: sentences, or words of a chain's state."""

    @abstractmethod
    def start(self, words: Float[Tensor, " V"], *, generator: torch.Generator, noise: float) -> None:
        """Begin: every class at the corpus's own words, each ln P moved by noise x N(0, 1), the prior uniform.

        Args:
            words: how often each word comes.
            generator: of the noise.
            noise: 0 makes all classes alike, which EM cannot leave.
        """

    def log_prior(self) -> float:
        """The log density of the tables under their Dirichlet priors, nats, of the whole corpus."""
        with torch.no_grad():
            return self.model.log_prior().item()

    @torch.no_grad()
    def alike(self, *, tolerance: float = 1e-9) -> list[tuple[int, int]]:
        """Pairs of classes whose tables say the same of every word: to the data they are one."""
        table = self.model.decoder.table
        parts = (
            [table.log_probabilities()] if isinstance(table, Unigram) else [table.log_start(), table.log_transition()]
        )
        if isinstance(self.model.prior, ChainPrior):
            parts.append(self.model.prior.log_transition())
        rows = [part.exp().flatten(1) for part in parts]
        return [
            (i, j)
            for i in range(self.model.config.classes)
            for j in range(i)
            if all(bool((row[i] - row[j]).abs().max() < tolerance) for row in rows)
        ]

    def _pseudo(self) -> tuple[float, float]:
        return float(self.model.config.prior_pseudo_count), float(self.model.config.word_pseudo_count)

    def _around(self, words: Tensor, shape: tuple[int, ...], generator: torch.Generator, noise: float) -> Tensor:
        """ln P of the corpus's words (one more of each, so that none is 0) in every row, moved by noise."""
        base = log_estimate(words, pseudo_count=1.0)
        return (
            base + noise * torch.randn(*shape, len(words), generator=generator, dtype=torch.float64).to(base)
        ).log_softmax(-1)


@dataclass(frozen=True)
class _Mixed:
    """Sentences of a mixture: their counts and weights."""

    counts: WordCounts | PairCounts
    sentences: int
    weight: Tensor | None


class MixtureExpectation(Expectation):
    """A mixture of unigrams or of bigrams: on sparse counts, O(non-zeros x K)."""

    def gather(
        self, tokens: Int[Tensor, " n"], lengths: Int[Tensor, " N"], *, weight: Float[Tensor, " N"] | None = None
    ) -> _Mixed:
        """Sparse counts of words, or of pairs of them."""
        kind = WordCounts if isinstance(self.model.decoder.table, Unigram) else PairCounts
        counts = kind(tokens, lengths, vocabulary=self.model.decoder.table.vocabulary)
        return _Mixed(counts, len(lengths), weight)

    @torch.no_grad()
    def expect(self, gathered: _Mixed) -> Statistics:
        """Responsibilities, and the counts they weigh."""
        assert isinstance(self.model.prior, ClassPrior)
        table: Any = self.model.decoder.table
        found = class_posterior(self.model.prior.log_prob(), gathered.counts.log_prob(table))
        held = found.probability
        each = torch.stack([found.rate, found.distortion, -found.log_marginal], 1)
        if gathered.weight is not None:
            held, each = held * gathered.weight[:, None], each * gathered.weight[:, None]
        rate, distortion, nll = each.sum(0).unbind()
        return {
            "sentences": held.sum(),
            "rate": rate,
            "distortion": distortion,
            "nll": nll,
            "classes": held.sum(0),
            **gathered.counts.expected(held),
        }

    @torch.no_grad()
    def maximise(self, statistics: Statistics) -> None:
        """Each row's counts and pseudo-counts, normalised."""
        prior, table = self.model.prior, self.model.decoder.table
        assert isinstance(prior, ClassPrior)
        of_prior, of_words = self._pseudo()
        prior.set(log_estimate(statistics["classes"], pseudo_count=of_prior, otherwise=prior.log_prob()))
        if isinstance(table, Unigram):
            table.set(log_estimate(statistics["words"], pseudo_count=of_words, otherwise=table.log_probabilities()))
        else:
            table.set(
                log_estimate(statistics["first"], pseudo_count=of_words, otherwise=table.log_start()),
                log_estimate(statistics["pairs"], pseudo_count=of_words, otherwise=table.log_transition()),
            )

    def occupancy(self, statistics: Statistics) -> Float[Tensor, " K"]:
        """Expected sentences of each class."""
        return statistics["classes"]

    def start(self, words: Float[Tensor, " V"], *, generator: torch.Generator, noise: float) -> None:
        """Every row near the corpus's own words."""
        prior, table = self.model.prior, self.model.decoder.table
        assert isinstance(prior, ClassPrior)
        classes = self.model.config.classes
        prior.set(torch.zeros(classes, dtype=torch.float64))
        if isinstance(table, Unigram):
            table.set(self._around(words, (classes,), generator, noise))
        else:
            first = self._around(words, (classes,), generator, noise)
            table.set(first, self._around(words, (classes, len(words)), generator, noise))


@dataclass(frozen=True)
class _Padded:
    """Some sentences of a chain, of about one length: padded with V, word by word [T, B]; where each word stands."""

    tokens: Tensor
    inside: Tensor
    weight: Tensor | None
    known: Tensor
    words: Bags


class ChainExpectation(Expectation):
    """A hidden Markov model: forward-backward over padded batches of sentences of about one length.

    Args:
        model: as in `Expectation`.
        tokens_per_batch: sentences x longest sentence of a batch; changes the memory, not the result.
    """

    def __init__(self, model: LatentClassModel, *, tokens_per_batch: int = 1 << 14) -> None:
        super().__init__(model)
        self.tokens_per_batch = tokens_per_batch

    def gather(
        self, tokens: Int[Tensor, " n"], lengths: Int[Tensor, " N"], *, weight: Float[Tensor, " N"] | None = None
    ) -> list[_Padded]:
        """Batches from short sentences to long ones."""
        begin = lengths.cumsum(0) - lengths
        order = lengths.argsort(stable=True)
        batches, some = [], list[int]()
        for row, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
            if some and (len(some) + 1) * length > self.tokens_per_batch:
                batches.append(some)
                some = []
            some.append(row)
        batches += [some] if some else []
        return [
            self._padded(torch.tensor(rows, device=tokens.device), tokens, lengths, begin, weight) for rows in batches
        ]

    def _padded(self, rows: Tensor, tokens: Tensor, lengths: Tensor, begin: Tensor, weight: Tensor | None) -> _Padded:
        own = lengths[rows]
        place = torch.arange(int(own.max()), device=tokens.device)
        inside = place[:, None] < own  # [T, B]
        vocabulary = self.model.decoder.table.vocabulary
        padded = tokens[(begin[rows] + place[:, None]).clamp(max=len(tokens) - 1)].masked_fill(~inside, vocabulary)
        at = inside.flatten().nonzero().squeeze(1)
        known, which = padded.flatten()[at].unique(return_inverse=True)
        words = bags(which, at, count=len(known))
        return _Padded(padded, inside, None if weight is None else weight[rows], known, words)

    @torch.no_grad()
    def expect(self, gathered: list[_Padded]) -> Statistics:
        """Expected states, steps between them and words from them."""
        prior, decoder = self.model.prior, self.model.decoder
        assert isinstance(prior, ChainPrior)
        assert isinstance(decoder, StateDecoder)
        table = decoder.table.log_probabilities().t().contiguous()  # [V, K]
        table = torch.cat([table, table.new_zeros(1, table.shape[1])])  # and a row for padding, which says nothing
        words = torch.zeros_like(table)
        total: Statistics = {}
        chain = (prior.log_start(), prior.log_transition())
        emission = relative_to_best(table)
        for batch in gathered:
            part = _expected_of(batch, *chain, *emission, table, words)
            total = {name: total[name] + value for name, value in part.items()} if total else part
        words = words[:-1].t().contiguous()
        distortion = -torch.where(words > 0.0, words * decoder.table.log_probabilities(), 0.0).sum()
        return {**total, "distortion": distortion, "words": words}

    @torch.no_grad()
    def maximise(self, statistics: Statistics) -> None:
        """Each row's counts and pseudo-counts, normalised."""
        prior, table = self.model.prior, self.model.decoder.table
        assert isinstance(prior, ChainPrior)
        assert isinstance(table, Unigram)
        of_prior, of_words = self._pseudo()
        prior.set(
            log_estimate(statistics["first"], pseudo_count=of_prior, otherwise=prior.log_start()),
            log_estimate(statistics["steps"], pseudo_count=of_prior, otherwise=prior.log_transition()),
        )
        table.set(log_estimate(statistics["words"], pseudo_count=of_words, otherwise=table.log_probabilities()))

    def occupancy(self, statistics: Statistics) -> Float[Tensor, " K"]:
        """Expected words of each state."""
        return statistics["words"].sum(-1)

    def start(self, words: Float[Tensor, " V"], *, generator: torch.Generator, noise: float) -> None:
        """Every state near the corpus's own words, start and steps near uniform."""
        prior, table = self.model.prior, self.model.decoder.table
        assert isinstance(prior, ChainPrior)
        assert isinstance(table, Unigram)
        classes = self.model.config.classes
        flat = words.new_zeros(classes)
        prior.set(
            self._around(flat, (), generator, noise),
            self._around(flat, (classes,), generator, noise),
        )
        table.set(self._around(words, (classes,), generator, noise))


def _expected_of(
    batch: _Padded, start: Tensor, transition: Tensor, emission: Tensor, log_best: Tensor, table: Tensor, words: Tensor
) -> Statistics:
    """The sums of one padded batch; its words' are added to `words` [V + 1, K]."""
    found = recursion(
        start,
        transition,
        emission[batch.tokens],
        log_best[batch.tokens],
        batch.inside,
        log_emission_of=lambda rows: table[batch.tokens[:, rows].t()],
        weight=batch.weight,
    )
    states, each = found.states, torch.stack([found.rate, -found.log_marginal], 1)
    sentences = each.new_full((), len(each))
    if batch.weight is not None:
        states, each = states * batch.weight[:, None], each * batch.weight[:, None]
        sentences = batch.weight.sum()
    words.index_add_(0, batch.known, batch.words.sums(states.flatten(0, 1)))
    rate, nll = each.sum(0).unbind()
    return {
        "sentences": sentences,
        "rate": rate,
        "nll": nll,
        "first": states[0].sum(0),
        "steps": found.transitions,
    }


def expectation_of(model: LatentClassModel) -> Expectation:
    """E-step and M-step of a model, by its family.

    Raises:
        ValueError: its encoder is taught: EM's is the exact posterior.
    """
    if not model.exact:
        raise ValueError("EM computes the posterior itself: build the model with encoder_type bayes.")
    return halves_of(model)


def halves_of(model: LatentClassModel) -> Expectation:
    """The two halves of prior and decoder, whichever the encoder beside them."""
    return ChainExpectation(model) if model.config.family == "hmm" else MixtureExpectation(model)
