"""T5 and T6: what a Gaussian costs under another, and how much of a rate is information."""

import math

import torch

from textlatent.nats.channel import rate_split
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension, standardise
from textlatent.theory.example import every_sentence, farthest, gauss_hermite, linear_gaussian, sentence_vae, table
from textlatent.theory.row import Check, Figure, Row


def gaussian_divergence() -> Row:
    """T5."""
    random = torch.Generator().manual_seed(0)
    m, v, m_p, v_p = torch.randn(4, 200, generator=random, dtype=torch.float64)
    q, p = DiagonalGaussian(m, v), DiagonalGaussian(m_p, v_p)
    unit, log_weight = gauss_hermite(8)
    z = q.mean + q.std * unit[:, None]
    log_ratio = [(-0.5 * ((z - d.mean) / d.std).square() - d.std.log()) for d in (q, p)]
    integral = log_weight.exp() @ (log_ratio[0] - log_ratio[1])
    found = kl_per_dimension(q, p)
    formula = (q.std**2 + (q.mean - p.mean) ** 2) / (2 * p.std**2) + (p.std / q.std).log() - 0.5
    unit_prior = DiagonalGaussian(torch.zeros_like(m), torch.zeros_like(m))
    pairs = [
        farthest(found, formula),
        farthest(found, integral),
        farthest(kl_per_dimension(standardise(q, p), unit_prior), found),
    ]
    model, tokens, lengths = _with_learned_prior()
    index = torch.arange(len(tokens))
    with torch.no_grad():
        before, after = (each(tokens, lengths, index, samples=4) for each in (model, model.standardise()))
        shift = float(model.prior_distribution().std.log().sum())
    same = [farthest(after.log_weights(), before.log_weights()), farthest(after.rate(), before.rate())]
    moved = farthest(after.need("log_p_enc") - before.need("log_p_enc"), torch.tensor(shift))
    return Row(
        "T5",
        "What a Gaussian costs under another",
        "Per dimension the rate has a closed form. Standardising a learned Gaussian prior, $z' = (z - \\mu_p) / "
        "\\sigma_p$, turns it into $N(0, I)$; the decoder's input map takes the change up, and no nat and no logit "
        "moves.",
        r"KL = \frac{\sigma^2 + (\mu - \mu_p)^2}{2 \sigma_p^2} + \ln \frac{\sigma_p}{\sigma} - \frac{1}{2}",
        (
            Check("200 random pairs of Gaussians (the worst)", pairs[0][0], "the formula", pairs[0][1]),
            Check(
                "the same",
                pairs[1][0],
                r"$E_q \ln q / p$ by quadrature, exact for a quadratic",
                pairs[1][1],
                tolerance=1e-10,
            ),
            Check("after standardising", pairs[2][0], "before", pairs[2][1], tolerance=1e-11),
            Check(
                "a sentence VAE standardised: importance weights (the worst of 84)",
                same[0][0],
                "before",
                same[0][1],
                tolerance=1e-9,
            ),
            Check("its rate (the worst of 21)", same[1][0], "before", same[1][1], tolerance=1e-10),
            Check(r"shift of $\ln P_{enc}$", moved[0], r"$\sum_d \ln \sigma_p$", moved[1], tolerance=1e-10),
        ),
        Figure("gaussian", {}),
    )


def _with_learned_prior() -> tuple:
    model = sentence_vae(latent_size=2, prior="learned")
    with torch.no_grad():
        model.prior.mean.copy_(torch.tensor([0.7, -1.1]))
        model.prior.log_variance.copy_(torch.tensor([0.9, -0.6]))
    return model, *every_sentence()


def rate_is_a_channel() -> Row:
    """T6."""
    encoder, weight = table(6, 5, seed=1, power=3.0), table(6, seed=2)
    aggregate = weight @ encoder
    splits = [rate_split(encoder, weight, table(5, seed=seed, power=0.5 + seed / 20)) for seed in range(100)]
    worst = farthest(
        torch.tensor([s.rate for s in splits], dtype=torch.float64),
        torch.tensor([s.information + s.mismatch for s in splits], dtype=torch.float64),
    )
    tight = rate_split(encoder, weight, aggregate)
    written = float((weight[:, None] * encoder * (encoder / aggregate).log()).sum())
    rate, information, mismatch = _linear_gaussian_split()
    return Row(
        "T6",
        "The rate is a channel's capacity",
        "The encoder is a channel from sentences to $z$. What it sends, $I(y, z)$, is the rate under the best prior, "
        "the aggregate posterior; under every other prior the rate is larger by exactly that prior's KL divergence "
        "from the aggregate. A continuous $z$ carries finitely many nats too: its noise limits the precision.",
        r"E \; KL(P_{enc}(z|y) \; \| \; Q) = I(y, z) + KL(agg \; \| \; Q), \quad"
        r" I(y, z) = \min_Q E \; KL(P_{enc} \; \| \; Q)",
        (
            Check(
                "rate under 100 random priors (the worst)", worst[0], "information + mismatch, each by itself", worst[1]
            ),
            Check("rate under the aggregate", tight.rate, r"$\sum P(y, z) \ln P(z|y) / agg(z)$ written out", written),
            Check(
                "the lowest rate under the 100 other priors",
                min(s.rate for s in splits),
                "above the information",
                tight.information,
                relation=">=",
                tolerance=0.0,
            ),
            Check(
                "linear-Gaussian encoder: rate of the model",
                rate,
                r"$\frac{1}{2} \sum_d \ln (v_{agg} / v) + KL(agg \; \| \; N(0, I))$",
                information + mismatch,
                tolerance=1e-10,
            ),
            Check("its information, finite", information, "below 3 nats", 3.0, relation="<="),
        ),
    )


def _linear_gaussian_split() -> tuple[float, float, float]:
    """Mean rate of the model over y ~ N(0, C) by quadrature; information and mismatch in closed form."""
    model, covariance = linear_gaussian()
    unit, log_weight = gauss_hermite(3)
    factor = torch.linalg.cholesky(covariance)
    nodes = torch.cartesian_prod(*[unit] * 4) @ factor.T
    weight = torch.cartesian_prod(*[log_weight.exp()] * 4).prod(1)
    with torch.no_grad():
        enc = model.posterior(nodes)
        rate = float(weight @ kl_per_dimension(enc, model.prior_distribution()).sum(1))
        aggregate = (weight[:, None] * enc.mean.square()).sum(0) + enc.variance[0]
        information = 0.5 * float((aggregate / enc.variance[0]).log().sum())
    mismatch = 0.5 * float((aggregate - 1.0 - aggregate.log()).sum())
    assert math.isfinite(rate)
    return rate, information, mismatch
