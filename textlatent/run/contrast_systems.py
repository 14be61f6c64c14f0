"""The systems whose gradients `contrast` sets side by side, small enough that the exact gradient can be had.

Gaussian VAE    one latent dimension, so that E over z is a quadrature; gradient at the encoder
VQ              the same encoder's mean, quantised to a few codes; gradient at the encoder
bigram GAN      a game begun, so that both players have a gradient to give; gradient at the generator
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN
from textlatent.contrasts.estimators import ESTIMATORS, NEEDS_PAIRS, TEMPERED, exact_cost, generator_loss
from textlatent.corpus.batches import Batch
from textlatent.diagnostics.gradient import Measured, measure_gradient
from textlatent.gradient.codes import straight_through
from textlatent.gradient.pathwise import reparameterise
from textlatent.gradient.score_function import leave_one_out, score_function
from textlatent.models import SentenceVAE, SentenceVAEConfig
from textlatent.models.backbone import backbone_config
from textlatent.nats.noise import uniform

WIDTH = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
NODES = 48
CODES = 8


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        system: whose gradient.
        estimator: how it is had.
        at: which parameters.
        measured: norm, bias, variance; None where autograd gives none and nothing is estimated.
        milliseconds: of one estimate, median.
        remark: what is worth knowing.
    """

    system: str
    estimator: str
    at: str
    measured: Measured
    milliseconds: float
    remark: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        found = self.measured
        return {
            "system": self.system,
            "estimator": self.estimator,
            "at": self.at,
            "norm": found.norm,
            "exact_norm": found.exact_norm,
            "bias": found.bias,
            "biased": found.biased,
            "bias_limit": found.bias_limit,
            "variance": found.variance,
            "estimates": found.draws,
            "milliseconds": self.milliseconds,
            "remark": self.remark,
        }


