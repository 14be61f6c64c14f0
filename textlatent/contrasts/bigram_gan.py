"""The bigram GAN: tables P[i] and Q[i, j] that write sentences of T words, and a discriminator to tell them by.

A sentence of varying length is presented as T words: its own, EOS, and EOS again up to the T-th. EOS is absorbing, so
the tables are a distribution over sentences of at most T words with their EOS, and over beginnings of T words without.
Nothing but ln P(y) is defined: no z, no encoder, no rate. The blanks are the contrast (THEORY T13).
"""

from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from textlatent.contrasts.discriminator import Discriminator, PairTable, Reader
from textlatent.decoder.table import Bigram, word_from_noise
from textlatent.scores import Scores

__all__ = ["BigramGAN", "BigramGANConfig", "word_from_noise"]


@strict
class BigramGANConfig(PreTrainedConfig):
    """A generator's tables and who judges it.

    Attributes:
        vocab_size: V.
        words: T, the words of every sentence, EOS counted.
        eos_token_id: the word that ends a sentence.
        discriminator: "table" (discriminator.PairTable) or "transformer" (discriminator.Reader).
        judges: of a table: "pairs" or the "sentence".
        backbone: of a transformer: its configuration.
    """

    model_type = "textlatent_bigram_gan"

    vocab_size: int = 4
    words: int = 2
    eos_token_id: int = 2
    discriminator: str = "table"
    judges: str = "pairs"
    backbone: dict | None = None

    def validate_discriminator(self) -> None:
        """Refuse a discriminator that is none, and a transformer that is not described."""
        if self.discriminator not in ("table", "transformer") or self.judges not in ("pairs", "sentence"):
            raise ValueError(
                f"discriminator must be table or transformer and judges pairs or sentence, got {self.discriminator!r} "
                f"and {self.judges!r}."
            )
        if (self.discriminator == "transformer") != (self.backbone is not None):
            raise ValueError("a discriminator of type transformer needs a backbone, and a table has none.")

    def validate_words(self) -> None:
        """Refuse a sentence without room."""
        if self.words < 1 or not 0 <= self.eos_token_id < self.vocab_size:
            raise ValueError(f"words must be >= 1 and eos_token_id a word, got {self.words} and {self.eos_token_id}.")


class BigramGAN(PreTrainedModel):
    """Two players: `generator`, tables P and Q as softmaxes of logits in float64, and `discriminator`."""

    config_class = BigramGANConfig
    base_model_prefix = ""
    main_input_name = "tokens"
    generator: Bigram
    discriminator: Discriminator

    def __init__(self, config: BigramGANConfig) -> None:
        super().__init__(config)
        self.generator = Bigram(config.vocab_size)
        if config.discriminator == "table":
            self.discriminator = PairTable(
                config.vocab_size, eos=config.eos_token_id, whole=config.judges == "sentence"
            )
        else:
            self.discriminator = Reader(config.backbone)
        self.register_buffer("baseline", torch.zeros(config.words, dtype=torch.float64))  # of earlier draws' costs
        self.register_buffer("costs", torch.zeros(2, dtype=torch.float64))  # of earlier words: their sum and number
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """Leave what the parts made of themselves."""

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        index: Int[Tensor, " B"],
        *,
        words: Int[Tensor, " B"] | None = None,
        characters: Int[Tensor, " B"] | None = None,
        label: Int[Tensor, " B"] | None = None,
        samples: int = 1,
        keep_tokens: bool = False,
        **noise: Any,
    ) -> Scores:
        """Ln P(y) of each sentence, nats, in `log_p_dec`; every other quantity is blank, for there is no z.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            lengths: n + 1.
            index: carried into the record.
            words: carried into the record.
            characters: carried into the record.
            label: carried into the record.
            samples: rows of log_p_dec; all are alike, for nothing is drawn.
            keep_tokens: also log_p_dec_token.
            noise: seed, epoch and the like, of draws that are not made.
        """
        each = self.generator.log_prob_token(tokens, lengths)
        return Scores(
            log_p_dec=each.sum(1, dtype=torch.float64).expand(samples, -1),
            log_p_dec_token=each if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
        )

    def centre(self) -> Float[Tensor, ""]:
        """The mean cost of an earlier word, nats; 0 before the first."""
        costs: Any = self.costs
        return costs[0] / costs[1].clamp_min(1e-12)

    def move_centre(self, total: Float[Tensor, ""], words: Float[Tensor, ""]) -> None:
        """Make the latest words' mean cost the centre."""
        costs: Any = self.costs
        costs.copy_(torch.stack([total.double(), words.double()]))

    def present(self, tokens: Int[Tensor, "B n"], lengths: Int[Tensor, " B"]) -> Int[Tensor, "B T"]:
        """Sentences as the discriminator sees them: EOS in every place after the first.

        Raises:
            ValueError: one is longer than T.
        """
        eos, width = self.config.eos_token_id, self.config.words
        if int(lengths.max()) > width:
            raise ValueError(f"a sentence has {int(lengths.max())} words with EOS, over the {width} of this model.")
        shown = tokens.new_full((len(tokens), width), eos)
        place = torch.arange(tokens.shape[1], device=tokens.device)
        kept = min(width, tokens.shape[1])
        shown[:, :kept] = tokens.masked_fill(place >= lengths[:, None], eos)[:, :kept]
        return shown

    @torch.no_grad()
    def write(self, noise: Float[Tensor, "N T"]) -> Int[Tensor, "N T"]:
        """The sentences that inverse CDF makes of noise in [0, 1), EOS in every place after the first (THEORY T13).

        As `Bigram.sample` draws them, word for word; but the sums are made once for all sentences and searched in
        place, where that copies a row of V for every word.
        """
        eos, transition = self.config.eos_token_id, self.generator.log_transition().exp()
        rows = torch.cat([self.generator.log_start().exp()[None], transition])  # row 0 is P's
        ends, place = rows.cumsum(-1), torch.arange(rows.shape[1], device=rows.device)
        last = torch.where(rows > 0.0, place, -1).amax(-1)
        words = [torch.full_like(noise[:, 0], -1, dtype=torch.long)]
        for eps in noise.unbind(1):
            word = _first_above(ends, words[-1] + 1, eps.double())
            word = torch.minimum(word, last[words[-1] + 1])
            words.append(torch.where(words[-1] == eos, eos, word))
        return torch.stack(words[1:], 1)


def _first_above(ends: Float[Tensor, "R V"], row: Int[Tensor, " N"], eps: Float[Tensor, " N"]) -> Int[Tensor, " N"]:
    """The first k with ends[row, k] > eps, V where there is none: a binary search in all rows at once."""
    low, high = torch.zeros_like(row), torch.full_like(row, ends.shape[1])
    for _ in range(ends.shape[1].bit_length()):
        middle = (low + high) // 2
        below = ends[row, middle.clamp_max(ends.shape[1] - 1)] <= eps
        open_ = low < high
        low, high = torch.where(open_ & below, middle + 1, low), torch.where(open_ & ~below, middle, high)
    return low
