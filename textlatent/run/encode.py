"""encode: a file of sentences -> their posteriors, as .safetensors or .npy."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from textlatent.encoder.codes import SentenceCodes
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.training.checkpoint import writing


@by_kind
def encode(run: Run | str | Path, file: str | Path, output: str | Path, *, checkpoint: str = "final") -> dict[str, Any]:
    """What was written: {"sentences", "latent_size", "output", "notes"}.

    .safetensors holds `mean` and `log_variance`, float32 [N, D]; where z is a function of the sentence, `z` [N, D], and
    of codes the `codes` [N, P] too. .npy holds the means, or z, alone.

    Args:
        run: a Run or its folder.
        file: sentences, one a line, or a file with a column as in the recipe.
        output: NAME.safetensors or NAME.npy.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: another ending, a fault in the file, or a model without z.
    """
    run = run if isinstance(run, Run) else Run(run)
    output = Path(output)
    if output.suffix not in (".safetensors", ".npy"):
        raise ValueError(f"the output must end in .safetensors or .npy, got {output}.")
    model = run.model_at(checkpoint)
    if not model.config.latent_size:
        raise ValueError(f"{run.folder} is a language model: it has no z to write; `textlatent score` gives its nats.")
    split = run.text(file)
    found = model.encode(split.texts(range(len(split))))
    with writing(output):
        if output.suffix == ".npy":
            np.save(output, found.mean.numpy(), allow_pickle=False)
        else:
            save_file(_tensors(found), str(output))
    return {"sentences": len(split), "latent_size": found.mean.shape[1], "output": str(output), "notes": split.notes}


def _tensors(found: Any) -> dict[str, np.ndarray]:
    """What a .safetensors file holds: a posterior's two, or z itself where it is a function of the sentence."""
    if isinstance(found, DiagonalGaussian):
        return {"mean": found.mean.numpy(), "log_variance": found.log_variance.numpy()}
    codes = {"codes": found.codes.numpy()} if isinstance(found, SentenceCodes) else {}
    return {"z": np.ascontiguousarray(found.mean.numpy()), **codes}