def small_vae(tokenizer: Any, *, words: int, seed: int) -> SentenceVAE:
    """An untrained sentence VAE with one latent dimension that its decoder hears."""
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    loud = {"embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0, "initializer_range": 0.2}
    common: dict[str, Any] = {"tokenizer": tokenizer, "where": "contrast"}
    encoder = backbone_config("bert", WIDTH | quiet | {"intermediate_size": 64}, positions=words, **common)
    decoder = backbone_config("gpt2", WIDTH | loud, positions=words + 1, **common)
    torch.manual_seed(seed)
    config = SentenceVAEConfig(encoder=encoder, decoder={"backbone": decoder, "max_tokens": words}, latent_size=1)
    return SentenceVAE(config).double().eval()


def vae_rows(vae: SentenceVAE, batch: Batch, *, repeats: int, seed: int) -> list[Row]:
    """The Gaussian VAE: pathwise, and the score function on the same z."""
    tokens, lengths = batch["tokens"], batch["lengths"]
    count = len(lengths)
    place, weight = np.polynomial.hermite_e.hermegauss(NODES)
    nodes, weights = torch.from_numpy(place), torch.from_numpy(weight / math.sqrt(2.0 * math.pi))

    def distortion(z: Tensor) -> Tensor:
        """-ln P_dec(y|z) [S, B] for z [S, B, 1]."""
        draws = len(z)
        nats = vae.log_prob_token(tokens.repeat(draws, 1), lengths.repeat(draws), z.reshape(-1, 1))
        return -nats.sum(-1).view(draws, count)

    def exact() -> Tensor:
        noise = nodes[:, None, None].expand(-1, count, -1)
        return (weights[:, None] * distortion(reparameterise(vae.posterior(tokens, lengths), noise))).sum(0).mean()

    def pathwise(r: int) -> Tensor:
        return distortion(reparameterise(vae.posterior(tokens, lengths), _normal(2, count, seed, r))).mean()

    def score(r: int) -> Tensor:
        posterior = vae.posterior(tokens, lengths)
        z = reparameterise(posterior, _normal(2, count, seed, r)).detach()
        log_prob, cost = posterior.log_prob(z), distortion(z).detach()
        return score_function(log_prob, cost, baseline=leave_one_out(cost)).div(count)

    target, _ = _gradient(exact, vae.encoder)
    rows = []
    for name, loss, remark in (
        ("pathwise", pathwise, "z = mu + sigma eps passes it on (T4); exact by quadrature over eps"),
        ("score function", score, "of the same z, two draws, leave-one-out"),
    ):
        found, ms = _repeated(loss, vae.encoder, repeats)
        rows.append(Row("Gaussian VAE", name, "encoder", measure_gradient(found, target), ms, remark))
    return rows


def vq_rows(vae: SentenceVAE, batch: Batch) -> list[Row]:
    """The same encoder's mean quantised: without and with a straight-through rule."""
    tokens, lengths = batch["tokens"], batch["lengths"]
    with torch.no_grad():
        means = vae.posterior(tokens, lengths).mean
        codes = torch.linspace(float(means.min()), float(means.max()), CODES, dtype=means.dtype)[:, None]

    def quantised(through: bool) -> Tensor:
        latents = vae.posterior(tokens, lengths).mean
        chosen = codes[torch.cdist(latents.detach(), codes).argmin(1)]
        z = straight_through(latents, chosen, gradient_rule="published") if through else chosen
        return -vae.log_prob_token(tokens, lengths, z).sum(1)

    felt = _felt(vae, lambda: quantised(False))
    exact = torch.zeros(sum(p.numel() for p in vae.encoder.parameters()), dtype=torch.float64)
    rows = []
    for name, through in (("none", False), ("straight-through", True)):
        found, nothing = _gradient(lambda through=through: quantised(through).mean(), vae.encoder)  # type: ignore[misc]
        started = time.perf_counter()
        _gradient(lambda through=through: quantised(through).mean(), vae.encoder)  # type: ignore[misc]
        ms = 1e3 * (time.perf_counter() - started)
        remark = f"exact is 0: {felt} of {len(lengths)} sentences felt a step of 1e-9 (T10)"
        remark = (
            f"autograd: {'None' if nothing else 'a graph'}; {remark}" if not through else f"{remark}; all of it is bias"
        )
        rows.append(Row("VQ", name, "encoder", measure_gradient(found[None], exact), ms, remark))
    return rows


def _felt(vae: SentenceVAE, costs: Callable[[], Tensor], *, step: float = 1e-9) -> int:
    """How many sentences' costs change when the encoder's parameters do, a little."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        before = costs()
        kept = [p.clone() for p in vae.encoder.parameters()]
        for p in vae.encoder.parameters():
            p.add_(step * torch.randn(p.shape, generator=generator, dtype=p.dtype))
        after = costs()
        for p, old in zip(vae.encoder.parameters(), kept, strict=True):
            p.copy_(old)
    return int((before != after).sum())


def gan_rows(
    model: BigramGAN,
    *,
    cost: str,
    temperature: float,
    samples: int,
    repeats: int,
    seed: int,
    tell: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """The bigram GAN's generator under every estimator that its discriminator serves.

    Args:
        model: both players.
        cost: the generator's.
        temperature: of relaxed words.
        samples: sentences of one estimate.
        repeats: estimates of each estimator.
        seed: of the noise.
        tell: called with each estimator's name before it is measured.
    """
    pairs = model.config.discriminator == "table" and model.config.judges == "pairs"
    target = (
        _gradient(lambda: exact_cost(model, cost=cost), model.generator)[0]
        if pairs
        else _reference(model, cost=cost, samples=samples, seed=seed)
    )
    rows, index = [], torch.arange(samples)
    for number, name in enumerate(each for each in ESTIMATORS if pairs or each not in NEEDS_PAIRS):
        tell(name)

        def loss(r: int, name: str = name, number: int = number) -> Tensor:
            def noise(shape: tuple[int, ...], stream: int) -> Tensor:
                return uniform(index, seed=seed + 1000 * (number + 1) + r, shape=shape, stream=stream)[0]

            return generator_loss(model, noise, estimator=name, cost=cost, temperature=temperature)[0]

        certain = name in ("exact", "inverse_cdf")
        found, ms = _repeated(loss, model.generator, 1 if certain else repeats)
        remark = {
            "inverse_cdf": "autograd: None; the words are a step function of the tables (T13)",
            "exact": "every sentence, by dynamic programming",
            "boundary": "needs every word's cost to go",
        }.get(name, f"temperature {temperature:g}" if name in TEMPERED else "")
        rows.append(Row("bigram GAN", name, "generator", measure_gradient(found, target), ms, remark))
    return rows


def _reference(model: BigramGAN, *, cost: str, samples: int, seed: int, rounds: int = 200) -> Tensor:
    """Where the exact gradient cannot be had: leave-one-out over many sentences."""
    total = torch.zeros(sum(p.numel() for p in model.generator.parameters()), dtype=torch.float64)
    for r in range(rounds):

        def noise(shape: tuple[int, ...], stream: int, r: int = r) -> Tensor:
            return uniform(torch.arange(samples), seed=seed + r, shape=shape, stream=stream)[0]

        loss, _ = generator_loss(model, noise, estimator="leave_one_out", cost=cost)
        total += _gradient(lambda loss=loss: loss, model.generator)[0] / rounds  # type: ignore[misc]
    return total


def _gradient(loss: Callable[[], Tensor], of: torch.nn.Module) -> tuple[Tensor, bool]:
    """The gradient as one vector, and whether autograd gave None for all of it."""
    parameters = list(of.parameters())
    value = loss()
    if not value.requires_grad:
        return torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float64), True
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    flat = [
        (torch.zeros_like(p) if g is None else g).flatten().double() for p, g in zip(parameters, found, strict=True)
    ]
    return torch.cat(flat), all(g is None for g in found)


def _repeated(loss: Callable[[int], Tensor], of: torch.nn.Module, repeats: int) -> tuple[Tensor, float]:
    """Estimates [R, n] and the median milliseconds of one."""
    found, seconds = [], []
    for r in range(repeats):
        started = time.perf_counter()
        found.append(_gradient(lambda r=r: loss(r), of)[0])  # type: ignore[misc]
        seconds.append(time.perf_counter() - started)
    return torch.stack(found), 1e3 * sorted(seconds)[len(seconds) // 2]


def _normal(draws: int, count: int, seed: int, r: int) -> Tensor:
    """Standard normal noise [S, B, 1] of one estimate."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + r)
    return torch.randn(draws, count, 1, generator=generator, dtype=torch.float64)
