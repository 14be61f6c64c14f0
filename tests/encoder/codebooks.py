"""A codebook, and steps of its training, for tests here and in processes of their own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from textlatent.encoder.codebook import Codebook
from textlatent.gradient.codes import CodeRule

CODES, SIZE = 6, 2


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def codebook(
    *, rule: str = "published", decay: float | None = None, revive: float | None = None, **more: Any
) -> Codebook:
    """Six codes of two components in float64; the statistics started from them."""
    book = Codebook(
        CODES, SIZE, rule=CodeRule(rule, rolling=decay is not None), decay=decay, revive=revive, **more
    ).double()
    put(book, drawn(CODES, SIZE, seed=9))
    return book


@torch.no_grad()
def put(book: Codebook, vectors: Tensor) -> None:
    """Codes where they are wanted, with the state of a start."""
    book.vectors.copy_(vectors)
    if book.decay is not None:
        book.sums.copy_(vectors)
        book.counts.fill_(1.0)


def state(book: Codebook) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in book.state_dict().items()}


def step_data(step: int, *, count: int = 40) -> tuple[Tensor, Tensor]:
    """Vectors of a step, in a corner that leaves some codes without any, and a number in (0, 1) for each."""
    draw = torch.rand(count, generator=torch.Generator().manual_seed(1000 + step), dtype=torch.float64)
    return 0.3 * drawn(count, SIZE, seed=step) + 1.0, draw


def train(book: Codebook, *, steps: int, parts: list[Tensor], reduce: Callable[[Tensor], Tensor] | None = None) -> int:
    """Steps on the positions in `parts`, a part after the other; how many codes were revived."""
    revived = 0
    for step in range(steps):
        latents, draw = step_data(step)
        for mine in parts:
            book.observe(latents[mine], book(latents[mine]).codes, draw=draw[mine])
        book.settle() if reduce is None else book.settle(reduce=reduce)
        revived += 0 if book.revived is None else int(book.revived.sum())
    return revived


def rank(dtype: str, decay: float | None) -> dict[str, Any]:
    """What a process of two does: its own share of each step, unequal, and none at all of the last."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        book = codebook(decay=decay, revive=0.3).to(getattr(torch, dtype))
        mine = torch.arange(40)[:7] if dist.get_rank() == 0 else torch.arange(40)[7:]

        def add(tensor: Tensor) -> Tensor:
            dist.all_reduce(tensor)
            return tensor

        revived = train(book, steps=25, parts=[mine], reduce=add)
        alone = torch.arange(40) if dist.get_rank() == 0 else torch.arange(0)
        train(book, steps=1, parts=[alone], reduce=add)
        return {"revived": revived, **{name: value.tolist() for name, value in state(book).items()}}
    finally:
        dist.destroy_process_group()
