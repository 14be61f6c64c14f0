"""T6c and T6d: real vectors, through a noisy channel or as points."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Laplace, Normal

from textlatent.decoder.vector import VectorDecoder
from textlatent.diagnostics.ledger import build_ledger
from textlatent.nats.gaussian import kl_per_dimension
from textlatent.nats.water_filling import reverse_water_filling
from textlatent.theory.example import farthest, gauss_hermite, linear_gaussian, vector_model
from textlatent.theory.row import Check, Figure, Row

_VARIANCES = (4.0, 1.5, 0.6, 0.1)


def squared_and_absolute_error() -> Row:
    """T6c."""
    random = torch.Generator().manual_seed(0)
    y, yhat = torch.randn(2, 50, 3, generator=random, dtype=torch.float64)
    lam = 0.8
    squared, absolute = (VectorDecoder(nn.Identity(), size=3, distortion=name, lam=lam) for name in ("l2", "l1"))
    normal = Normal(yhat, math.sqrt(1.0 / (2.0 * lam))).log_prob(y).sum(-1)
    laplace = Laplace(yhat, 1.0 / lam).log_prob(y).sum(-1)
    densities = farthest(squared.log_prob(y, yhat), normal), farthest(absolute.log_prob(y, yhat), laplace)
    c, both = _scaled_loss(random)
    water = reverse_water_filling(torch.tensor(_VARIANCES, dtype=torch.float64), lam=2.0)
    rate, distortion, slope = _optimum(lam=2.0)
    return Row(
        "T6c",
        "Squared error is nats too",
        "For real vectors a distance is, up to a constant, the negative log of a density: the square of a Gaussian, "
        "the absolute value of a Laplace. The VAE with $N(f(z), c I)$ is the autoencoder with squared error at "
        "$\\lambda = 1 / (2c)$, and a linear one reaches what no code can beat: each component gets the water level "
        "as its error, and one that lies below is left out.",
        r"2c (rate + distortion) = E \| y - f(z) \|^2 + 2c \; KL + const, \quad"
        r" R = \sum_i \frac{1}{2} \ln \frac{s_i^2}{\min(s_i^2, c)}, \quad c = \frac{1}{2 \lambda}",
        (
            Check("squared error, 50 vectors (the worst)", densities[0][0], r"$\ln N(\hat{y}, c I)$", densities[0][1]),
            Check(
                "absolute error, 50 vectors (the worst)",
                densities[1][0],
                r"$\ln Laplace(\hat{y}, 1 / \lambda)$",
                densities[1][1],
            ),
            Check(
                f"2c times the model's loss, c = {c:g} (the worst of 20)",
                both[0],
                r"$\| y - f(z) \|^2 + 2c \; KL + n c \ln (2 \pi c)$",
                both[1],
                tolerance=1e-10,
                unit="squared",
            ),
            Check(
                "linear model, 4 Gaussian components: rate",
                rate,
                "reverse water-filling",
                float(water.rate.sum()),
                tolerance=1e-10,
            ),
            Check(
                "its squared error",
                distortion,
                "reverse water-filling",
                float(water.distortion.sum()),
                tolerance=1e-10,
                unit="squared",
            ),
            Check("norm of the loss's gradient there", slope, "0", 0.0, tolerance=1e-9, unit=""),
        ),
        Figure("water", {"variances": list(_VARIANCES)}),
    )


def _scaled_loss(random: torch.Generator) -> tuple[float, tuple[float, float]]:
    """c of a linear-Gaussian model, and 2c times its loss beside what it should be, row by row."""
    model, _ = linear_gaussian()
    y, index = torch.randn(20, 4, generator=random, dtype=torch.float64), torch.arange(20)
    with torch.no_grad():
        scores = model(y, index, keep_latents=True)
        squared = (y - model.decoder(scores.need("z")[0])).square().sum(1)
    c = 1.0 / (2.0 * model.config.lam)
    return c, farthest(2 * c * scores.neg_elbo(), squared + 2 * c * scores.rate() + 4 * c * math.log(2 * math.pi * c))


def _optimum(*, lam: float) -> tuple[float, float, float]:
    """Rate, squared error and gradient of the linear model that water-filling describes, by exact quadrature."""
    variance = torch.tensor(_VARIANCES, dtype=torch.float64)
    c = 1.0 / (2.0 * lam)
    sent = variance > c
    model = vector_model(size=4, latent_size=int(sent.sum()), variance="shared", lam=lam)
    weight = torch.diag((variance - c).clamp(min=0.0).sqrt())[:, sent]
    with torch.no_grad():
        model.decoder.network[0].weight.copy_(weight)
        model.encoder.point.network[0].weight.copy_((weight / variance[:, None]).T)
        model.encoder.log_variance.copy_((c / variance[sent]).log())
    unit, log_weight = gauss_hermite(3)
    nodes, chance = torch.cartesian_prod(*[unit] * 4), torch.cartesian_prod(*[log_weight.exp()] * 4).prod(1)
    rate, distortion = exact_terms(model, nodes * variance.sqrt(), chance, unit, log_weight.exp())
    gradient = torch.autograd.grad(rate + lam * distortion, list(model.parameters()))
    return rate.item(), distortion.item(), math.sqrt(sum(float(each.square().sum()) for each in gradient))


def exact_terms(model: Any, y: Tensor, chance: Tensor, unit: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean rate and squared error over y and noise; both are quadratic, so few nodes are exact."""
    enc = model.posterior(y)
    size = model.config.latent_size
    noise = torch.cartesian_prod(*[unit] * size).view(-1, size)
    weight = torch.cartesian_prod(*[weight] * size).view(-1, size).prod(1)
    rate = chance @ kl_per_dimension(enc, model.prior_distribution()).sum(1)
    return rate, weight @ model.decoder.dist(y, enc.sample(noise[:, None])) @ chance


