"""The vector autoencoder: its Scores by hand, saved and loaded, points without a rate, and the linear optimum."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from textlatent.models.vector import VectorAutoencoder, VectorAutoencoderConfig
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.mixture import GaussianMixture
from textlatent.nats.water_filling import reverse_water_filling

SIZE = 4


def _model(**config: Any) -> VectorAutoencoder:
    torch.manual_seed(0)
    return VectorAutoencoder(VectorAutoencoderConfig(size=SIZE, latent_size=2, **config)).double().eval()


def _rows(count: int = 5) -> Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(1)).double()


def test_scores_by_hand() -> None:
    """z = mu + sigma eps, ln N of each, the closed-form KL, and the Gaussian density of variance 1 / (2 lam)."""
    model, rows = _model(prior="learned", lam=3.0), _rows()
    with torch.no_grad():
        model.prior.mean.fill_(0.5)
        scores = model(rows, torch.arange(5), samples=3, seed=7, keep_latents=True)
        posterior = model.posterior(rows)
        z = scores.need("z")[0]
        normal, prior = torch.distributions.Normal, torch.distributions.Normal(torch.tensor([0.5, 0.5]).double(), 1.0)
        own = normal(posterior.mean, posterior.std)
        torch.testing.assert_close(scores.need("log_p_enc")[0], own.log_prob(z).sum(-1))
        torch.testing.assert_close(scores.need("log_p_pri")[0], prior.log_prob(z).sum(-1))
        yhat = normal(model.decode(z), (1.0 / 6.0) ** 0.5)
        torch.testing.assert_close(scores.need("log_p_dec")[0], yhat.log_prob(rows).sum(-1))
        torch.testing.assert_close(scores.need("kl"), torch.distributions.kl_divergence(own, prior))
    assert scores.need("log_p_dec").shape == (3, 5)


def test_noise_belongs_to_the_row() -> None:
    model, rows = _model(), _rows()
    whole = model(rows, torch.arange(5), samples=2)
    part = model(rows[3:], torch.arange(3, 5), samples=1, first_sample=1)
    torch.testing.assert_close(part.need("log_p_dec")[0], whole.need("log_p_dec")[1, 3:])


def test_a_point_has_no_rate_and_no_prior() -> None:
    """THEORY T6d: undefined, never 0."""
    model, rows = _model(encoder="point"), _rows()
    scores = model(rows, torch.arange(5), samples=2, keep_latents=True)
    assert not scores.has_rate
    assert [scores.log_p_enc, scores.log_p_pri, scores.kl, scores.posterior_mean] == [None] * 4
    z = model.encode(rows)
    assert isinstance(z, Tensor)
    torch.testing.assert_close(scores.need("z")[0], z)
    squared = (rows - model.decode(z)).square().sum(-1)
    torch.testing.assert_close(scores.distortion(), squared + model.decoder.constant)
    assert model.loss(vectors=rows, index=torch.arange(5)) == scores.distortion().mean()
    for ask in (lambda: model.sample_prior(2, seed=0), lambda: model.posterior(rows)):
        with pytest.raises(ValueError, match="points, which have no density: there is no rate and no prior to draw"):
            ask()


@pytest.mark.parametrize(
    "config",
    [
        {"prior": "mixture", "components": 3, "distortion": "l1"},
        {"encoder": "point", "encoder_hidden": [7], "decoder_hidden": [6, 5], "activation": "tanh"},
        {"variance": "shared", "centre": [1.0, 2.0, 3.0, 4.0], "scale": [1.0, 0.5, 2.0, 1.0]},
    ],
)
def test_saved_and_loaded_it_says_the_same(tmp_path: Path, config: dict[str, Any]) -> None:
    model = _model(**config).float()
    model.save_pretrained(tmp_path)
    again = VectorAutoencoder.from_pretrained(tmp_path).eval()
    rows = _rows().float()
    for key, value in model(rows, torch.arange(5), keep_latents=True).to_dict().items():
        torch.testing.assert_close(again(rows, torch.arange(5), keep_latents=True).to_dict()[key], value, msg=key)


def test_draws_of_the_prior() -> None:
    model = _model(prior="mixture", components=3)
    assert isinstance(model.prior_distribution(), GaussianMixture)
    torch.testing.assert_close(model.sample_prior(5, seed=1)[2:3], model.sample_prior(torch.tensor([2]), seed=1))
    assert (
        model.sample_prior(torch.tensor([2]), seed=2).tolist() != model.sample_prior(torch.tensor([2]), seed=1).tolist()
    )
    assert isinstance(model.encode(_rows()), DiagonalGaussian)


def test_centre_and_scale_are_coordinates_alone() -> None:
    """The same networks on standardised rows: nats differ by sum ln scale, the Jacobian's, where Dist is rescaled."""
    centre, scale = [1.0, -2.0, 0.5, 3.0], [2.0] * 4
    moved, plain = _model(centre=centre, scale=scale, lam=1.0), _model(lam=4.0)
    rows = _rows()
    raw = rows * 2.0 + torch.tensor(centre).double()
    one, other = moved(raw, torch.arange(5)), plain(rows, torch.arange(5))
    torch.testing.assert_close(one.need("kl"), other.need("kl"))
    jacobian = SIZE * torch.tensor(2.0).double().log()
    torch.testing.assert_close(one.distortion() - jacobian, other.distortion())


