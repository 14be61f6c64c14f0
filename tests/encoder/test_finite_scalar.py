"""Codes that are a grid: the grid by enumeration, the rounding by brute force, the gradient, what is counted."""

import copy
import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoder.codebooks import drawn
from tests.processes import the_processes
from tests.tiny import PAD, SENTENCES, batch, vq
from textlatent.encoder.codebook import Codebook
from textlatent.encoder.finite_scalar import LARGEST, FiniteScalar
from textlatent.gradient.codes import CodeRule
from textlatent.models import SentenceVQ
from textlatent.models.autoencoder import token_mask

GRIDS = [[2], [3], [4], [2, 3], [3, 2], [5, 4, 2], [8, 5, 5]]


def grid(*levels: int) -> FiniteScalar:
    """In float64, its vectors not rounded to float32 first."""
    book = FiniteScalar(levels).double()
    with torch.no_grad():
        book.vectors.copy_(
            torch.tensor([[math.sqrt(12 / (top**2 - 1)) for top in levels]], dtype=torch.float64) * _levels(*levels)
        )
    return book


def _levels(*levels: int) -> Tensor:
    """n - h of every code by enumeration, the first component changing fastest."""
    rows = [row[::-1] for row in itertools.product(*(range(top) for top in reversed(levels)))]
    return torch.tensor(rows, dtype=torch.float64) - torch.tensor(
        [(top - 1) / 2 for top in levels], dtype=torch.float64
    )


# ------------------------------------------------------------------------------------------------------------ the grid