def plain_autoencoder() -> Row:
    """T6d."""
    random = torch.Generator().manual_seed(3)
    data = torch.randn(60, 6, generator=random, dtype=torch.float64) @ torch.randn(6, 6, generator=random).double()
    data = data - data.mean(0)
    model = vector_model(size=6, latent_size=2, encoder="point")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random, dtype=torch.float64))
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=400, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = model.decoder.dist(data, model.encoder(data)).sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    error = closure().item()
    with torch.no_grad():
        scores = model(data, torch.arange(60), keep_latents=True)
        left = torch.linalg.svdvals(data)[2:].square().sum()
        basis = torch.linalg.svd(data, full_matrices=False).Vh[:2]
        same = farthest(model.decode(scores.need("z")[0]), data @ basis.T @ basis)
    blank = [name for name in ("kl", "log_p_enc", "log_p_pri") if getattr(scores, name) is None]
    return Row(
        "T6d",
        "The plain autoencoder has no rate",
        "Without noise and prior an autoencoder only minimises its error; linear maps find the principal components. "
        "Its code is a point, which has no density, so a rate in nats is not 0 but undefined, and is reported so.",
        r"\min_{f, g} \| X - g(f(X)) \|_F^2 = \sum_{i > D} \sigma_i^2 \quad (linear \; f, g)",
        (
            Check(
                "error of a trained linear autoencoder, 6 to 2 numbers",
                error,
                "sum of the squared singular values left out",
                float(left),
                tolerance=1e-6 * float(left),
                unit="squared",
            ),
            Check(
                "its reconstruction (the worst entry)",
                same[0],
                "projection on two principal components",
                same[1],
                tolerance=1e-3,
                unit="",
            ),
            Check(
                "fields of the record that stay blank: kl, log_p_enc, log_p_pri",
                len(blank),
                "all 3",
                3.0,
                tolerance=0.0,
                unit="fields",
            ),
            Check(
                "rates on its ledger",
                float(build_ledger(scores)["rate_nats"]["value"] is not None),
                "none",
                0.0,
                tolerance=0.0,
                unit="",
            ),
        ),
    )
