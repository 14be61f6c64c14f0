"""A sentence as P codes: learned queries over a transformer's states, each answer the nearest vector of a codebook."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoModel, PreTrainedConfig

from textlatent.encoder.codebook import Codebook, Quantised
from textlatent.encoder.finite_scalar import FiniteScalar

BOOKS = ("shared", "position", "residual")
START, START_SENTENCES = 8, 512
"""Vectors for each code to start from, and the fewest sentences they come from."""


@dataclass(frozen=True)
class SentenceCodes:
    """Sentences as codes.

    Attributes:
        codes: k, [B, P].
        vectors: C[k], [B, P, d], of residual codes their sum, [B, 1, d]; its gradient goes where the rule sends it.
        penalty: the rule's own losses (THEORY T7), summed over positions, no nats, [B].
    """

    codes: Tensor
    vectors: Tensor
    penalty: Tensor

    @property
    def mean(self) -> Float[Tensor, "B D"]:
        """The one z there is, of D numbers: what stands where another model has a posterior's mean."""
        return self.vectors.flatten(1)

    def select(self, rows: slice | Int[Tensor, " n"]) -> "SentenceCodes":
        """Some of the sentences."""
        return SentenceCodes(self.codes[rows], self.vectors[rows], self.penalty[rows])


class CodeEncoder(nn.Module):
    """k[p] = argmin_k |C[k] - L[p]|, L[p] = W_p sum_t a_pt h_t + b_p, a_p = softmax_t(q_p . h_t / sqrt(H)).

    h are the states of any transformers encoder, those of padding left out; q_p, W_p and b_p are each position's own.
    P_enc is 1 for these codes and 0 for all others, so that ln P_enc(k|y) = 0.

    Residual codes are of one L, each of what those before left of it, and z is their sum, D = d:

        L[1] = L,   L[p+1] = L[p] - sg(C_p[k_p]),   k_p = argmin_k |C_p[k] - L[p]|,   z = sum_p C_p[k_p]

    A codebook's penalty is on its own L[p]; the gradient of z reaches L once (and each C_p where the rule sends it).
    Source: Zeghidour et al. 2021, arXiv:2107.03312, section III-C.

    Args:
        backbone: configuration of the transformer (of an encoder-decoder one, the encoder is taken).
        books: one codebook for all positions, or one for each: then they are the product codebook of the P parts. All
            of the same K and d, learned (Codebook) or a fixed grid (FiniteScalar).
        positions: P.
        residual: of one L, a codebook for each position.

    Raises:
        ValueError: no positions, or a number of codebooks that is neither 1 nor P, or not P where they are residual.
    """

    backbone: Any
    books: Any
    started: Tensor

    def __init__(
        self,
        backbone: PreTrainedConfig,
        books: Iterable[Codebook | FiniteScalar],
        *,
        positions: int,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.books = nn.ModuleList(books)
        if residual and len(self.books) != positions:
            raise ValueError(f"residual codes need a codebook a position, got {len(self.books)} for {positions}.")
        if positions < 1 or len(self.books) not in (1, positions):
            raise ValueError(f"positions must be >= 1 with 1 or P codebooks, got {positions} and {len(self.books)}.")
        model = AutoModel.from_config(backbone)
        if backbone.is_encoder_decoder:
            model = model.get_encoder()
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # its parameters would never receive a gradient
        self.backbone = model
        self.positions = positions
        self.residual = residual
        answers = 1 if residual else positions
        width, size = backbone.hidden_size, self.books[0].vectors.shape[1]
        self.queries = nn.Parameter(torch.randn(answers, width))
        self.weight = nn.Parameter(torch.randn(answers, width, size) * width**-0.5)
        self.bias = nn.Parameter(torch.zeros(answers, size))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))

    def latents(self, tokens: Int[Tensor, "B T"], mask: Bool[Tensor, "B T"]) -> Float[Tensor, "B Q d"]:
        """L of each position, or the one of residual codes, in the parameters' precision."""
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
        found = self._found(self.latents(tokens, mask))
        codes = self._together([part.codes for _, part in found])
        if draw is not None:
            keep = (torch.ones_like(mask[:, 0]) if counted is None else counted)[:, None].expand_as(codes)
            for (rows, part), (book, own), (_, chances) in zip(
                found, self._parts(keep), self._parts(draw), strict=True
            ):
                book.observe(rows[own], part.codes[own], draw=chances[own])
        penalty = self._together([part.penalty for _, part in found]).sum(1)
        if not self.residual:
            return SentenceCodes(codes, self._together([part.vectors for _, part in found]), penalty)
        once = [part.vectors - (rows - rows.detach()) for rows, part in found[1:]]  # 0, but for the gradient of L
        return SentenceCodes(codes, _sum([found[0][1].vectors, *once])[:, None], penalty)

    def _found(self, latents: Float[Tensor, "B Q d"]) -> list[tuple[Tensor, Quantised]]:
        """What each codebook is given, [M, d], and what it makes of it."""
        if not self.residual:
            return [(rows, book(rows)) for book, rows in self._parts(latents)]
        left, found = latents.squeeze(1), list[tuple[Tensor, Quantised]]()
        for book in self.books:
            found.append((left, book(left)))
            left = left - found[-1][1].vectors.detach()
        return found

    def given(self, latents: Float[Tensor, "B Q d"]) -> Float[Tensor, "B P d"]:
        """That for which each position's code is searched: L, or what the codes before left of it."""
        return self._together([rows for rows, _ in self._found(latents)])

    def _parts(self, rows: Tensor) -> list[tuple[Any, Tensor]]:
        """Each codebook with the rows of [B, P, ...] that are its own, [M, ...]."""
        parts = [rows.flatten(0, 1)] if len(self.books) == 1 else list(rows.unbind(1))
        return list(zip(self.books, parts, strict=True))

    def _together(self, parts: list[Tensor]) -> Tensor:
        """What `_parts` took apart, [B, P, ...]."""
        return parts[0].unflatten(0, (-1, self.positions)) if len(parts) == 1 else torch.stack(parts, 1)

    def look_up(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B D"]:
        """C[k] of every position, side by side: D = P d; of residual codes their sum, D = d."""
        vectors = [book.look_up(own) for book, own in self._parts(codes)]
        return _sum(vectors) if self.residual else self._together(vectors).flatten(1)

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
        for number, book in enumerate(self.books):
            rows, _ = self._found(latents)[number]  # what codebooks leave that are started already
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


def _sum(vectors: list[Tensor]) -> Tensor:
    """Their sum, added in their order, so that it is the same to the bit whoever adds."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = total + vector
    return total
