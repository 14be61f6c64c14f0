"""arithmetic: sentences moved in z by the difference of two classes, or of two sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from textlatent.models import SentenceVAE
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.posterior import with_posterior

SCALES = (0.0, 0.5, 1.0, 1.5, 2.0)
MEMBERS = 1000


@dataclass(frozen=True)
class Arithmetic:
    """Sentences, and what they become.

    Attributes:
        direction: what was added, in words.
        length: its Euclidean length, in the prior's standard deviations.
        originals: the sentences.
        scales: how much of the direction was added.
        sentences: for each original, one sentence decoded at each scale.
    """

    direction: str
    length: float
    originals: list[str]
    scales: list[float]
    sentences: list[list[str]]


def shifted(mean: Float[Tensor, "N D"], direction: Float[Tensor, " D"], scales: Sequence[float]) -> Tensor:
    """Mean + scale * direction, [N, scales, D]."""
    return mean[:, None] + torch.tensor(scales, dtype=mean.dtype)[:, None] * direction


@by_kind
def arithmetic(
    run: Run | str | Path,
    sentences: Sequence[str],
    *,
    plus: str,
    minus: str,
    scales: Sequence[float] = SCALES,
    members: int = MEMBERS,
    checkpoint: str = "final",
    **generation: Any,
) -> Arithmetic:
    """Sentences decoded from mean(y) + scale * (mean of `plus` - mean of `minus`).

    `plus` and `minus` are two labels of the run's corpus, each standing for the mean of its training sentences'
    posterior means; or else two sentences, each standing for its own.

    Args:
        run: a Run or its folder.
        sentences: what to move.
        plus: a label, or a sentence.
        minus: a label, or a sentence.
        scales: how much of the difference to add; 0 is the reconstruction.
        members: at most so many training sentences of a label, drawn by the recipe's seed.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings; greedy if none.

    Raises:
        ValueError: a label beside something that is none, no scale, no sentence, or a model without z or of codes.
    """
    run = run if isinstance(run, Run) else Run(run)
    model = with_posterior(run.model_at(checkpoint), what="arithmetic")
    if not model.config.latent_size:
        raise ValueError(f"{run.folder} is a language model: it has no z to calculate with.")
    if not scales:
        raise ValueError("give at least one scale; 1 adds the whole difference.")
    mean, words = _direction(run, model, plus, minus, members)
    z = shifted(model.encode(list(sentences)).mean, mean, scales)
    texts = model.decode(z.flatten(0, 1), **generation)
    rows = [texts[start : start + len(scales)] for start in range(0, len(texts), len(scales))]
    with torch.no_grad():
        length = torch.linalg.vector_norm(mean / model.prior_distribution().std).item()
    return Arithmetic(words, length, list(sentences), list(scales), rows)


def _direction(run: Run, model: SentenceVAE, plus: str, minus: str, members: int) -> tuple[Tensor, str]:
    """The difference, [D], and what it is in words."""
    names: list[str] = run.corpus_card["labels"]
    labels = [end for end in (plus, minus) if end in names]
    if len(labels) == 1:
        other = minus if labels == [plus] else plus
        raise ValueError(
            f"{labels[0]!r} is a label and {other!r} is none; give two labels ({', '.join(names)}) or two sentences."
        )
    if not labels:
        ends = model.encode([plus, minus]).mean
        return ends[0] - ends[1], f"{plus!r} - {minus!r}"
    encoded = run.split("train")
    means, words = [], []
    for name in (plus, minus):
        rows = (encoded.label == names.index(name)).nonzero().squeeze(1)
        if not len(rows):
            raise ValueError(f"no training sentence is left with the label {name!r}; use another.")
        rows = rows[choose(len(rows), members, run.recipe.seed)]
        means.append(model.encode(encoded.texts(rows)).mean.mean(0))
        words.append(f"mean of {len(rows):,} sentences of {name}")
    return means[0] - means[1], " - ".join(words)
