"""T3: importance sampling, every expectation summed over all draws of a z with five values."""

import itertools

import torch
from torch import Tensor

from textlatent.nats.montecarlo import log_importance_weights, log_mean_exp
from textlatent.theory.example import linear_gaussian, table
from textlatent.theory.row import Check, Figure, Row

_VALUES = 5


def importance_sampling() -> Row:
    """T3."""
    prior, decoder, encoder = (table(_VALUES, seed=seed, power=2.0) for seed in (1, 2, 3))
    likelihood = 0.05 + 0.9 * decoder  # P_dec(y|z) of one sentence
    nll = -float((prior @ likelihood).log())
    elbo = float(encoder @ (encoder / (prior * likelihood)).log())  # -ELBO, written out
    bounds = [_bound(encoder, prior, likelihood, draws=draws) for draws in range(1, 6)]
    drops = [left - right for left, right in itertools.pairwise(bounds)]
    from_prior = float((prior * _log_weights(prior, prior, likelihood).exp()).sum())
    model, _ = linear_gaussian()
    y = torch.randn(16, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        weights = model(y, torch.arange(16), samples=64).log_weights()
    return Row(
        "T3",
        "Importance sampling closes the gap",
        "Averaging $K$ weights before the logarithm gives a bound that is never worse than the ELBO and falls to "
        "$-\\ln P(y)$ as $K$ grows. If the encoder is Bayes' posterior every weight is $P(y)$ itself. Draws from the "
        "prior are unbiased too, but miss the $z$ that matter until $K$ is about $e^{rate}$.",
        r"-\ln P(y) \leq E [ -\ln \frac{1}{K} \sum_{k=1}^{K} \frac{P_{pri}(z_k) P_{dec}(y|z_k)}{P_{enc}(z_k|y)} ]"
        r" \leq -ELBO",
        (
            Check(
                "the bound at K = 1, over all 5 draws", bounds[0], r"$-ELBO = E \ln P_{enc} / (P_{pri} P_{dec})$", elbo
            ),
            Check(
                "the smallest fall from K to K + 1, K = 1 to 4, over all $5^K$ draws",
                min(drops),
                "a fall",
                0.0,
                relation=">=",
                tolerance=0.0,
            ),
            Check(
                "the bound at K = 5, over all 3,125 draws",
                bounds[-1],
                r"$-\ln P(y)$, which it stays above",
                nll,
                relation=">=",
            ),
            Check(
                "what is left at K = 5, as a share of the gap",
                (bounds[-1] - nll) / (elbo - nll),
                "at most 1/3 of it",
                1 / 3,
                relation="<=",
                unit="",
            ),
            Check(
                "mean weight of draws from the prior",
                from_prior,
                r"$P(y)$",
                float(prior @ likelihood),
                unit="probability",
            ),
            Check(
                "spread of the log weights under Bayes' encoder",
                float(weights.std(0).max()),
                "0: every weight is P(y)",
                0.0,
                tolerance=1e-10,
            ),
        ),
        Figure("bound", {"bounds": bounds, "nll": nll, "neg_elbo": elbo}),
    )


def _log_weights(encoder: Tensor, prior: Tensor, likelihood: Tensor) -> Tensor:
    """Ln P_pri P_dec / P_enc of each value of z."""
    return log_importance_weights(encoder.log()[None], prior.log()[None], likelihood.log()[None])[0]


def _bound(encoder: Tensor, prior: Tensor, likelihood: Tensor, *, draws: int) -> float:
    """E -ln mean_k w_k, all V^K draws summed with their probabilities."""
    which = torch.cartesian_prod(*[torch.arange(_VALUES)] * draws).view(-1, draws).T  # [K, V^K]
    weights = _log_weights(encoder, prior, likelihood)[which]
    return float(encoder[which].prod(0) @ -log_mean_exp(weights))
