"""neighbours: the sentences of a split whose z lies nearest to a sentence's."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.encoder.codes import SentenceCodes
from textlatent.models import Autoencoder, SentenceAutoencoder
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension, standardise
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.posterior import with_posterior

UNITS = {
    "mean": "between means, prior standard deviations",
    "kl": "symmetric KL, nats",
    "codes": "positions that differ",
    "vectors": "between the codes' vectors, in their own unit",
    "points": "between points, in their own unit",
}
"""What each distance is counted in."""

GAUSSIAN, CODES, POINTS = ("mean", "kl"), ("codes", "vectors"), ("points",)
"""The distances there are between posteriors, between codes and between points, the usual one first."""


@dataclass(frozen=True)
class Neighbour:
    """A sentence near another.

    Attributes:
        distance: how far away.
        sentence: as it stands in the split.
        row: its line in its file, from 1.
        label: its label's name; None where there are no labels.
        unit: the distance's, one of `UNITS`.
    """

    distance: float
    sentence: str
    row: int
    label: str | None
    unit: str = UNITS["mean"]


def distances(one: DiagonalGaussian, others: DiagonalGaussian, *, distance: str = "mean") -> Float[Tensor, " N"]:
    """From one posterior, [D], to each of the others, [N, D].

    "mean": Euclidean, between the means, in the coordinates' unit. "kl": KL(a || b) + KL(b || a), nats, which a
    posterior's width enters too: the same step in z counts for less where posteriors are wide.

    Raises:
        ValueError: another distance.

    Source: Jeffreys 1946 (the symmetric divergence); THEORY T5.
    """
    if distance not in GAUSSIAN:
        raise ValueError(f"distance must be one of {', '.join(GAUSSIAN)}, got {distance!r}.")
    if distance == "mean":
        return torch.linalg.vector_norm(others.mean.double() - one.mean.double(), dim=1)
    one, others = one.double(), others.double()
    return (kl_per_dimension(one, others) + kl_per_dimension(others, one)).sum(1)


def code_distances(one: SentenceCodes, others: SentenceCodes, *, distance: str = "codes") -> Float[Tensor, " N"]:
    """From the codes of one sentence to those of N others.

    "codes": positions at which they differ (Hamming's distance). "vectors": Euclidean, between the codes' vectors.

    Raises:
        ValueError: another distance.
    """
    if distance not in CODES:
        raise ValueError(f"distance must be one of {', '.join(CODES)} where z are codes, got {distance!r}.")
    if distance == "codes":
        return (others.codes != one.codes).sum(1).double()
    return torch.linalg.vector_norm(others.mean.double() - one.mean.double(), dim=1)


def nearest(distance: Float[Tensor, " N"], count: int) -> Int[Tensor, " n"]:
    """The places of the `count` smallest distances, nearest first, the earlier of two equal ones first."""
    return distance.argsort(stable=True)[:count]


@by_kind
def neighbours(
    run: Run | str | Path,
    sentence: str,
    *,
    count: int = 5,
    split: str = "train",
    distance: str | None = None,
    checkpoint: str = "final",
) -> list[Neighbour]:
    """The sentences of a split nearest to `sentence` in z, nearest first; a sentence met twice is told once.

    Args:
        run: a Run or its folder.
        sentence: any.
        count: how many.
        split: train, valid or test.
        distance: between posteriors "mean" (the usual one), in the prior's standard deviations, or "kl", symmetric, in
            nats; between codes "codes" (the usual one), positions that differ, or "vectors"; between points "points".
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: another distance, fewer than one neighbour, or a model without z.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    if not model.config.latent_size:
        raise ValueError(f"{run.folder} is a language model: it has no z in which sentences could be near.")
    encoded = run.split(split)
    texts = encoded.texts(range(len(encoded)))
    away, found = _away(model, [sentence, *texts], distance), dict[str, int]()
    for at in nearest(away, len(texts)).tolist():
        if texts[at] not in found:
            found[texts[at]] = at
        if len(found) == count:
            break
    names = run.corpus.label_names
    columns = encoded.dataset[encoded.index[list(found.values())].tolist()]
    labels = [names[i] if i >= 0 else None for i in encoded.label[list(found.values())].tolist()]
    every = zip(found.items(), columns["row"], labels, strict=True)
    unit = UNITS[distance or _usual(model)]
    return [Neighbour(away[at].item(), text, row, label, unit) for (text, at), row, label in every]


def _usual(model: Autoencoder) -> str:
    """The distance that is meant where none is named."""
    if model.quantiser is not None:
        return CODES[0]
    return POINTS[0] if isinstance(model, SentenceAutoencoder) else GAUSSIAN[0]


def _away(model: Autoencoder, sentences: list[str], distance: str | None) -> Float[Tensor, " N"]:
    """From the first sentence to each of the others."""
    if model.quantiser is not None:
        codes: SentenceCodes = model.encode(sentences)
        one, others = codes.select(slice(0, 1)), codes.select(slice(1, None))
        return code_distances(one, others, distance=distance or CODES[0])
    if isinstance(model, SentenceAutoencoder):
        points = model.encode(sentences)
        if distance not in (None, *POINTS):
            raise ValueError(f"distance must be {', '.join(POINTS)} where z are points, got {distance!r}.")
        return torch.linalg.vector_norm(points.mean[1:].double() - points.mean[0].double(), dim=1)
    gaussian = with_posterior(model, what="neighbours")
    with torch.no_grad():
        prior = gaussian.prior_distribution().moments
    posterior = standardise(gaussian.encode(sentences), prior)
    first = DiagonalGaussian(posterior.mean[0], posterior.log_variance[0])
    rest = DiagonalGaussian(posterior.mean[1:], posterior.log_variance[1:])
    return distances(first, rest, distance=distance or GAUSSIAN[0])
