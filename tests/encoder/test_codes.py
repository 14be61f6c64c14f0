"""A sentence as codes: the nearest ones, the same whatever stands in the padding, and their start."""

import math

import pytest
import torch

from tests.tiny import PAD, SENTENCES, backbone, batch, vq
from textlatent.encoder.codes import CodeEncoder
from textlatent.models.autoencoder import token_mask

ENCODERS = ["bert", "roberta", "distilbert", "t5", "gpt2"]
BOOKS = ["shared", "position"]


def mask_of(rows: dict[str, torch.Tensor]) -> torch.Tensor:
    return token_mask(rows["tokens"], rows["lengths"])


@pytest.mark.parametrize("books", BOOKS)
@torch.no_grad()
def test_the_codes_are_the_nearest_by_definition(books: str) -> None:
    """k[p] = argmin_k |C[k] - L[p]|, vectors C[k], each position by its own codebook where it has one."""
    encoder, rows = vq(books=books).encoder, batch(SENTENCES)
    latents, found = encoder.latents(rows["tokens"], mask_of(rows)), encoder(rows["tokens"], mask_of(rows))
    for p in range(2):
        table = encoder.books[p if books == "position" else 0].vectors
        expected = (latents[:, p, None] - table).norm(dim=2).argmin(1)
        assert torch.equal(found.codes[:, p], expected)
        assert torch.equal(found.vectors[:, p], table[expected])
    assert torch.equal(encoder.look_up(found.codes), found.mean)
    penalty = 0.25 * (latents - found.vectors).square().sum((1, 2))  # commitment 0.5, one half of the square
    torch.testing.assert_close(found.penalty, penalty, rtol=1e-12, atol=0)


@torch.no_grad()
def test_the_latents_are_their_formula() -> None:
    """Attention by one query a position, then that position's own map: written out for one sentence."""
    encoder, tokens = vq().encoder, torch.tensor([[3, 4, 5, 2]])
    hidden = encoder.backbone(input_ids=tokens, attention_mask=torch.ones(1, 4).long()).last_hidden_state[0]
    mask = torch.ones(1, 4, dtype=torch.bool)
    for p in range(2):
        share = (hidden @ encoder.queries[p] / 4.0).softmax(0)  # sqrt(16)
        expected = (share[:, None] * hidden).sum(0) @ encoder.weight[p] + encoder.bias[p]
        torch.testing.assert_close(encoder.latents(tokens, mask)[0, p], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", ENCODERS)
def test_padding_may_be_nan(kind: str) -> None:
    """Nor does it matter how much there is: codes, penalty, statistics and gradients of the shorter batch."""
    results = []
    for rows, padding in ((batch(SENTENCES), 0.0), (batch(SENTENCES, width=10), math.nan)):
        encoder = vq(encoder=kind).encoder
        with torch.no_grad():
            encoder.backbone.get_input_embeddings().weight[PAD] = padding
        found = encoder(rows["tokens"], mask_of(rows), draw=torch.full((6, 2), 0.5, dtype=torch.float64))
        (found.penalty.sum() + found.vectors.sum()).backward()
        gradient = torch.cat([p.grad.flatten() for n, p in encoder.named_parameters() if "embed" not in n])
        step = [each.clone() for book in encoder.books for each in book._step]
        encoder.settle(reduce=lambda tensor: tensor)
        results.append((found, gradient, step))
    (one, a, first), (other, b, second) = results
    assert torch.equal(one.codes, other.codes)
    torch.testing.assert_close(one.penalty, other.penalty, rtol=0, atol=1e-9)
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
    for mine, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)


def test_a_row_that_is_no_sentence_is_in_no_statistics() -> None:
    encoder, rows = vq().encoder, batch(SENTENCES)
    counted = torch.tensor([True, True, False, True, True, True])
    draw = torch.full((6, 2), 0.5, dtype=torch.float64)
    encoder(rows["tokens"], mask_of(rows), draw=draw, counted=counted)
    part = [each.clone() for each in encoder.books[0]._step]
    encoder.settle(reduce=lambda tensor: tensor)
    fewer = batch([row for row, there in zip(SENTENCES, counted.tolist(), strict=True) if there])
    encoder = vq().encoder
    encoder(fewer["tokens"], mask_of(fewer), draw=draw[:5])
    for mine, theirs in zip(part, encoder.books[0]._step, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)
    assert part[0].sum() == 10


@pytest.mark.parametrize("books", BOOKS)
@torch.no_grad()
def test_the_start_spreads_the_latents_and_puts_codes_among_them(books: str) -> None:
    """L of each position at mean 0 and variance 1 over the sentences; every code is used by one of them."""
    model, rows = vq(books=books, start=False), batch(SENTENCES)
    assert not model.encoder.started
    model.start_codes([(rows["tokens"][:3], rows["lengths"][:3]), (rows["tokens"][3:], rows["lengths"][3:])], seed=0)
    assert model.encoder.started
    latents = model.encoder.latents(rows["tokens"], mask_of(rows))
    torch.testing.assert_close(latents.mean(0), torch.zeros(2, 4).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(latents.square().mean((0, 2)), torch.ones(2).double(), rtol=1e-9, atol=0)
    codes = model.encoder(rows["tokens"], mask_of(rows)).codes
    for p in [slice(None)] if books == "shared" else [0, 1]:
        assert codes[:, p].unique().numel() == 3
    again = vq(books=books)
    other = vq(books=books, start=False)
    other.start_codes([(rows["tokens"], rows["lengths"])], seed=0)
    assert torch.equal(again.encoder.books[0].vectors, other.encoder.books[0].vectors), (
        "a function of them and the seed"
    )


def test_enough_sentences_to_start_from() -> None:
    """Eight vectors a code: P of them a sentence from one codebook, one from each of P."""
    assert vq(codes=600, start=False).encoder.sentences_to_start == 2400
    assert vq(codes=600, books="position", start=False).encoder.sentences_to_start == 4800
    assert vq(start=False).encoder.sentences_to_start == 512


def test_what_cannot_be_built_is_refused() -> None:
    books = list(vq(books="position").encoder.books)
    with pytest.raises(ValueError, match="positions must be >= 1 with 1 or P codebooks, got 3 and 2"):
        CodeEncoder(backbone("bert"), books, positions=3)