@pytest.mark.parametrize("levels", GRIDS)
def test_codes_and_vectors_are_the_grid_by_enumeration(levels: list[int]) -> None:
    """Every code has a vector and every vector its code; used alike, each component has mean 0 and variance 1."""
    book, expected = FiniteScalar(levels), grid(*levels).vectors
    assert book.vectors.shape == (math.prod(levels), len(levels))
    torch.testing.assert_close(book.vectors.double(), expected, rtol=1e-6, atol=1e-6)
    every = torch.arange(math.prod(levels))
    assert torch.equal(book._rounded(book.look_up(every)), every)
    assert len({tuple(row) for row in book.vectors.tolist()}) == len(every)
    torch.testing.assert_close(expected.mean(0), torch.zeros(len(levels)).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(expected.square().mean(0), torch.ones(len(levels)).double(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("levels", GRIDS)
def test_the_code_is_the_nearest_vector_of_the_grid(levels: list[int]) -> None:
    """Of the bounded vector, by its distance to all of them; the value is that vector to the bit."""
    book, latents = grid(*levels), 2.0 * drawn(500, len(levels))
    found = book(latents)
    distance = (book.bounded(latents)[:, None] - book.vectors).square().sum(2)
    assert torch.equal(found.codes, distance.argmin(1))
    assert torch.equal(found.vectors, book.vectors[found.codes])
    assert torch.equal(found.vectors, book.look_up(found.codes))
    assert not found.penalty.any()
    assert found.codes.unique().numel() > min(0.5 * math.prod(levels), 60)


@pytest.mark.parametrize("level", [3, 4, 5, 7, 8, 9])
def test_it_is_the_published_rounding(level: int) -> None:
    """round(h tanh(x + atanh(o / h)) - o) of levels around 0, o = 1/2 for even L: -L/2 .. L/2 - 1; 0 at x = 0."""
    x = torch.cat([torch.linspace(-6, 6, 2001, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])
    half, offset = (level - 1) / 2, 0.5 if level % 2 == 0 else 0.0
    published = torch.round(half * torch.tanh(x + math.atanh(offset / half)) - offset).long()
    assert published[-1] == 0
    assert (published.min(), published.max()) == (-(level // 2), (level - 1) // 2)
    assert torch.equal(grid(level)(x[:, None]).codes, published + level // 2)


def test_two_levels_are_a_sign() -> None:
    """No shift: 1/(L - 1) = 1 is what tanh does not reach."""
    x = torch.tensor([-9.0, -1e-3, 1e-3, 9.0]).double()[:, None]
    assert grid(2)(x).codes.tolist() == [0, 0, 1, 1]
    assert grid(2).vectors.flatten().tolist() == pytest.approx([-1.0, 1.0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("level", [2, 3, 4, 5, 8, 1001])
def test_the_ends_are_levels_and_nothing_is_beyond_them(level: int, dtype: torch.dtype) -> None:
    book = FiniteScalar([level]).to(dtype)
    x = torch.tensor([-math.inf, -1e30, 1e30, math.inf], dtype=dtype)[:, None].requires_grad_()
    found = book(x)
    assert found.codes.tolist() == [0, 0, level - 1, level - 1]
    assert found.vectors.isfinite().all()
    found.vectors[1:3].sum().backward()
    assert x.grad is not None
    assert x.grad[1:3].tolist() == [[0.0], [0.0]]


def test_numbers_of_variance_1_use_five_levels_nearly_alike() -> None:
    """Shares of a normal number, by its distribution at the four edges; the start gives L this variance."""
    edges = torch.atanh(torch.tensor([-0.75, -0.25, 0.25, 0.75], dtype=torch.float64))
    at = torch.cat([torch.zeros(1), torch.special.ndtr(edges), torch.ones(1)])
    assert at.diff().tolist() == pytest.approx([0.165, 0.234, 0.202, 0.234, 0.165], abs=5e-4)
    for edge in edges.tolist():
        codes = grid(5)(torch.tensor([[edge - 1e-9], [edge + 1e-9]], dtype=torch.float64)).codes
        assert codes[1] - codes[0] == 1


# -------------------------------------------------------------------------------------------------------- the gradient


@pytest.mark.parametrize("levels", GRIDS)
def test_the_gradient_passes_the_rounding_to_the_bit(levels: list[int]) -> None:
    """L.grad is what tanh makes of g, the gradient of z, as if nothing had been rounded: g a h (1 - tanh^2(L + s))."""
    book, latents = grid(*levels), drawn(200, len(levels)).requires_grad_()
    g = drawn(200, len(levels), seed=5)
    found = book(latents)
    ((found.vectors * g).sum() + found.penalty.sum()).backward()
    (straight,) = torch.autograd.grad(book.bounded(latents), latents, g)
    assert torch.equal(latents.grad, straight)
    for i, level in enumerate(levels):
        shift = math.atanh(1 / (level - 1)) if level in (4, 8) else 0.0
        slope = math.sqrt(12 / (level**2 - 1)) * (level - 1) / 2 * (1 - torch.tanh(latents[:, i] + shift) ** 2)
        torch.testing.assert_close(latents.grad[:, i], g[:, i] * slope.detach(), rtol=1e-9, atol=1e-12)
    assert list(book.parameters()) == book.row_parameters() == []


def test_a_number_that_is_none_is_no_code_but_is_told() -> None:
    """The value is NaN, so that the loss is, at which training stops with a sentence."""
    found = grid(4, 3)(torch.tensor([[math.nan, 0.0], [0.0, 0.0]], dtype=torch.float64))
    assert 0 <= found.codes[0] < 12
    assert found.vectors[0, 0].isnan()
    assert found.vectors[1].isfinite().all()


def test_under_autocast_codes_and_values_are_float32_s() -> None:
    book = FiniteScalar([8, 5])
    latents = drawn(200, 2).float()
    plain = book(latents)
    with torch.autocast("cpu", torch.bfloat16):
        found, half = book(latents), book(latents.bfloat16())
    assert torch.equal(found.codes, plain.codes)
    assert torch.equal(found.vectors, plain.vectors)
    assert half.vectors.dtype == half.penalty.dtype == torch.float32
    assert torch.equal(half.codes, book(latents.bfloat16().float()).codes)


# ----------------------------------------------------------------------------------------------------- what is counted


def _steps(book: FiniteScalar, *, parts: list[Tensor], reduce: Any = None) -> None:
    """Ten steps of 40 vectors, of which these parts are this process's; then one of which the last has none."""
    for step in range(10):
        latents = drawn(40, 2, seed=step)
        for mine in parts:
            book.observe(latents[mine], book(latents[mine]).codes)
        book.settle() if reduce is None else book.settle(reduce=reduce)


def test_usage_is_a_codebook_s() -> None:
    """A Codebook with the same codes in the same steps counts the same shares; nothing else moves."""
    book, other = grid(3, 2), Codebook(6, 2, rule=CodeRule(), revive=None).double()
    vectors = book.vectors.clone()
    for step in range(10):
        latents = drawn(40, 2, seed=step)
        codes = book(latents).codes
        for each in (book, other):
            each.observe(latents, codes)
            each.settle()
        assert torch.equal(book.usage, other.usage)
    assert book.usage.sum().item() == pytest.approx(1.0, abs=1e-6)
    assert book.usage.max() > 1.2 / 6
    assert torch.equal(book.vectors, vectors)
    assert book.positions == 40
    assert book.revived is None
    before = book.usage.clone()
    book.settle()
    assert torch.equal(book.usage, before), "a step that saw nothing"


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_step_in_parts_is_the_step(cut: int) -> None:
    whole, parts, every = grid(3, 2), grid(3, 2), torch.arange(40)
    _steps(whole, parts=[every])
    _steps(parts, parts=[every[cut:], every[:cut]])
    assert torch.equal(whole.usage, parts.usage)


def rank() -> list[float]:
    """What a process of two does: 7 or 33 vectors of each step; in the last, all or none."""
    import torch.distributed as dist

    dist.init_process_group("gloo")
    try:
        book, first = grid(3, 2), dist.get_rank() == 0

        def add(tensor: Tensor) -> Tensor:
            dist.all_reduce(tensor)
            return tensor

        _steps(book, parts=[torch.arange(7) if first else torch.arange(7, 40)], reduce=add)
        _steps(book, parts=[torch.arange(40)] if first else [], reduce=add)
        return book.usage.tolist()
    finally:
        dist.destroy_process_group()


def test_two_processes_are_one_on_the_joined_batch(tmp_path: Path) -> None:
    ranks = the_processes().run("tests.encoder.test_finite_scalar:rank", world=2, folder=tmp_path)
    book = grid(3, 2)
    _steps(book, parts=[torch.arange(40)])
    _steps(book, parts=[torch.arange(40)])
    assert ranks[0] == ranks[1] == book.usage.tolist()


def test_the_state_survives_save_and_load() -> None:
    book, loaded = grid(3, 2), grid(3, 2)
    _steps(book, parts=[torch.arange(40)])
    loaded.load_state_dict(copy.deepcopy(book.state_dict()))
    for each in (book, loaded):
        _steps(each, parts=[torch.arange(30)])
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in book.state_dict().items())


def test_another_grid_of_the_same_shape_is_not_loaded() -> None:
    with pytest.raises(ValueError, match=r"not of the grid of levels \[3, 2\]; take the levels they have"):
        FiniteScalar([3, 2]).load_state_dict(FiniteScalar([2, 3]).state_dict())
    FiniteScalar([3, 2]).load_state_dict(FiniteScalar([3, 2]).bfloat16().state_dict())


# -------------------------------------------------------------------------------------------------------- in a sentence


def test_padding_may_be_nan() -> None:
    """Codes, vectors, usage and gradients are those of the shorter batch."""
    results = []
    for rows, padding in ((batch(SENTENCES), 0.0), (batch(SENTENCES, width=10), math.nan)):
        encoder = vq(levels=[3, 2]).encoder
        with torch.no_grad():
            encoder.backbone.get_input_embeddings().weight[PAD] = padding
        mask = token_mask(rows["tokens"], rows["lengths"])
        counted = torch.tensor([True, True, False, True, True, True])
        found = encoder(rows["tokens"], mask, draw=torch.full((6, 2), 0.5, dtype=torch.float64), counted=counted)
        found.vectors.square().sum().backward()
        gradient = torch.cat([p.grad.flatten() for n, p in encoder.named_parameters() if "embed" not in n])
        (hits,) = encoder.books[0]._step
        results.append((found, gradient, hits.clone()))
        assert encoder.settle(reduce=lambda tensor: tensor) == 0
    (one, a, first), (other, b, second) = results
    assert torch.equal(one.codes, other.codes)
    assert torch.equal(one.vectors, other.vectors)
    assert torch.equal(first, second)
    assert first.sum() == 10, "the row that is no sentence is not counted"
    torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


@torch.no_grad()
def test_the_start_spreads_each_component_and_leaves_the_grid() -> None:
    model, rows = vq(levels=[3, 4], start=False), batch(SENTENCES)
    before = model.encoder.books[0].vectors.clone()
    assert model.encoder.sentences_to_start == 512
    assert vq(levels=[32, 32], start=False).encoder.sentences_to_start == 512
    model.start_codes([(rows["tokens"], rows["lengths"])], seed=0)
    latents = model.encoder.latents(rows["tokens"], token_mask(rows["tokens"], rows["lengths"]))
    torch.testing.assert_close(latents.mean(0), torch.zeros(2, 2).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(latents.square().mean(0), torch.ones(2, 2).double(), rtol=1e-9, atol=0)
    assert torch.equal(model.encoder.books[0].vectors, before)
    assert model.encoder.started


def test_saved_and_loaded_a_model_has_its_grid_and_usage(tmp_path: Path) -> None:
    model = vq(levels=[3, 2], dtype=torch.float32).train()
    model(**batch(SENTENCES), seed=1, epoch=1)
    model.encoder.settle(reduce=lambda tensor: tensor)
    model.save_pretrained(tmp_path)
    loaded = SentenceVQ.from_pretrained(tmp_path)
    assert (loaded.config.levels, loaded.config.codes, loaded.config.size) == ([3, 2], 6, 2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    assert loaded.encoder.books[0].usage.max() > 1 / 6
    assert torch.equal(loaded.encoder.books[0].vectors, FiniteScalar([3, 2]).vectors)


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([], r"levels must be two or more in each of one or more components, got \[\]"),
        ([8, 1], r"levels must be two or more in each of one or more components, got \[8, 1\]"),
        ([1025, 1024], f"1,049,600 codes, more than {LARGEST:,}; take fewer"),
    ],
)
def test_a_grid_that_means_nothing_is_refused(levels: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FiniteScalar(levels)
