"""T1 and T2: a rate and a distortion, and the bound on -ln P(y) that they make."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from textlatent.nats.discrete import kl
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.rate_distortion import rate_distortion_curve
from textlatent.objective.objective import Objective
from textlatent.scores import Scores
from textlatent.theory.example import (
    BOS,
    every_sentence,
    farthest,
    gauss_hermite,
    linear_gaussian,
    sentence_vae,
    table,
)
from textlatent.theory.row import Check, Figure, Row


def rate_and_distortion() -> Row:
    """T1."""
    model, (tokens, lengths) = sentence_vae(latent_size=2), every_sentence()
    index = torch.arange(len(tokens))
    with torch.no_grad():
        scores = model(tokens, lengths, index, samples=1, keep_latents=True)
        many = model(tokens, lengths, index, samples=1024)
        posterior = model.posterior(tokens, lengths)
    q = Normal(posterior.mean, posterior.std)
    rate = kl_divergence(q, Normal(0.0, 1.0)).sum()
    distortion = -_log_softmax(model, tokens, lengths, scores.need("z")[0]).sum()
    weighted = Objective(beta=0.7, lam=2.0)(scores, 0).loss
    drawn = Scores.from_dict({k: v for k, v in many.to_dict().items() if k != "kl"})
    elbo = Objective()(drawn, 0).loss
    sampled = (many.need("log_p_enc") - many.need("log_p_pri")).sum(1)
    errors = 5.0 * float(sampled.std()) / math.sqrt(len(sampled))
    return Row(
        "T1",
        "One loss: rate + distortion",
        "A sentence is sent as a code $z$ and written back. The rate is what $z$ costs under the prior, the distortion "
        "is what the sentence still costs when $z$ is known. The distortion is a negative log-likelihood of a discrete "
        "sentence; the rate is a ratio of densities, so it has no unit to choose. With both weights 1 the loss is the "
        "negative ELBO: a VAE and a rate-distortion autoencoder are one thing.",
        r"\mathcal{L} = \beta \underbrace{E \ln \frac{P_{enc}(z|y)}{P_{pri}(z)}}_{rate}"
        r" + \lambda \underbrace{E [ -\ln P_{dec}(y|z) ]}_{distortion}",
        (
            Check(
                r"objective of 21 sentences, $\beta = 0.7$, $\lambda = 2$",
                weighted.item(),
                r"$0.7 \sum KL + 2 \sum -\ln P_{dec}$, densities and softmax written out",
                (0.7 * rate + 2.0 * distortion).item(),
                tolerance=1e-9,
            ),
            Check(
                r"the same at $\beta = \lambda = 1$, 1,024 draws of $z$",
                elbo.item(),
                r"$-E \ln P_{pri}(z) P_{dec}(y|z) / P_{enc}(z|y)$ over the same draws",
                float(-many.log_weights().mean(0).sum()),
                tolerance=1e-9,
            ),
            Check(
                "rate as a mean over draws",
                float(sampled.mean()),
                "rate in closed form; 5 standard errors",
                rate.item(),
                tolerance=errors,
            ),
        ),
        Figure("tradeoff", _tradeoff()),
    )


def _log_softmax(model: Any, tokens: Tensor, lengths: Tensor, z: Tensor) -> Tensor:
    """Ln P_dec of each sentence from the logits that `generate` sees, [B]."""
    before = torch.cat([torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]], 1)
    logits = model.decoder(before, z).logits.log_softmax(-1)
    each = logits.gather(2, tokens[:, :, None]).squeeze(2)
    return torch.where(torch.arange(tokens.shape[1]) < lengths[:, None], each, 0.0).sum(1)


def _tradeoff() -> dict[str, object]:
    """The best rate and distortion that any encoder and prior reach with one decoder, by the weight of the rate."""
    source, decoder = table(8, seed=3), table(8, 8, seed=4, power=24.0)
    betas = [2.0 ** (k / 8) for k in range(-32, 33)]
    points = rate_distortion_curve(source, -decoder.T.log(), slopes=[1.0 / beta for beta in betas])
    rows = [
        {"beta": 1.0 / p.slope, "rate": p.rate, "distortion": p.distortion} for p in points if 0.0 < p.slope < math.inf
    ]
    return {"points": rows, "entropy": -float(source.xlogy(source).sum())}


def evidence_bound() -> Row:
    """T2."""
    model, (tokens, lengths) = sentence_vae(), every_sentence()
    unit, log_weight = gauss_hermite(160)
    with torch.no_grad():
        exact = torch.stack([_log_dec(model, tokens, lengths, z) for z in unit])
        log_p = (exact + log_weight[:, None]).logsumexp(0)
        posterior = model.posterior(tokens, lengths)
        elbo, gap = _elbo_and_gap(
            model, tokens[3:4], lengths[3:4], DiagonalGaussian(posterior.mean[3], posterior.log_variance[3])
        )
        linear, covariance = linear_gaussian()
        y = torch.randn(64, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        draws = linear(y, torch.arange(64), samples=8).log_weights()
        truth = torch.distributions.MultivariateNormal(torch.zeros(4).double(), covariance).log_prob(y)
    bayes = farthest(draws, truth)
    return Row(
        "T2",
        "The ELBO and its gap",
        "What the bound misses is exactly how far the encoder is from Bayes' posterior, so $-ELBO \\geq NLL$, with "
        "equality for the exact posterior alone. That posterior is hard because its normaliser $P(y)$ sums over every "
        "$z$; here $z$ is one number and the sum can be done.",
        r"\ln P(y) = ELBO + KL(P_{enc}(z|y) \; \| \; P(z|y))",
        (
            Check(
                r"ELBO + KL to the exact posterior, on a grid of $z$",
                elbo + gap,
                r"$\ln P(y) = \ln \int P_{pri}(z) P_{dec}(y|z) \; d z$ by quadrature",
                float(log_p[3]),
                tolerance=1e-7,
            ),
            Check("the gap", gap, "a KL divergence, above 0", 0.0, relation=">=", tolerance=0.0),
            Check(
                r"$\sum_y P(y)$ over all 21 beginnings of sentences",
                float(log_p.exp().sum()),
                "1: the decoder forgets nothing",
                1.0,
                tolerance=1e-9,
                unit="",
            ),
            Check(
                "ELBO of every single draw under Bayes' encoder (linear-Gaussian; the worst of 512)",
                bayes[0],
                r"$\ln N(y; 0, W W^T + c I)$: no gap",
                bayes[1],
                tolerance=1e-9,
            ),
        ),
    )


def _log_dec(model: Any, tokens: Tensor, lengths: Tensor, z: Tensor) -> Tensor:
    """Ln P_dec of each sentence under one z, [B]."""
    return model.log_prob_token(tokens, lengths, z.expand(len(tokens), 1)).sum(1)


def _elbo_and_gap(model: Any, token: Tensor, length: Tensor, enc: DiagonalGaussian) -> tuple[float, float]:
    """ELBO of one sentence, its distortion by quadrature; KL(enc || exact posterior) on a grid of z."""
    unit, log_weight = gauss_hermite(160)

    def log_dec(z: Tensor) -> Tensor:
        return model.log_prob_token(token.expand(len(z), -1), length.expand(len(z)), z[:, None]).sum(1)

    prior = model.prior_distribution()
    rate = kl_per_dimension(enc, prior).sum()
    distortion = -(log_weight.exp() @ log_dec(enc.mean + enc.std * unit))
    grid = torch.linspace(-9.0, 9.0, 6001, dtype=torch.float64)
    posterior = (prior.log_prob(grid[:, None]) + log_dec(grid)).softmax(0)
    own = enc.log_prob(grid[:, None]).softmax(0)
    return -float(rate + distortion), float(kl(own, posterior))
