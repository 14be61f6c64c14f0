"""K codes that stand for the encoder's vectors: the search, the statistics, the start and the revival of codes.

How a model uses it (`latents` are the vectors of valid positions only, gathered first, so that padding is not there):

    rule = CodeRule("published", commitment=0.5, rolling=True)             # gradient/codes.py
    codebook = Codebook(512, 64, rule=rule, decay=0.99)
    codebook.initialise(latents, seed=0)                                   # once, from a sample of sentences
    quantised = codebook(latents)                                          # in forward: no state changes
    codebook.observe(latents, quantised.codes, draw=draw)                  # in forward, where the encoder is learning
    codebook.settle(reduce=reduce)                                         # once after each update of the weights

A step may have many parts on many processes: `observe` only adds up, `settle` adds over the processes and moves the
codes once. So the codes after a step are a function of its sentences, however they were shared out.

Without `decay` the codes are a parameter, `row_parameters()`, and learn by gradient. They want a group of their own, of
SGD without momentum or weight decay, whose learning rate is multiplied by `codebook_lr_factor`: a code that is not hit
has a gradient of 0 and stays as it is to the bit. (Momentum and decay would move it; Adam would divide a factor of the
gradient out again.) A step of a learning rate r on a loss summed over positions moves a code with n_k hits a
share r n_k of the way to their mean (`published`). Training divides its loss by N, the sentences of a step: r n_k / N,
or r P / K where K codes are used alike, so that many codes want a codebook_lr_factor above 1 to go anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from textlatent.encoder.kmeans import lloyd, nearest, spread_out, totals

WINDOW = 10.0
"""Usage is an average over about the last 10 K positions, in which a code has 10 hits if all are used alike."""


@runtime_checkable
class Rule(Protocol):
    """What a codebook needs of gradient/codes.py's CodeRule."""

    @property
    def rolling(self) -> bool:
        """Whether the codes move without a gradient."""

    def __call__(self, latents: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Lhat as the decoder gets it [M, d], and the penalty of each position [M]."""


@dataclass(frozen=True)
class Quantised:
    """What became of M vectors.

    Attributes:
        vectors: the straight-through value: equal to C[k], its gradient as the rule says.
        codes: k, the nearest code.
        penalty: the rule's own loss at each position, to be summed over a sentence's positions; no nats.
    """

    vectors: Float[Tensor, "M d"]
    codes: Int[Tensor, " M"]
    penalty: Float[Tensor, " M"]


def alone(tensor: Tensor) -> Tensor:
    """The sum over the one process there is."""
    return tensor


def newer_usage(usage: Float[Tensor, " K"], number: Float[Tensor, " K"]) -> Float[Tensor, " K"]:
    """The share of each code after a step of these hits; older positions count less, by 1/e every WINDOW K of them."""
    count = number.sum()
    kept = torch.exp(-count / (WINDOW * len(number)))
    return kept * usage + (1.0 - kept) * number / count.clamp(min=1.0)


class Codebook(nn.Module):
    """K codes of d components; `decay` makes them a rolling average of the vectors they stand for (T8).

        N_k <- decay N_k + (1 - decay) n_k      m_k <- decay m_k + (1 - decay) sum of L      C[k] = m_k / N_k

    from (1, C[k]). A code that is not hit in a step keeps vector, N and m to the bit. At decay 0 a step is Lloyd's.

    A code is dead where its share of the positions (over about the last 10 K of them) is below `revive` / K. It is then
    put on a vector of the step, drawn at random, with all its state as at the start. The threshold is a fraction of the
    fair share, so it means the same for every K and batch; at 0.05 a code in fair use is called dead with a chance of
    1e-11 (Chernoff's bound of hits that come at random), a code never hit after 30 K positions.

    Args:
        codes: K.
        size: d.
        rule: how the loss reaches L and C.
        decay: of the rolling average; None learns the codes by gradient.
        codebook_lr_factor: eta, as a multiple of the learning rate; with a gradient only.
        revive: the fraction of a fair share below which a code is dead; None keeps dead codes.

    Raises:
        ValueError: sizes below 1, decay outside [0, 1), a rule and a decay that contradict each other, a factor that
            would have no effect or is not above 0, a fraction outside (0, 1).

    Source: THEORY T7, T8; van den Oord et al. 2017, arXiv:1711.00937, appendix A.1. Deviations: N starts at 1 and m at
    C[k], so that no code jumps; no Laplace smoothing, which draws codes that are not hit to the origin.
    """

    fixed = False
    """The codes are put where the vectors are, and follow them."""

    vectors: Tensor
    counts: Tensor
    sums: Tensor
    usage: Tensor
    positions: Tensor

    def __init__(
        self,
        codes: int,
        size: int,
        *,
        rule: Rule,
        decay: float | None = None,
        codebook_lr_factor: float | None = None,
        revive: float | None = 0.05,
    ) -> None:
        super().__init__()
        _check(codes, size, rule, decay, codebook_lr_factor, revive)
        self.rule = rule
        self.decay = decay
        self.codebook_lr_factor = 1.0 if codebook_lr_factor is None else codebook_lr_factor
        self.revive_below = revive
        start = torch.randn(codes, size)
        if decay is None:
            self.vectors = nn.Parameter(start)
        else:
            self.register_buffer("vectors", start)
            self.register_buffer("counts", torch.ones(codes))
            self.register_buffer("sums", start.clone())
        self.register_buffer("usage", torch.full((codes,), 1.0 / codes))
        self.register_buffer("positions", torch.zeros(()))
        # Plain attributes: DDP would overwrite buffers of this process with those of the first between two parts.
        self._step: list[Tensor] = []
        self.revived: Tensor | None = None

    def forward(self, latents: Float[Tensor, "M d"]) -> Quantised:
        """The nearest code of each vector; the codes as they are before this step's statistics are seen."""
        codes = nearest(latents, self.vectors)
        chosen = functional.embedding(codes, self.vectors)
        with torch.autocast(latents.device.type, enabled=False):
            vectors, penalty = self.rule(latents.to(chosen.dtype), chosen)
        return Quantised(vectors, codes, penalty)

    def look_up(self, codes: Int[Tensor, " M"]) -> Float[Tensor, "M d"]:
        """C[k] of each code."""
        return functional.embedding(codes, self.vectors)

    def row_parameters(self) -> list[nn.Parameter]:
        """The parameters whose rows are codes: none where a rolling average moves them."""
        return [self.vectors] if isinstance(self.vectors, nn.Parameter) else []

    # ------------------------------------------------------------------------------------------------------- a step

    @torch.no_grad()
    def observe(
        self, latents: Float[Tensor, "M d"], codes: Int[Tensor, " M"], *, draw: Float[Tensor, " M"] | None = None
    ) -> None:
        """Add a part's vectors to the step's statistics.

        Args:
            latents: of valid positions.
            codes: their codes.
            draw: a number in (0, 1) for each vector that belongs to its sentence and position (nats/noise.py), never to
                its place in the batch: it decides who is a candidate for revival. Needed unless `revive` is None.

        Raises:
            ValueError: no draw, and codes are to be revived.
        """
        if draw is None and self.revive_below is not None:
            raise ValueError("observe needs a draw for each vector to revive codes; give draw, or set revive: null.")
        latents = latents.detach().to(self.usage.dtype)
        if self.decay is None:
            part = [torch.bincount(codes, minlength=len(self.usage)).to(latents.dtype)]
        else:
            part = list(totals(latents, codes, count=len(self.usage)))
        if draw is not None and self.revive_below is not None:
            part += self._candidates(latents, draw)
        self._step = [old + new for old, new in zip(self._step, part, strict=True)] if self._step else part

    def _candidates(self, latents: Tensor, draw: Tensor) -> list[Tensor]:
        """Vectors spread over 2 K slots, about one a slot: how many fell in each, and their sum.

        Sums, so that processes and parts can add theirs; a slot that one vector fell in holds that vector.
        """
        slots = 2 * len(self.usage)
        wide = self.positions.clamp(min=slots).to(draw.dtype)  # of the step before: this one's are not yet counted
        place = (draw * wide).long()
        mine = (place < slots).nonzero().squeeze(1)
        return list(totals(latents[mine], place[mine], count=slots))

    @torch.no_grad()
    def settle(self, *, reduce: Callable[[Tensor], Tensor] = alone) -> None:
        """End the step: add over processes, move the codes that were hit, revive those that are dead.

        To be called on every process after the weights were updated: what it sets, nothing of this step overwrites.

        Args:
            reduce: returns the sum of a tensor over all processes.
        """
        if not self._step:  # this process had no sentence; others may have had some
            self.observe(self.vectors[:0], self.usage[:0].long(), draw=self.usage[:0])
        (number, *rest), self._step = self._step, []
        number = reduce(number)
        self.usage.copy_(newer_usage(self.usage, number))
        self.positions.copy_(number.sum())
        if self.decay is not None:
            self._roll(number, reduce(rest.pop(0)))
        self.revived = self.dead()
        if self.revived.any():  # usage is the same on every process, so that all of them come here or none
            fell, total = (reduce(each) for each in rest)
            self.revived = self.revive(total[fell == 1])

    def _roll(self, number: Tensor, total: Tensor) -> None:
        """T8; written as N + (1 - decay) (n - N), which is exactly 1 where N = n = 1."""
        assert self.decay is not None
        hit = number > 0
        self.counts.copy_(torch.where(hit, self.counts + (1.0 - self.decay) * (number - self.counts), self.counts))
        moved = self.sums + (1.0 - self.decay) * (total - self.sums)
        self.sums.copy_(torch.where(hit[:, None], moved, self.sums))
        self.vectors.copy_(torch.where(hit[:, None], self.sums / self.counts[:, None], self.vectors))

    # ------------------------------------------------------------------------------------------- start and new start

    def dead(self) -> Bool[Tensor, " K"]:
        """Which codes are used less than `revive` times their fair share, 1 / K."""
        return self.usage * len(self.usage) < (self.revive_below or 0.0)

    @torch.no_grad()
    def revive(self, latents: Float[Tensor, "M d"]) -> Bool[Tensor, " K"]:
        """Put dead codes on these vectors, in their order, as far as there are any; which codes it was."""
        places = self.dead().nonzero().squeeze(1)[: len(latents)]
        self._start(places, latents[: len(places)])
        return torch.zeros_like(self.usage, dtype=torch.bool).index_fill_(0, places, True)

    @torch.no_grad()
    def initialise(self, latents: Float[Tensor, "M d"], *, seed: int, iterations: int = 10) -> None:
        """Put the codes on vectors far from each other (k-means++), then on the means of what is nearest to them.

        Every process is to give the same vectors, those of a fixed sample of sentences.

        Args:
            latents: of valid positions, at least K.
            seed: decides the draws.
            iterations: of Lloyd's; 0 keeps the codes on vectors.
        """
        latents = latents.to(self.usage.dtype)
        vectors = spread_out(latents, count=len(self.usage), seed=seed)
        for _ in range(iterations):
            vectors = lloyd(latents, vectors)
        self._start(torch.arange(len(vectors), device=vectors.device), vectors)

    def _start(self, places: Tensor, vectors: Tensor) -> None:
        """Codes at these places with the state of a new one: N = 1, m = C[k], in fair use."""
        self.vectors.data.index_copy_(0, places, vectors.to(self.vectors.dtype))
        self.usage.index_fill_(0, places, 1.0 / len(self.usage))
        if self.decay is not None:
            self.counts.index_fill_(0, places, 1.0)
            self.sums.index_copy_(0, places, vectors.to(self.sums.dtype))


def _check(
    codes: int, size: int, rule: Rule, decay: float | None, codebook_lr_factor: float | None, revive: float | None
) -> None:
    if codes < 1 or size < 1:
        raise ValueError(f"a codebook needs at least one code of one component, got {codes} of {size}.")
    if decay is not None and not 0.0 <= decay < 1.0:
        raise ValueError(f"decay must be in [0, 1), got {decay}; leave it out to learn the codes by gradient.")
    if rule.rolling != (decay is not None):
        told = "a rolling average" if rule.rolling else "a gradient"
        raise ValueError(
            f"the rule moves the codes by {told} and decay is {decay}; give CodeRule(rolling=...) to match."
        )
    if codebook_lr_factor is not None and decay is not None:
        raise ValueError("codebook_lr_factor multiplies a learning rate, and a rolling average has none; leave it out.")
    if codebook_lr_factor is not None and not codebook_lr_factor > 0.0:
        raise ValueError(f"codebook_lr_factor must be > 0, got {codebook_lr_factor}.")
    if revive is not None and not 0.0 < revive < 1.0:
        raise ValueError(
            f"revive must be in (0, 1), a fraction of the fair share, got {revive}; null keeps dead codes."
        )
