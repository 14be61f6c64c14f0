"""The two densities against torch's own, and the units of Dist and nats."""

import math

import pytest
import torch
from torch import nn

from textlatent.decoder.vector import VectorDecoder


def _decoder(distortion: str, lam: float, **more: torch.Tensor) -> VectorDecoder:
    torch.manual_seed(0)
    return VectorDecoder(nn.Linear(2, 3), size=3, distortion=distortion, lam=lam, **more).double()


VECTORS = torch.tensor([[0.3, -1.0, 2.0], [5.0, 0.0, -0.5]]).double()
LATENTS = torch.tensor([[0.1, -0.2], [1.0, 2.0]]).double()


@pytest.mark.parametrize("lam", [0.3, 1.0, 40.0])
def test_l2_is_the_gaussian_of_variance_one_over_two_lam(lam: float) -> None:
    """THEORY T6c: p(y|z) = N(f(z), c I), c = 1/(2 lam)."""
    decoder = _decoder("l2", lam)
    normal = torch.distributions.Normal(decoder(LATENTS), math.sqrt(1.0 / (2.0 * lam)))
    torch.testing.assert_close(decoder.log_prob(VECTORS, LATENTS), normal.log_prob(VECTORS).sum(-1))


@pytest.mark.parametrize("lam", [0.3, 1.0, 40.0])
def test_l1_is_the_laplace_density_of_scale_one_over_lam(lam: float) -> None:
    decoder = _decoder("l1", lam)
    laplace = torch.distributions.Laplace(decoder(LATENTS), 1.0 / lam)
    torch.testing.assert_close(decoder.log_prob(VECTORS, LATENTS), laplace.log_prob(VECTORS).sum(-1))


@pytest.mark.parametrize(("distortion", "expected"), [("l2", [11.0, 9.0]), ("l1", [5.0, 3.0])])
def test_dist_is_in_its_own_unit_and_nats_are_lam_of_it_and_a_constant(distortion: str, expected: list[float]) -> None:
    decoder = _decoder(distortion, 7.0)
    yhat = decoder(LATENTS)
    vectors = yhat.detach() + torch.tensor([[1.0, -3.0, 1.0], [0.0, 0.0, 3.0]])
    dist = decoder.dist(vectors, LATENTS)
    torch.testing.assert_close(dist, torch.tensor(expected).double())
    torch.testing.assert_close(-decoder.log_prob(vectors, LATENTS), 7.0 * dist + decoder.constant)


def test_a_sharp_density_gives_negative_nats() -> None:
    decoder = _decoder("l2", 1000.0)
    with torch.no_grad():
        nats = -decoder.log_prob(decoder(LATENTS), LATENTS)[0].item()
    assert nats == pytest.approx(1.5 * math.log(math.pi / 1000.0))
    assert decoder.constant < 0


def test_the_network_works_in_units_of_scale_around_centre() -> None:
    centre, scale = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 2.0, 10.0])
    plain, moved = _decoder("l2", 1.0), _decoder("l2", 1.0, centre=centre, scale=scale)
    torch.testing.assert_close(moved(LATENTS), plain(LATENTS) * scale + centre)


def test_samples_come_before_rows() -> None:
    decoder = _decoder("l1", 2.0)
    both = decoder.log_prob(VECTORS, torch.stack([LATENTS, 2.0 * LATENTS]))
    torch.testing.assert_close(both[1], decoder.log_prob(VECTORS, 2.0 * LATENTS))


def test_faults() -> None:
    with pytest.raises(ValueError, match="distortion must be one of l2, l1, got 'cosine'"):
        _decoder("cosine", 1.0)
    with pytest.raises(ValueError, match="lam must be > 0, got 0"):
        _decoder("l2", 0.0)
