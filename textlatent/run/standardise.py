"""standardise: the same model with its learned prior turned into N(0, I) (THEORY T5)."""

from pathlib import Path

from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind


@by_kind
def standardise(run: Run | str | Path, output: str | Path, *, checkpoint: str = "final") -> Path:
    """The folder in which the standardised model was saved: the same nats and logits, with a standard normal prior.

    Args:
        run: a Run or its folder.
        output: where to save it.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: something stands there, or the prior is standard already.
    """
    run = run if isinstance(run, Run) else Run(run)
    output = Path(output)
    if output.exists():
        raise ValueError(f"{output} exists already; name a folder that does not.")
    run.model_at(checkpoint).standardise().save_pretrained(output)
    return output
