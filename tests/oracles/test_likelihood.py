"""-ln P(y) of whole models: exact by quadrature, bounded by -ELBO, met by importance sampling (THEORY T2, T3)."""

from itertools import combinations

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from tests.oracles.enumeration import outcomes
from tests.oracles.quadrature import log_prob
from tests.tiny import SENTENCES, batch, vae
from textlatent.models import SentenceVAE
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import effective_sample_size, log_importance_weights, log_mean_exp

WORDS = 3
SMALL = {"vocabulary": 5, "scale": 4.0}
FEW = [[3, 4, 2], [4, 2], [2], [3, 3, 4, 2], [0, 1, 2]]


def exact(model: SentenceVAE, sentences: list[list[int]], *, nodes: int) -> Tensor:
    rows = batch(sentences)
    return log_prob(model, rows["tokens"], lengths=rows["lengths"], nodes=nodes)


@pytest.mark.parametrize("latent_size", [1, 2])
@pytest.mark.parametrize("inject", ["prefix", "add", "both"])
def test_probabilities_sum_to_one(latent_size: int, inject: str) -> None:
    """Over all sentences of fewer than 3 words and all beginnings of 3 words."""
    model = vae(latent_size=latent_size, inject=inject, **SMALL)
    tokens, lengths = outcomes(5, WORDS)
    total = log_prob(model, tokens, lengths=lengths, nodes=8).exp().sum()
    assert total == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("latent_size", "nodes"), [(1, 64), (2, 24)])
def test_quadrature_has_converged(latent_size: int, nodes: int) -> None:
    """What the tests below call exact moves by less than 5e-4 nats when the points are half as many again."""
    model = vae(latent_size=latent_size, **SMALL)
    torch.testing.assert_close(
        exact(model, FEW, nodes=nodes), exact(model, FEW, nodes=nodes * 3 // 2), rtol=0, atol=5e-4
    )


@pytest.mark.parametrize("prior", ["standard", "learned"])
@pytest.mark.parametrize(("latent_size", "nodes"), [(1, 64), (2, 24)])
def test_importance_sampling_meets_the_exact_likelihood(latent_size: int, nodes: int, prior: str) -> None:
    """The mean weight is P(y) within 3 standard errors, and -ELBO lies above -ln P(y)."""
    model = vae(latent_size=latent_size, prior=prior, **SMALL)
    if prior == "learned":
        with torch.no_grad():
            model.prior.mean.fill_(0.3)
            model.prior.log_variance.fill_(-0.2)
    true = exact(model, FEW, nodes=nodes)
    with torch.no_grad():
        scores = model(**batch(FEW), samples=2000)
    ratio = (scores.log_weights() - true).exp()  # [S, B], mean 1
    error = ratio.std(0) / len(ratio) ** 0.5
    assert (error < 0.05).all(), "the weights are too uneven for this test to say anything"
    assert ((ratio.mean(0) - 1).abs() < 3 * error).all()
    assert (scores.neg_elbo() > -true).all()


def test_the_weights_know_the_posterior_from_the_prior() -> None:
    """As above with ln P_enc left out of the weights: the test must fail then."""
    model = vae(latent_size=1, **SMALL)
    true = exact(model, FEW, nodes=64)
    with torch.no_grad():
        scores = model(**batch(FEW), samples=2000)
    wrong = (scores.log_p_dec - true).exp()
    assert ((wrong.mean(0) - 1).abs() > 3 * wrong.std(0) / len(wrong) ** 0.5).any()


def test_the_bound_falls_in_k_over_all_subsets_of_the_same_draws() -> None:
    """Averaged over all K-subsets of 8 draws, for every sentence and to the digit; at K = 1 it is the sampled -ELBO."""
    model = vae(scale=4.0)
    with torch.no_grad():
        weights = model(**batch(SENTENCES), samples=8).log_weights()
    ladder = torch.stack(
        [
            torch.stack([-log_mean_exp(weights[list(subset)]) for subset in combinations(range(8), k)]).mean(0)
            for k in range(1, 9)
        ]
    )  # [K, B]
    assert (ladder.diff(dim=0) < 0).all()
    torch.testing.assert_close(ladder[0], -weights.mean(0), rtol=0, atol=1e-13)
    assert (ladder[-1] <= -weights.mean(0)).all()


@pytest.mark.parametrize("inject", ["prefix", "add", "both"])
def test_a_decoder_that_ignores_z_has_its_own_likelihood_at_every_k(inject: str) -> None:
    """The encoder's head at zero is the prior; z's maps at zero tell the decoder nothing: every weight is P(y)."""
    model = vae(inject=inject, slots=2)
    with torch.no_grad():
        for layer in (model.encoder.head, model.decoder.to_slots, model.decoder.to_every):
            if layer is not None:
                layer.weight.zero_()
                layer.bias.zero_()
        rows = batch(SENTENCES)
        mask = torch.arange(rows["tokens"].shape[1]) < rows["lengths"][:, None]
        nll = -model.decoder.log_prob_token(rows["tokens"], torch.zeros(6, 3, dtype=torch.float64), mask).sum(1)
        scores = model(**rows, samples=50)
    for k in (1, 2, 10, 50):
        torch.testing.assert_close(-log_mean_exp(scores.log_weights()[:k]), nll, rtol=0, atol=1e-12)
    torch.testing.assert_close(scores.neg_elbo(), nll, rtol=0, atol=1e-12)
    assert torch.equal(scores.kl, torch.zeros(6, 3, dtype=torch.float64))


def test_with_the_exact_posterior_every_weight_is_the_likelihood() -> None:
    """A linear Gaussian model: z ~ N(0, I), y ~ N(W z, s^2 I) with orthogonal columns, so the posterior is diagonal."""
    generator = torch.Generator().manual_seed(0)
    columns = torch.linalg.qr(torch.randn(4, 2, generator=generator, dtype=torch.float64)).Q
    w, s = columns * torch.tensor([1.5, 0.5], dtype=torch.float64), 0.3
    y = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    precision = 1 + (w**2).sum(0) / s**2
    posterior = DiagonalGaussian(y @ w / s**2 / precision, -precision.log().expand(5, 2))
    prior = DiagonalGaussian(torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))
    z = posterior.sample(torch.randn(20, 5, 2, generator=generator, dtype=torch.float64))
    noise = torch.full((4,), 2 * torch.tensor(s, dtype=torch.float64).log().item(), dtype=torch.float64)
    given_z = DiagonalGaussian(z @ w.T, noise).log_prob(y)
    weights = log_importance_weights(posterior.log_prob(z), prior.log_prob(z), given_z)
    true = MultivariateNormal(
        torch.zeros(4, dtype=torch.float64), w @ w.T + s**2 * torch.eye(4, dtype=torch.float64)
    ).log_prob(y)
    torch.testing.assert_close(weights, true.expand(20, 5), rtol=0, atol=1e-12)
    torch.testing.assert_close(effective_sample_size(weights), torch.full((5,), 20.0, dtype=torch.float64))
