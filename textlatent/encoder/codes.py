"""A sentence as P codes: learned queries over a transformer's states, each answer the nearest vector of a codebook."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.codebook import Codebook
from textlatent.encoder.finite_scalar import FiniteScalar

BOOKS = ("shared", "position")
START, START_SENTENCES = 8, 512
"""Vectors for each code to start from, and the fewest sentences they come from."""


@dataclass(frozen=True)
class SentenceCodes:
    """Sentences as codes.

    Attributes:
        codes: k, [B, P].
        vectors: C[k], [B, P, d]; its gradient goes where the gradient rule sends it.
        penalty: the rule's own losses (THEORY T7), summed over positions, no nats, [B].
    """

    codes: Tensor
    vectors: Tensor
    penalty: Tensor

    @property
    def mean(self) -> Float[Tensor, "B D"]:
        """The one z there is, of D = P d numbers: what stands where another model has a posterior's mean."""
        return self.vectors.flatten(1)

    def select(self, rows: slice | Int[Tensor, " n"]) -> "SentenceCodes":
        """Some of the sentences."""
        return SentenceCodes(self.codes[rows], self.vectors[rows], self.penalty[rows])


class CodeEncoder(nn.Module):
    """k[p] = argmin_k |C[k] - L[p]|, L[p] = W_p sum_t a_pt h_t + b_p, a_p = softmax_t(q_p . h_t / sqrt(H)).

    h are the states of any transformers encoder, those of padding left out; q_p, W_p and b_p are each position's own.
    P_enc is 1 for these codes and 0 for all others, so that ln P_enc(k|y) = 0.

    Args:
        backbone: configuration of the transformer (of an encoder-decoder one, the encoder is taken).
        books: one codebook for all positions, or one for each: then they are the product codebook of the P parts. All
            of the same K and d, learned (Codebook) or a fixed grid (FiniteScalar).
        positions: P.

    Raises:
        ValueError: no positions, or a number of codebooks that is neither 1 nor P.
    """

    backbone: Any
    books: Any
    started: Tensor

    def __init__(self, backbone: PreTrainedConfig, books: Iterable[Codebook | FiniteScalar], *, positions: int) -> None:
        super().__init__()
        self.books = nn.ModuleList(books)
        if positions < 1 or len(self.books) not in (1, positions):
            raise ValueError(f"positions must be >= 1 with 1 or P codebooks, got {positions} and {len(self.books)}.")
        model = AutoModel.from_config(backbone)
        if backbone.is_encoder_decoder:
            model = model.get_encoder()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its parameters would never receive a gradient
        self.backbone = model
        self.positions = positions
        width, size = backbone.hidden_size, self.books[0].vectors.shape[1]
        self.queries = nn.Parameter(torch.randn(positions, width))
        self.weight = nn.Parameter(torch.randn(positions, width, size) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(positions, size))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def latents(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B P d"]:
        """L, in the parameters' precision."""
        tokens = torch.where(mask, tokens, tokens[:, :1])  # attention gives padding weight 0, but 0 * NaN is NaN
        hidden = self.backbone(input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = torch.where(mask[:, :, None], hidden.to(self.queries.dtype), 0.0)
            heard = torch.einsum("ph,bth->bpt", self.queries, hidden) * hidden.shape[-1] ** -0.5
            share = heard.masked_fill(~mask[:, None], float("-inf")).softmax(-1)
            answers = share @ hidden  # [B, P, H]
            return torch.einsum("bph,phd->bpd", answers, self.weight) + self.bias

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        mask: Bool[Tensor, "B T"],
        *,
        draw: Float[Tensor, "B P"] | None = None,
        counted: Bool[Tensor, " B"] | None = None,
    ) -> SentenceCodes:
        """Codes, vectors and penalty of each sentence.

        Args:
            tokens: w_1 .. w_n EOS, then padding.
            mask: True on tokens, False on padding; padding changes nothing.
            draw: what decides who may revive a code (Codebook.observe): given where the codebooks are to learn from
                these sentences, at the next `settle`.
            counted: of which they learn; all if not given.
        """
        latents = self.latents(tokens, mask)
        found = [book(rows) for book, rows in self._parts(latents)]
        codes = self._together([part.codes for part in found])
        if draw is not None:
            keep = slice(None) if counted is None else counted
            each = zip(self._parts(latents[keep]), self._parts(codes[keep]), self._parts(draw[keep]), strict=True)
            for (book, rows), (_, own), (_, chances) in each:
                book.observe(rows, own, draw=chances)
        penalty = self._together([part.penalty for part in found]).sum(1)
        return SentenceCodes(codes, self._together([part.vectors for part in found]), penalty)

    def _parts(self, rows: Tensor) -> list[tuple[Any, Tensor]]:
        """Each codebook with the rows of [B, P, ...] that are its own, [M, ...]."""
        parts = [rows.flatten(0, 1)] if len(self.books) == 1 else list(rows.unbind(1))
        return list(zip(self.books, parts, strict=True))

    def _together(self, parts: list[Tensor]) -> Tensor:
        """What `_parts` took apart, [B, P, ...]."""
        return parts[0].unflatten(0, (-1, self.positions)) if len(parts) == 1 else torch.stack(parts, 1)

    def look_up(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """C[k] of every position, side by side: D = P d."""
        return self._together([book.look_up(own) for book, own in self._parts(codes)]).flatten(1)

    @property
    def centre(self) -> Float[Tensor, " D"]:
        """The mean of all codes' vectors at every position: z expected under the uniform prior."""
        means = torch.stack([book.vectors.mean(0) for book in self.books])
        return means.expand(self.positions, -1).flatten()

    def row_parameters(self) -> list[tuple[nn.Parameter, float]]:
        """Parameters whose rows are codes, and what their learning rate is to be multiplied by."""
        return [(each, book.codebook_lr_factor) for book in self.books for each in book.row_parameters()]

    @torch.no_grad()
    def initialise(self, batches: Iterable[tuple[Tensor, Tensor]], *, seed: int) -> None:
        """Start from sentences: L of each position at mean 0 and variance 1 over them, then codes among those L.

        The decoder's maps of z expect numbers of variance 1, and codes far from every L would never be used. A fixed
        grid stays where it is; there each component has variance 1, because each is rounded by itself.

        Args:
            batches: tokens and mask of each; P L a sentence, K of them at least for each codebook.
            seed: decides which L become codes.

        Source: of the first step Salimans & Kingma 2016, arXiv:1602.07868, section 3, a position for a unit.
        """
        latents = torch.cat([self.latents(tokens, mask) for tokens, mask in batches])
        mean = latents.double().mean(0)  # [P, d]
        over = (0,) if self.books[0].fixed else (0, 2)
        scale = (latents.double() - mean).square().mean(over, keepdim=True)[0].sqrt().clamp(min=1e-12)  # [P, 1 or d]
        self.bias.copy_((self.bias - mean) / scale)
        self.weight.div_(scale[:, None])
        latents = ((latents - mean) / scale).to(latents.dtype)
        for number, (book, rows) in enumerate(self._parts(latents)):
            book.initialise(rows, seed=seed + number)
        self.started.fill_(True)

    @property
    def sentences_to_start(self) -> int:
        """How many give each codebook START vectors a code to start from (a grid none), at least START_SENTENCES."""
        vectors = 0 if self.books[0].fixed else START * len(self.books[0].vectors) * len(self.books)
        return max(START_SENTENCES, -(-vectors // self.positions))

    @torch.no_grad()
    def settle(self, *, reduce: Callable[[Tensor], Tensor]) -> int:
        """End a step of training: the codebooks take in what they observed; how many codes were revived.

        Args:
            reduce: the sum of a tensor over all processes.
        """
        revived = 0
        for book in self.books:
            book.settle(reduce=reduce)
            revived += 0 if book.revived is None else int(book.revived.sum())
        return revived
