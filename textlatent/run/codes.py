"""What only a run with codes has: its alphabet, exact likelihoods where codes are few, and its codebook's health."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit
from textlatent.diagnostics.code_means import means_against_codes
from textlatent.diagnostics.code_words import what_codes_say
from textlatent.diagnostics.codes import Alphabet, code_label_information, code_usage, usage_cells
from textlatent.models.autoencoder import token_mask
from textlatent.recipe.schema import Recipe
from textlatent.run.players import in_batches, players
from textlatent.scores import Scores
from textlatent.training.evaluate import arithmetic, counter, over_batches

EXACT = 2**18
"""Pairs of a sentence and a code up to which ln P(y) is summed over all codes: minutes on two cores."""

Progress = Callable[[dict[str, Any]], None]


def alphabet_of(recipe: Recipe) -> Alphabet | None:
    """What codes the model of a recipe has; None where its z is no codes."""
    if recipe.model.type != "vq":
        return None
    book = recipe.model.codebook
    return Alphabet(book.codes, 1 if book.books == "shared" else book.positions)


def marginals(
    model: Any,
    split: EncodedSplit,
    *,
    positions: Int[Tensor, " n"],
    accelerator: Any,
    tokens_per_batch: int,
    precision: str,
    pad_id: int,
    progress: Progress | None,
) -> Float[Tensor, " n"] | None:
    """Ln P(y) of each sentence, nats, summed over all K^P codes; None where they are too many, or z is no codes."""
    if model.quantiser is None:
        return None
    every = model.config.codes**model.config.positions
    if every * len(positions) > EXACT:
        return None
    tell = counter(progress, len(positions), accelerator, what="summing over codes")

    @torch.no_grad()
    def score(batch: dict[str, Tensor], rows: Tensor) -> Scores:
        with arithmetic(batch, precision):
            log_p = model.log_marginal(batch["tokens"], batch["lengths"], limit=every)
        tell(len(rows))
        return Scores(log_marginal=log_p, index=batch["index"]).to("cpu")

    found = over_batches(
        model, split, positions, score, accelerator=accelerator, tokens=max(1, tokens_per_batch // every), pad_id=pad_id
    )
    return found.need("log_marginal")


def codebook_health(
    model: Any,
    own: Scores,
    split: EncodedSplit,
    train: EncodedSplit,
    *,
    positions: Int[Tensor, " n"],
    recipe: Recipe,
    pad_id: int,
) -> dict[str, Any]:
    """What diagnosis.json says of a codebook: usage, what each code says, means against codes, players' gradients.

    Args:
        model: of the run.
        own: Scores of the sentences with their own codes.
        split: of these sentences.
        train: the training sentences, on which the players' gradients are measured.
        positions: of the sentences in their split.
        recipe: of the run.
        pad_id: of the tokenizer.
    """
    alphabet = alphabet_of(recipe)
    assert alphabet is not None
    codes = own.need("codes")[0]
    said = what_codes_say(split.texts(positions), codes, alphabet)
    return usage_cells(code_usage(codes, alphabet), alphabet, label=_of_label(own)) | {
        "says": [each.to_dict() for each in said],
        "means": _means(model, split, codes, positions=positions, pad_id=pad_id),
        "players": [each.to_dict() for each in players(model, train, recipe=recipe, pad_id=pad_id)],
    }


def _of_label(own: Scores) -> dict[str, Any] | None:
    """I(k_p; label) of each position beside H(label), nats; None without labels."""
    if own.label is None or int((own.label >= 0).sum()) < 2:
        return None
    each, entropy = code_label_information(own.need("codes")[0], own.label)
    cells = [{"value": found.value, "se": found.se} for found in each]
    return {"by_position_nats": cells, "entropy_nats": {"value": entropy.value, "se": entropy.se}}


@torch.no_grad()
def _means(
    model: Any, split: EncodedSplit, codes: Int[Tensor, "n P"], *, positions: Int[Tensor, " n"], pad_id: int
) -> list[dict[str, Any]]:
    """Of each codebook, how far its codes are from the means of the vectors they stand for; of a grid, once bounded."""
    device = next(model.parameters()).device
    latents = []
    for batch in in_batches(split, positions, pad_id=pad_id, size=256):
        tokens, lengths = batch["tokens"].to(device), batch["lengths"].to(device)
        latents.append(model.encoder.given(model.encoder.latents(tokens, token_mask(tokens, lengths))).cpu())
    every = torch.cat(latents)  # [n, P, d]
    books, found = model.encoder.books, []
    for number, book in enumerate(books):
        places = slice(number, None, len(books))
        vectors, own = every[:, places].flatten(0, 1), codes[:, places].flatten()
        vectors = book.bounded(vectors) if book.fixed else vectors
        found.append(means_against_codes(vectors, own, book.vectors.detach().cpu()).to_dict())
    return found
