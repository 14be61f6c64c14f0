"""Where codes rest: with the encoder held only `published` at the cluster means; `both` too if every L is free (T7)."""

import pytest
import torch
from torch import Tensor

from textlatent.gradient.codes import GRADIENT_RULES
from textlatent.gradient.stationary import Distortion, Rest, come_to_rest, gradients

BETA, ETA = 2.0, 1.5
RANDOM = torch.Generator().manual_seed(0)
CENTRES = torch.tensor([[1.4, 0.0], [-1.0, 1.3], [-0.9, -1.3]], dtype=torch.float64)
LATENTS = CENTRES.repeat(6, 1) + 0.35 * torch.randn(18, 2, generator=RANDOM, dtype=torch.float64)
MEANS = torch.stack([LATENTS[k::3].mean(0) for k in range(3)])


def curved(vectors: Tensor) -> Tensor:
    """|sinh q - sinh L|^2 / 2, L the data: a decoder that is not linear, under L2."""
    return 0.5 * (vectors.sinh() - LATENTS.sinh()).square().sum(1)


def square(vectors: Tensor) -> Tensor:
    """Identity encoder and decoder under L2: |L - q|^2, L the data."""
    return (vectors - LATENTS).square().sum(1)


def rest(rule: str, *, free: bool = False, steps: int = 5000) -> Rest:
    return come_to_rest(
        LATENTS, MEANS, curved, gradient_rule=rule, commitment=BETA, codebook_lr_factor=ETA, free=free, steps=steps
    )


def at_means(rule: str, distortion: Distortion = curved) -> Tensor:
    """The codebook's gradient when it stands at the cluster means."""
    return gradients(LATENTS, MEANS, distortion, gradient_rule=rule, commitment=BETA, codebook_lr_factor=ETA)[1]


def test_published_alone_is_stationary_at_the_cluster_means() -> None:
    """Encoder held, decoder not linear: the others are moved from the means, by sum g, which is far from 0."""
    assert at_means("published").abs().max() < 1e-12
    hit = MEANS[torch.arange(18) % 3]
    g = hit.cosh() * (hit.sinh() - LATENTS.sinh())
    pull = torch.stack([g[k::3].sum(0) for k in range(3)])
    assert pull.norm(dim=1).min() > 0.3
    for rule in ("both", "end_to_end"):
        torch.testing.assert_close(at_means(rule), pull, rtol=0, atol=1e-12)


@pytest.mark.parametrize("start", [1.0, 0.7])
def test_published_comes_back_to_the_means(start: float) -> None:
    found = come_to_rest(
        LATENTS, start * MEANS, curved, gradient_rule="published", commitment=BETA, codebook_lr_factor=ETA
    )
    torch.testing.assert_close(found.codes, MEANS, rtol=0, atol=1e-10)


def test_both_rests_where_its_formula_says() -> None:
    """sum g = beta sum (L - C[k]), not at the means."""
    found = rest("both")
    assert found.residual < 1e-10
    assert found.from_means > 0.04
    hit = found.codes[found.chosen]
    left = hit.cosh() * (hit.sinh() - LATENTS.sinh()) + BETA * (hit - LATENTS)
    assert max(left[found.chosen == k].sum(0).abs().max() for k in range(3)) < 1e-9


def test_end_to_end_rests_at_means_of_what_is_decoded() -> None:
    """sum g = 0 is sinh C = mean sinh L, in closed form: not the means of L."""
    found = rest("end_to_end")
    decoded = torch.stack([LATENTS[k::3].sinh().mean(0) for k in range(3)]).asinh()
    torch.testing.assert_close(found.codes, decoded, rtol=0, atol=1e-10)
    assert found.from_means > 0.04


@pytest.mark.parametrize("rule", ["published", "both"])
def test_with_every_vector_free_both_ends_at_the_means_too(rule: str) -> None:
    """Each L[p] rests at g = beta (Lhat - L), so that C.grad = 0 leaves 2 beta sum (C - L) = 0."""
    found = rest(rule, free=True)
    assert found.residual < 1e-9
    assert found.from_means < 1e-9
    assert (found.latents - LATENTS).abs().max() > 0.1  # they did move


def test_with_every_vector_free_end_to_end_never_rests() -> None:
    """L.grad = g, which is not 0 at each position."""
    assert rest("end_to_end", free=True, steps=300).residual > 0.1


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_identity_encoder_and_decoder_under_l2_end_at_the_means(rule: str) -> None:
    assert at_means(rule, square).abs().max() < 1e-12
    found = come_to_rest(LATENTS, 0.8 * MEANS, square, gradient_rule=rule, commitment=BETA, codebook_lr_factor=ETA)
    torch.testing.assert_close(found.codes, MEANS, rtol=0, atol=1e-10)
