"""T12: where the posterior can be computed, EM is the VAE whose gap is 0."""

import itertools

import torch
from torch import Tensor

from textlatent.decoder.table import Unigram, log_estimate
from textlatent.encoder.posterior import chain_posterior, class_posterior
from textlatent.nats.discrete import kl
from textlatent.theory.example import farthest, table
from textlatent.theory.row import Check, Figure, Row

_CLASSES, _WORDS, _STEPS = 3, 8, 25


def expectation_maximisation() -> Row:
    """T12."""
    tokens, lengths = _corpus()
    course = _course(tokens, lengths)
    rises = [after - before for before, after in itertools.pairwise(course.neg_elbo)]
    prior, words = table(_CLASSES, seed=1).log(), Unigram.from_log_probabilities(table(_CLASSES, _WORDS, seed=2).log())
    with torch.no_grad():
        log_dec = words.log_prob(tokens, lengths)
    bayes, enc = class_posterior(prior, log_dec), table(len(tokens), _CLASSES, seed=3)
    other = class_posterior(prior, log_dec, log_enc=enc.log())
    gap = farthest(other.rate + other.distortion + bayes.log_marginal, kl(enc, bayes.probability))
    chain, paths = _chains(prior, tokens, lengths, words)
    return Row(
        "T12",
        "EM is a VAE with an exact encoder",
        "Where $P(z|y)$ can be computed, set the encoder to it (E-step: the gap is 0), then fit the prior and the "
        "decoder to it (M-step). Each step minimises the same $-ELBO$, so it never rises. Mixtures of unigrams and "
        "hidden Markov models are such cases.",
        r"E: \; P_{enc} \leftarrow P(z|y), \quad M: \; \min_{pri, dec} E [ -\ln P_{pri}(z) P_{dec}(y|z) ]",
        (
            Check("gap after each of 25 E-steps, 300 sentences (the worst)", course.gap, "0", 0.0, tolerance=1e-10),
            Check(
                "largest rise of -ELBO from step to step, a sentence",
                max(rises),
                "0 or a fall",
                0.0,
                tolerance=1e-9,
                relation="<=",
            ),
            Check(
                "what 25 steps gained, a sentence",
                course.neg_elbo[0] - course.neg_elbo[-1],
                "more than 0.2",
                0.2,
                relation=">=",
            ),
            Check(
                "gap of another encoder (the worst sentence)",
                gap[0],
                r"$KL(P_{enc} \; \| \; P(z|y))$",
                gap[1],
                tolerance=1e-10,
            ),
            Check(
                "hidden Markov model that never changes state: ln P(y) (the worst)",
                chain[0],
                "the mixture of unigrams",
                chain[1],
                tolerance=1e-10,
            ),
            Check(
                "hidden Markov model: ln P(y) of a sentence of 5 words",
                paths[0],
                "all 243 paths, summed",
                paths[1],
                tolerance=1e-11,
            ),
        ),
        Figure("course", {"neg_elbo": course.neg_elbo}),
    )


def _corpus() -> tuple[Tensor, Tensor]:
    """300 sentences of 2 to 6 words, each all from one of three lists of words."""
    random = torch.Generator().manual_seed(0)
    lists = table(_CLASSES, _WORDS, seed=8, power=4.0)
    own = torch.randint(_CLASSES, (300,), generator=random)
    lengths = torch.randint(2, 7, (300,), generator=random)
    return torch.multinomial(lists[own], 6, replacement=True, generator=random), lengths


class _Course:
    """What 25 steps of EM did: mean -ELBO before each M-step, and the largest gap of any sentence."""

    def __init__(self) -> None:
        self.neg_elbo: list[float] = []
        self.gap = 0.0


@torch.no_grad()
def _course(tokens: Tensor, lengths: Tensor) -> _Course:
    course = _Course()
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    counts = torch.zeros(len(tokens), _WORDS, dtype=torch.float64).scatter_add(1, tokens, inside.double())
    log_prior = table(_CLASSES, seed=5).log()
    words = Unigram.from_log_probabilities(table(_CLASSES, _WORDS, seed=6).log())
    for _ in range(_STEPS):
        found = class_posterior(log_prior, words.log_prob(tokens, lengths))  # E
        course.neg_elbo.append(float((found.rate + found.distortion).mean()))
        course.gap = max(course.gap, float((found.rate + found.distortion + found.log_marginal).abs().max()))
        log_prior = log_estimate(found.probability.sum(0))  # M
        words.set(log_estimate(found.probability.T @ counts))
    return course


@torch.no_grad()
def _chains(
    prior: Tensor, tokens: Tensor, lengths: Tensor, words: Unigram
) -> tuple[tuple[float, float], tuple[float, float]]:
    """A chain that stays where it began beside the mixture; a chain that moves beside the sum over its paths."""
    each = words.log_prob_token(tokens, lengths)
    stay = torch.eye(_CLASSES, dtype=torch.float64).log()
    still = chain_posterior(prior, stay, each, lengths).log_marginal
    mixture = class_posterior(prior, words.log_prob(tokens, lengths)).log_marginal
    moves = table(_CLASSES, _CLASSES, seed=7)
    emission = words.log_prob_token(tokens[:1, :5], torch.tensor([5]))
    found = chain_posterior(prior, moves.log(), emission, torch.tensor([5])).log_marginal
    paths = torch.tensor(list(itertools.product(range(_CLASSES), repeat=5)))
    nats = prior[paths[:, 0]] + moves.log()[paths[:, :-1], paths[:, 1:]].sum(1)
    summed = (nats + emission[0, torch.arange(5), paths].sum(1)).logsumexp(0)
    return farthest(still, mixture), (float(found), float(summed))
