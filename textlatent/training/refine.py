"""Posteriors refined sentence by sentence: what the encoder left on the table for having to serve them all at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from jaxtyping import Int
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.noise import LATENT, REFINEMENT, normal
from textlatent.scores import Scores
from textlatent.training.evaluate import Batch, Progress, arithmetic, counter, over_batches

STEPS, LEARNING_RATE, SAMPLES, HELD = 20, 0.1, 4, 8
_HELD_FROM = 1 << 24  # the number of the first held draw: no step comes there


def refine_posteriors(
    model: Any,
    split: EncodedSplit,
    *,
    positions: Int[Tensor, " n"] | None = None,
    accelerator: Accelerator | None = None,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    samples: int = SAMPLES,
    held: int = HELD,
    seed: int = 0,
    tokens_per_batch: int = 8192,
    precision: str = "fp32",
    pad_id: int = 0,
    progress: Progress | None = None,
) -> Scores:
    """Scores of every sentence under a posterior of its own, refined from the encoder's by gradient steps on -ELBO.

    Mean and log-variance of each sentence move alone, decoder and prior held, by Adam in units of the encoder's own
    deviation (mean = mean_0 + sigma_0 a, log-variance = log-variance_0 + b), its step size falling to 0. Each step has
    draws of its own, functions of (seed, sentence, step). The refined posterior is kept only where held draws find its
    -ELBO lower than the encoder's on the same draws; the Scores are then made with the draws that `evaluate` makes, on
    which nothing was chosen. -ELBO of the encoder's Scores less that of these is the amortisation gap, as far as so
    many steps close it.

    Args:
        model: has `posterior`, `prior_distribution` and `log_prob_token`.
        split: the sentences.
        positions: which of them; all if not given.
        accelerator: shares batches among its processes; every process gets the whole record.
        steps: gradient steps for each sentence.
        learning_rate: of Adam, in deviations of the encoder's posterior.
        samples: draws of z in each step.
        held: draws on which the two posteriors are compared.
        seed: of the draws.
        tokens_per_batch: padded tokens x samples in one step; the held draws, without a gradient, take held / samples
            times as many.
        precision: "fp32" (as the weights are) or "bf16".
        pad_id: of the tokenizer.
        progress: called with {"event": "progress", "done", "total"} in sentences.

    Raises:
        ValueError: no sentences, no draws, a negative number of steps, or a model without z.

    Source: Kim et al. 2018, arXiv:1802.02550 (SVI from an encoder's start); Cremer et al. 2018, arXiv:1801.03558
    (the amortisation gap). They step by plain gradients; a -ELBO's curvature differs between dimensions by orders.
    """
    if samples < 1 or held < 1 or steps < 0:
        raise ValueError(f"samples and held must be >= 1 and steps >= 0, got {samples}, {held} and {steps}.")
    wanted = torch.arange(len(split)) if positions is None else positions
    tell = counter(progress, len(wanted), accelerator, what="refining")

    def score(batch: Batch, rows: Tensor) -> Scores:
        sentences = _Sentences(model, batch, seed, precision)
        start = sentences.encoded()
        if not start.mean.shape[1]:
            raise ValueError("a language model has no z, and so no posterior to refine.")
        refined = _descend(sentences, start, steps=steps, learning_rate=learning_rate, samples=samples)
        better = sentences.held(refined, held) < sentences.held(start, held)
        kept = DiagonalGaussian(
            torch.where(better[:, None], refined.mean, start.mean),
            torch.where(better[:, None], refined.log_variance, start.log_variance),
        )
        tell(len(rows))
        return sentences.scores(kept).to("cpu")

    with _held_weights(model):
        return over_batches(
            model,
            split,
            wanted,
            score,
            accelerator=accelerator,
            tokens=max(1, tokens_per_batch // samples),
            pad_id=pad_id,
        )


def _descend(
    sentences: "_Sentences", start: DiagonalGaussian, *, steps: int, learning_rate: float, samples: int
) -> DiagonalGaussian:
    """Each sentence's posterior after so many steps: a sum over sentences, so that each has its own gradient."""
    moved = [torch.zeros_like(start.mean, requires_grad=True) for _ in range(2)]

    def posterior() -> DiagonalGaussian:
        return DiagonalGaussian(start.mean + start.std * moved[0], start.log_variance + moved[1])

    optimizer = torch.optim.Adam(moved, lr=learning_rate)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * (1.0 - step / steps)
        with torch.enable_grad():
            loss = sentences.neg_elbo(posterior(), samples, first=step * samples, stream=REFINEMENT).sum()
            moved[0].grad, moved[1].grad = torch.autograd.grad(loss, moved)
        optimizer.step()
    with torch.no_grad():
        return posterior()


class _Sentences:
    """A batch, and what model and noise say of it under any posteriors."""

    def __init__(self, model: Any, batch: Batch, seed: int, precision: str) -> None:
        self.model = model
        self.batch = batch
        self.seed = seed
        self.precision = precision
        self.prior = model.prior_distribution()

    def encoded(self) -> DiagonalGaussian:
        with torch.no_grad(), arithmetic(self.batch, self.precision):
            return self.model.posterior(self.batch["tokens"], self.batch["lengths"])

    def draws(self, posterior: DiagonalGaussian, samples: int, *, first: int, stream: int) -> Tensor:
        """z, [S, B, D]."""
        noise = normal(
            self.batch["index"], seed=self.seed, shape=posterior.mean.shape[1:], stream=stream, samples=samples,
            first_sample=first,
        )  # fmt: skip
        return posterior.sample(noise.to(posterior.mean))

    def per_token(self, z: Tensor) -> Tensor:
        """Ln P_dec of each token, [S, B, T]."""
        count = len(z)
        tokens, lengths = (x.repeat(count, *(1,) * (x.ndim - 1)) for x in (self.batch["tokens"], self.batch["lengths"]))
        with arithmetic(self.batch, self.precision):
            return self.model.log_prob_token(tokens, lengths, z.flatten(0, 1)).view(count, *self.batch["tokens"].shape)

    def neg_elbo(self, posterior: DiagonalGaussian, samples: int, *, first: int, stream: int) -> Tensor:
        """Rate + distortion of each sentence, nats, [B]."""
        z = self.draws(posterior, samples, first=first, stream=stream)
        distortion = -self.per_token(z).sum(-1, dtype=torch.float64).mean(0)
        exact, prior = posterior.double(), self.prior.double()
        if isinstance(prior, DiagonalGaussian):
            return kl_per_dimension(exact, prior).sum(-1) + distortion
        return (exact.log_prob(z.double()) - prior.log_prob(z.double())).mean(0) + distortion

    @torch.no_grad()
    def held(self, posterior: DiagonalGaussian, count: int) -> Tensor:
        """-ELBO on the held draws, [B]."""
        return self.neg_elbo(posterior, count, first=_HELD_FROM, stream=REFINEMENT)

    @torch.no_grad()
    def scores(self, posterior: DiagonalGaussian) -> Scores:
        """What `evaluate` would say, had the encoder given this posterior."""
        z = self.draws(posterior, 1, first=0, stream=LATENT)
        dec, exact, prior = self.per_token(z), posterior.double(), self.prior.double()
        gaussian = self.prior if isinstance(self.prior, DiagonalGaussian) else None
        counts = {name: self.batch[name] for name in ("words", "characters", "index", "label")}
        return Scores(
            log_p_enc=exact.log_prob(z.double()),
            log_p_pri=prior.log_prob(z.double()),
            log_p_dec=dec.sum(-1, dtype=torch.float64),
            kl=None if gaussian is None else kl_per_dimension(exact, gaussian.double()),
            z=z,
            log_p_dec_token=dec[0],
            posterior_mean=posterior.mean,
            posterior_log_variance=posterior.log_variance,
            prior_mean=None if gaussian is None else gaussian.mean,
            prior_log_variance=None if gaussian is None else gaussian.log_variance,
            tokens=self.batch["lengths"],
            **counts,
        )


@contextmanager
def _held_weights(model: Any) -> Iterator[None]:
    """Gradients reach the posteriors alone meanwhile."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
