"""players: the gradients of encoder, codebook, decoder and prior at a trained model, each of its own objective."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from textlatent.corpus.batches import EncodedSplit, collate
from textlatent.diagnostics.players import GradientSums, PlayerGradient
from textlatent.recipe.schema import Recipe

SENTENCES, BATCH = 1024, 32
"""Training sentences that the gradients are measured on, and how many make one."""


def players(model: Any, train: EncodedSplit, *, recipe: Recipe, pad_id: int) -> list[PlayerGradient]:
    """Each player's own gradient per sentence, in training mode as training takes it (THEORY T9).

    One backward pass of lam * distortion + the rule's penalty (+ the rate, which moves a prior alone) gives every
    player the gradient of its own objective: the rule's stop-gradients keep the others' out. A codebook that is a
    rolling average has no gradient but an objective, 1/2 |sg(L) - C[k]|^2: its gradient is the sum of C[k] - L over its
    hits. A fixed grid does not play. Batches are of one size, so that each weighs the same.

    Args:
        model: with codes; left as it was.
        train: the training sentences.
        recipe: of the run.
        pad_id: of the tokenizer.

    Raises:
        ValueError: fewer than two training sentences.
    """
    model, device = copy.deepcopy(model).train(), next(model.parameters()).device  # it sees, and keeps, statistics
    passed = _listen(model)
    sums = {name: GradientSums(name) for name in ("encoder", "codebook", "decoder", "prior")}
    chosen = torch.linspace(0, len(train) - 1, min(SENTENCES, len(train))).round().long()
    size = max(1, min(BATCH, len(chosen) // 2))
    torch.manual_seed(recipe.seed)
    shuffled = chosen[torch.randperm(len(chosen))][: len(chosen) - len(chosen) % size]
    lam = recipe.stage_objective(recipe.stages[-1]).lam
    for batch in in_batches(train, shuffled, pad_id=pad_id, size=size):
        inputs = {name: batch[name].to(device) for name in ("tokens", "lengths", "index")}
        model.zero_grad(set_to_none=True)
        scores = model(**inputs, seed=recipe.seed, epoch=1)
        penalty = 0.0 if scores.penalty is None else scores.penalty.sum()
        loss = lam * scores.distortion().sum() + penalty + scores.rate().sum()
        loss.backward()
        for name, gradients in _gradients(model, passed).items():
            if gradients:
                sums[name].add([gradient / len(inputs["index"]) for gradient in gradients])
    return [each.close() for each in sums.values() if each.squares]


def _listen(model: Any) -> dict[int, tuple[Tensor, Tensor]]:
    """The vectors that each codebook was last called with, and the codes it gave them, kept up by the model's calls."""
    passed: dict[int, tuple[Tensor, Tensor]] = {}
    for number, book in enumerate(model.encoder.books):

        def keep(_: nn.Module, given: tuple[Tensor, ...], found: Any, number: int = number) -> None:
            passed[number] = given[0].detach(), found.codes

        book.register_forward_hook(keep)
    return passed


def _gradients(model: Any, passed: dict[int, tuple[Tensor, Tensor]]) -> dict[str, list[Tensor]]:
    """Each player's gradients as they lie on the model; a rolling average's from its own objective, a grid has none."""
    books = list(model.encoder.books)
    of_books = {id(parameter) for book in books for parameter in book.parameters()}
    encoder = [p for p in model.encoder.parameters() if id(p) not in of_books]
    own = [p for book in books for p in book.parameters()]
    codebook = _taken(own) if own else [] if books[0].fixed else _pulls(books, passed)
    return {
        "encoder": _taken(encoder),
        "codebook": codebook,
        "decoder": _taken(model.decoder.parameters()),
        "prior": _taken(model.prior.parameters()),
    }


@torch.no_grad()
def _pulls(books: list[Any], passed: dict[int, tuple[Tensor, Tensor]]) -> list[Tensor]:
    """sum over the hits of C[k] - L, of every code of every book: of the very L that the codes were found for.

    Dropout drawn anew would give other L, whose means given k lie nearer to one another than the codes do at rest.
    """
    found = []
    for number, book in enumerate(books):
        latents, own = passed[number]
        found.append(torch.zeros_like(book.vectors).index_add(0, own, book.vectors[own] - latents))
    return found


def _taken(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]


def in_batches(split: EncodedSplit, positions: Tensor, *, pad_id: int, size: int) -> Iterator[dict[str, Tensor]]:
    """The sentences at `positions`, in that order, `size` at a time."""
    for rows in positions.split(size):
        yield cast(dict[str, Tensor], collate(split, rows, pad_id=pad_id))
