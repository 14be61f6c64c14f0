"""Who tells sentences of the corpus from the generator's: a table of pairs, or a transformer.

A verdict is a logit s = ln D / (1 - D), D the probability that what was looked at is of the corpus. At its best it is
ln p_corpus / p_generator (Goodfellow et al. 2014, arXiv:1406.2661, proposition 1).
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel


class Discriminator(nn.Module, ABC):
    """Sentences of T words -> verdicts. Abstract: it says what is judged, each pair of words or the whole sentence."""

    @abstractmethod
    def forward(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B J"]:
        """The verdicts on a sentence, EOS in every place after its first: J = T, one for each word, or J = 1."""

    @abstractmethod
    def relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """The same of words that are points of the simplex; equal to `forward` at one-hot rows."""

    @abstractmethod
    def judged(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B J"]:
        """Which verdicts are of something: none on a word after the first EOS."""

    @abstractmethod
    def judged_relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """The weight of each verdict: how much of the sentence has not ended before that word."""


class PairTable(Discriminator):
    """A verdict on w_1 and on each pair (w_t, w_{t+1}), from tables of logits; all zeros, and so undecided, at first.

    At its best s[i, j] = ln of how often the pair comes in the corpus over how often it comes from the generator. Where
    no verdict moves any more, both agree in every expected count of pairs: the generator is the maximum-likelihood
    bigram (but for sentences that have not ended after T words).

    Args:
        vocabulary: V.
        eos: the word that ends a sentence.
        whole: one verdict on the sentence, the sum of those on its pairs: a logistic regression on counts of pairs.
    """

    def __init__(self, vocabulary: int, *, eos: int, whole: bool = False) -> None:
        super().__init__()
        self.eos, self.whole = eos, whole
        self.start = nn.Parameter(torch.zeros(vocabulary, dtype=torch.float64))
        self.pair = nn.Parameter(torch.zeros(vocabulary, vocabulary, dtype=torch.float64))

    def forward(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.forward`; J = T, or 1 if `whole`."""
        verdicts = torch.cat([self.start[words[:, :1]], self.pair[words[:, :-1], words[:, 1:]]], 1)
        return (verdicts * self._live(words)).sum(1, keepdim=True) if self.whole else verdicts

    def relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.relaxed`."""
        after = torch.cat([self.start.expand(len(rows), 1, -1), rows[:, :-1] @ self.pair], 1)
        verdicts = (after * rows).sum(-1)
        return (verdicts * self._unended(rows)).sum(1, keepdim=True) if self.whole else verdicts

    def judged(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B J"]:
        """See `Discriminator.judged`."""
        return torch.ones_like(words[:, :1], dtype=torch.bool) if self.whole else self._live(words)

    def judged_relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.judged_relaxed`."""
        return torch.ones_like(rows[:, :1, 0]) if self.whole else self._unended(rows)

    def _live(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        return torch.cat([torch.ones_like(words[:, :1], dtype=torch.bool), words[:, :-1] != self.eos], 1)

    def _unended(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B T"]:
        going_on = (1.0 - rows[:, :-1, self.eos]).cumprod(1)
        return torch.cat([torch.ones_like(rows[:, :1, 0]), going_on], 1)


class Reader(Discriminator):
    """One verdict on the sentence, from a transformer that reads all T words; EOS after the end is a word to it too.

    Args:
        backbone: configuration of any transformers encoder; its vocabulary is V.
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        values = dict(backbone) if isinstance(backbone, dict) else backbone.to_dict()
        self.backbone = AutoModel.from_config(AutoConfig.for_model(values.pop("model_type"), **values))
        self.verdict = nn.Linear(self.backbone.config.hidden_size, 1)

    def forward(self, words: Int[Tensor, "B T"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.forward`; J = 1."""
        return self._read(self.backbone.get_input_embeddings()(words))

    def relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.relaxed`: the embedding of a point of the simplex is its words' mean."""
        table = self.backbone.get_input_embeddings().weight
        return self._read(rows.to(table.dtype) @ table)

    def judged(self, words: Int[Tensor, "B T"]) -> Bool[Tensor, "B J"]:
        """See `Discriminator.judged`."""
        return torch.ones_like(words[:, :1], dtype=torch.bool)

    def judged_relaxed(self, rows: Float[Tensor, "B T V"]) -> Float[Tensor, "B J"]:
        """See `Discriminator.judged_relaxed`."""
        return torch.ones_like(rows[:, :1, 0])

    def _read(self, embedded: Float[Tensor, "B T H"]) -> Float[Tensor, "B J"]:
        return self.verdict(self.backbone(inputs_embeds=embedded).last_hidden_state.mean(1)).double()
