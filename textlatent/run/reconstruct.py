"""reconstruct: sentences through z and back, and how much of them came back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textlatent.diagnostics.reconstruction import bleu, token_accuracy
from textlatent.nats.montecarlo import Estimate
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind


@dataclass(frozen=True)
class Reconstruction:
    """Sentences, what came back, and how well.

    Attributes:
        originals: the sentences.
        reconstructions: decoded from the posterior means.
        token_accuracy: share of positions (words, longer of the two sentences) that agree, per sentence.
        bleu: corpus BLEU of sacrebleu, 0 to 100, on the words as they stand.
    """

    originals: list[str]
    reconstructions: list[str]
    token_accuracy: Estimate
    bleu: float


@by_kind
def reconstruct(
    run: Run | str | Path,
    sentences: Sequence[str] | None = None,
    *,
    count: int = 500,
    split: str = "test",
    checkpoint: str = "final",
    **generation: Any,
) -> Reconstruction:
    """Sentences decoded (greedily unless told otherwise) from the means of their own posteriors.

    Args:
        run: a Run or its folder.
        sentences: which; `count` of a split if not given.
        count: how many of the split.
        split: train, valid or test.
        checkpoint: "final", "best" or "step-N".
        generation: transformers' generation settings.

    Raises:
        ValueError: a model without z.
    """
    run = run if isinstance(run, Run) else Run(run)
    model = run.model_at(checkpoint)
    if not model.config.latent_size:
        raise ValueError(f"{run.folder} is a language model: it has no z through which a sentence could come back.")
    if sentences is None:
        encoded = run.split(split)
        originals = encoded.texts(choose(len(encoded), count, run.recipe.seed))
    else:
        originals = list(sentences)
    rebuilt = model.decode(model.encode(originals).mean, **generation)
    return Reconstruction(originals, rebuilt, token_accuracy(originals, rebuilt), bleu(originals, rebuilt))
