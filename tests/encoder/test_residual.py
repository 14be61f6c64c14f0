"""Residual codes: one vector, quantised by one codebook after another; codes, sum, penalty and gradients by hand."""

import math
from itertools import product

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor

from tests.encoder.codebooks import drawn
from tests.tiny import PAD, SENTENCES, backbone, batch, vq
from textlatent.encoder.codes import CodeEncoder
from textlatent.gradient.codes import GRADIENT_RULES
from textlatent.models import SentenceVQConfig
from textlatent.models.autoencoder import token_mask

P, K, D = 3, 3, 4


def encoder_of(rule: str = "published", *, decay: float | None = 0.99, start: bool = True) -> CodeEncoder:
    model = vq(books="residual", positions=P, gradient_rule=rule, decay=decay, start=start)
    return model.encoder


def by_hand(latents: Tensor, tables: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Codes [B, P] and what was left before each, [B, P, d], a sentence and a codebook at a time."""
    codes, before = [], []
    for vector in latents:
        left, own, rows = vector.clone(), [], []
        for table in tables:
            rows.append(left)
            own.append(min(range(len(table)), key=lambda k: (table[k] - left).norm().item()))
            left = left - table[own[-1]]
        codes.append(own)
        before.append(torch.stack(rows))
    return torch.tensor(codes), torch.stack(before)


@torch.no_grad()
def test_each_code_is_the_nearest_to_what_those_before_left() -> None:
    """z is the sum of the codes' vectors, D = d; the penalty 1/2 beta |L[p] - C_p|^2 of each; one L a sentence."""
    encoder, rows = encoder_of(), batch(SENTENCES)
    mask = token_mask(rows["tokens"], rows["lengths"])
    latents, found = encoder.latents(rows["tokens"], mask), encoder(rows["tokens"], mask)
    assert latents.shape == (6, 1, D)
    codes, before = by_hand(latents.squeeze(1), [book.vectors for book in encoder.books])
    assert torch.equal(found.codes, codes)
    vectors = torch.stack([book.vectors[codes[:, p]] for p, book in enumerate(encoder.books)], 1)
    torch.testing.assert_close(found.mean, vectors.sum(1), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.penalty, 0.25 * (before - vectors).square().sum((1, 2)), rtol=1e-9, atol=0)
    torch.testing.assert_close(encoder.given(latents), before, rtol=0, atol=1e-12)
    assert torch.equal(encoder.look_up(codes), found.mean)
    assert len({tuple(row) for row in codes.tolist()}) > 1


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_the_gradients_are_the_rule_s_and_reach_the_vector_once(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """L.grad = g + beta sum_p (L[p] - C_p), not P g; C_p.grad as T7 has it, L[p] in the place of L."""
    encoder, rows = encoder_of(rule, decay=None), batch(SENTENCES)
    latents, g = drawn(6, 1, D, seed=3).requires_grad_(), drawn(6, D, seed=5)
    monkeypatch.setattr(encoder, "latents", lambda tokens, mask: latents)
    found = encoder(rows["tokens"], token_mask(rows["tokens"], rows["lengths"]))
    ((found.mean * g).sum() + found.penalty.sum()).backward()
    tables = [book.vectors.detach() for book in encoder.books]
    codes, before = by_hand(latents.detach().squeeze(1), tables)
    apart = before - torch.stack([table[codes[:, p]] for p, table in enumerate(tables)], 1)  # L[p] - C_p
    beta = 0.0 if rule == "end_to_end" else 0.5
    torch.testing.assert_close(latents.grad[:, 0], g + beta * apart.sum(1), rtol=0, atol=1e-12)
    for p, book in enumerate(encoder.books):
        own = {"end_to_end": g, "published": -apart[:, p], "both": g - 0.5 * apart[:, p]}[rule]
        expected = torch.stack([own[codes[:, p] == k].sum(0) for k in range(K)])
        torch.testing.assert_close(book.vectors.grad, expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_start_puts_each_codebook_on_what_those_before_leave() -> None:
    """L at mean 0 and variance 1; every codebook leaves less of it than the one before; all of its codes are used."""
    model, rows = vq(books="residual", positions=P, start=False), batch(SENTENCES)
    model.start_codes([(rows["tokens"], rows["lengths"])], seed=0)
    latents = model.encoder.latents(rows["tokens"], token_mask(rows["tokens"], rows["lengths"]))
    torch.testing.assert_close(latents.mean(0), torch.zeros(1, D).double(), rtol=0, atol=1e-9)
    assert latents.square().mean().item() == pytest.approx(1.0, rel=1e-9)
    left = model.encoder.given(latents).square().sum(2).mean(0)
    assert (left.diff() < 0).all()
    assert left[2] < 0.2 * left[0]
    codes = model.encoder(rows["tokens"], token_mask(rows["tokens"], rows["lengths"])).codes
    assert [codes[:, p].unique().numel() for p in range(P)] == [K] * P


def test_padding_may_be_nan_and_a_row_that_is_no_sentence_is_in_no_statistics() -> None:
    """Each codebook observes its own residuals of the five sentences: counts, sums, gradients of the shorter batch."""
    results = []
    for rows, padding in ((batch(SENTENCES), 0.0), (batch(SENTENCES, width=10), math.nan)):
        encoder = encoder_of()
        with torch.no_grad():
            encoder.backbone.get_input_embeddings().weight[PAD] = padding
        counted = torch.tensor([True, True, False, True, True, True])
        mask, draw = token_mask(rows["tokens"], rows["lengths"]), torch.full((6, P), 0.5, dtype=torch.float64)
        found = encoder(rows["tokens"], mask, draw=draw, counted=counted)
        (found.penalty.sum() + found.vectors.sum()).backward()
        gradient = torch.cat([p.grad.flatten() for n, p in encoder.named_parameters() if "embed" not in n])
        results.append((found, gradient, [each.clone() for book in encoder.books for each in book._step]))
        given = encoder.given(encoder.latents(rows["tokens"], mask).detach())[counted]
        for p, book in enumerate(encoder.books):
            number, total = book._step[:2]
            assert number.sum() == 5
            torch.testing.assert_close(total.sum(0), given[:, p].sum(0), rtol=0, atol=1e-9)
    (one, a, first), (other, b, second) = results
    assert torch.equal(one.codes, other.codes)
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)
    for mine, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)


def test_the_marginal_is_over_all_sums() -> None:
    """K^P = 9 codes one by one, z their sum."""
    model, rows = vq(books="residual"), batch(SENTENCES)
    assert (model.config.latent_size, len(model.encoder.books)) == (D, 2)
    first, second = (book.vectors for book in model.encoder.books)
    joint = []
    for a, b in product(range(3), repeat=2):
        with torch.no_grad():
            dec = model.log_prob_token(rows["tokens"], rows["lengths"], (first[a] + second[b]).expand(6, -1)).sum(1)
        joint.append(dec - 2 * math.log(3))
    found = model.log_marginal(rows["tokens"], rows["lengths"])
    torch.testing.assert_close(found, torch.stack(joint).logsumexp(0), rtol=0, atol=1e-10)
    with torch.no_grad():
        bound = model(**rows).neg_elbo()
    assert (bound + found > 0).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="residual codes need a codebook a position, got 1 for 2"):
        CodeEncoder(backbone("bert"), list(vq().encoder.books), positions=2, residual=True)
    with pytest.raises(StrictDataclassClassValidationError, match="rotation turns the gradient of one code"):
        SentenceVQConfig(books="residual", rotation=True)
