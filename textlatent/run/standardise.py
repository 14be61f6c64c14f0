"""standardise: the same model with its learned prior turned into N(0, I) (THEORY T5)."""

from pathlib import Path

from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.posterior import with_posterior


@by_kind
def standardise(run: Run | str | Path, output: str | Path, *, checkpoint: str = "final") -> Path:
    """The folder in which the standardised model was saved: the same nats and logits, with a standard normal prior.

    Args:
        run: a Run or its folder.
        output: where to save it.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: something stands there, the prior is standard already, or the model's z are codes.
    """
    run = run if isinstance(run, Run) else Run(run)
    output = Path(output)
    if output.exists():
        raise ValueError(f"{output} exists already; name a folder that does not.")
    with_posterior(run.model_at(checkpoint), what="standardise").standardise().save_pretrained(output)
    return output