@pytest.mark.parametrize("lam", [0.3, 1.0, 4.0, 20.0])
def test_the_best_linear_gaussian_code_lies_on_reverse_water_filling(lam: float) -> None:
    """THEORY T6c: trained by exact expectations, rate and distortion are R(D)'s at water level 1 / (2 lam).

    Every term is a function of the rows' covariance S alone: E ||y - W z||^2 = tr (I - W V) S (I - W V)^T +
    sum_d sigma_d^2 |w_d|^2 for mu = V y; L-BFGS in float64 takes the loss to its minimum.
    """
    variance = torch.tensor([4.0, 1.5, 0.6, 0.05]).double()
    turn = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(2)).double())[0]
    covariance = turn @ variance.diag() @ turn.T
    torch.manual_seed(3)
    config = VectorAutoencoderConfig(size=SIZE, latent_size=SIZE, variance="shared", lam=lam)
    model = VectorAutoencoder(config).double()
    inward, outward = model.encoder.point.network[0].weight, model.decoder.network[0].weight
    log_variance = model.encoder.log_variance
    optimizer = torch.optim.LBFGS([inward, outward, log_variance], max_iter=2000, line_search_fn="strong_wolfe")

    def terms() -> tuple[Tensor, Tensor]:
        second = (inward @ covariance @ inward.T).diagonal()
        rate = 0.5 * (log_variance.exp() + second - 1.0 - log_variance).sum()
        missing = torch.eye(SIZE).double() - outward @ inward
        error = (missing @ covariance @ missing.T).trace() + (outward.square().sum(0) * log_variance.exp()).sum()
        return rate, error

    def closure() -> Tensor:
        optimizer.zero_grad()
        rate, error = terms()
        loss = rate + lam * error
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    rate, error = (x.item() for x in terms())
    truth = reverse_water_filling(variance, lam=lam)
    assert rate == pytest.approx(truth.rate.sum().item(), abs=1e-4)
    assert error == pytest.approx(truth.distortion.sum().item(), rel=1e-4)


def test_the_expectations_of_that_test_are_the_models_own() -> None:
    """On rows whose covariance is S exactly, the model's Scores average to the same rate and distortion."""
    rows = _rows(64)
    rows = rows - rows.mean(0)
    covariance = rows.T @ rows / 64
    model = _model(variance="shared", lam=2.0)
    with torch.no_grad():
        scores = model(rows, torch.arange(64), samples=2000)
        inward, outward = model.encoder.point.network[0].weight, model.decoder.network[0].weight
        log_variance = model.encoder.log_variance
        rate = 0.5 * (log_variance.exp() + (inward @ covariance @ inward.T).diagonal() - 1.0 - log_variance).sum()
        missing = torch.eye(SIZE).double() - outward @ inward
        error = (missing @ covariance @ missing.T).trace() + (outward.square().sum(0) * log_variance.exp()).sum()
    assert scores.rate().mean().item() == pytest.approx(rate.item(), rel=1e-10)
    drawn = ((scores.distortion() - model.decoder.constant) / 2.0).mean()
    assert drawn.item() == pytest.approx(error.item(), rel=0.01)


def test_faults() -> None:
    for config, message in (
        ({"encoder": "vq"}, "encoder must be one of gaussian, point, got 'vq'"),
        ({"prior": "vamp"}, "prior must be one of standard, learned, mixture, got 'vamp'"),
        ({"activation": "sin"}, "activation must be one of gelu, relu, tanh"),
    ):
        with pytest.raises(Exception, match=message):
            _model(**config)
