"""Train a sentence VAE twice, to a rate named in nats and with beta = 1 from the start, and ask what ails each.

    python examples/train_and_diagnose.py [FOLDER]

About 40 seconds on one core. The first is asked for 3 nats and gets them; the second learns to write without listening
to z, for a nat of rate costs a nat from the first step on.
"""

import sys
import tempfile

from datasets import disable_progress_bars

from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.recipe.load import load_recipe
from textlatent.run import diagnose, find_recipe, sample, train

SHORT = [
    "training.steps=500",
    "training.validate_every=250",
    "training.save_every=500",
    "objective.target_gain=0.02",
    "training.sample_every=0",
    "evaluation.sentences=200",
    "evaluation.samples=16",
    "evaluation.ladder=[1, 16]",
]
PLAIN = ["objective.target_rate=null", "objective.beta_start=null", "objective.beta=1", "training.steps=300"]


def main(folder: str) -> None:
    """Both runs, their ledgers and verdicts."""
    for name, changes in (("asked", []), ("plain", PLAIN)):
        recipe = load_recipe(find_recipe("quickstart"), [f"name={name}", *SHORT, *changes])
        run = train(recipe, out=folder)
        print(f"\n{name}: {run.folder}")
        for row in ledger_rows(run.ledger):
            if row.name in ("rate", "information", "distortion", "-ELBO", "exact entropy"):
                print(f"  {row.name:<14} {row.value:7.3f} {row.unit}")
        found = diagnose(run, refine=False, sentences=200)
        print(f"  verdict: {found.overall}. {found.advice}".rstrip())
        for sentence in sample(run, 3, seed=0):
            print(f"  {sentence}")


if __name__ == "__main__":
    disable_progress_bars()
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(temporary)
