"""encode: a file of sentences -> their posteriors, as .safetensors or .npy."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.training.checkpoint import writing


@by_kind
def encode(run: Run | str | Path, file: str | Path, output: str | Path, *, checkpoint: str = "final") -> dict[str, Any]:
    """What was written: {"sentences", "latent_size", "output", "notes"}.

    .safetensors holds `mean` and `log_variance`, float32 [N, D]; .npy holds the means alone.

    Args:
        run: a Run or its folder.
        file: sentences, one a line, or a file with a column as in the recipe.
        output: NAME.safetensors or NAME.npy.
        checkpoint: "final", "best" or "step-N".

    Raises:
        ValueError: another ending, or a fault in the file.
    """
    run = run if isinstance(run, Run) else Run(run)
    output = Path(output)
    if output.suffix not in (".safetensors", ".npy"):
        raise ValueError(f"the output must end in .safetensors or .npy, got {output}.")
    split = run.text(file)
    posterior = run.model_at(checkpoint).encode(split.texts(range(len(split))))
    mean, log_variance = posterior.mean.numpy(), posterior.log_variance.numpy()
    with writing(output):
        if output.suffix == ".npy":
            np.save(output, mean, allow_pickle=False)
        else:
            save_file({"mean": mean, "log_variance": log_variance}, str(output))
    return {"sentences": len(split), "latent_size": mean.shape[1], "output": str(output), "notes": split.notes}
