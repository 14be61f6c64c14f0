"""conditions: the same sentences scored under other latents than their own, kept in the run's folder.

own          z ~ P_enc(z|y)                       other       z ~ P_enc(z|y') of another sentence
prior_draw   z ~ P_pri                            prior_mean  z = E_pri z
baseline     no z: the language model in RUN/baseline
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit
from textlatent.corpus.tokenizer import tokenizer_sha256
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.scores import Scores
from textlatent.training.checkpoint import MANIFEST, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.evaluate import evaluate_at
from textlatent.training.launch import launch
from textlatent.training.refine import STEPS, refine_posteriors

NAMES = ("own", "other", "prior_draw", "prior_mean", "refined", "baseline")
QUICK = tuple(name for name in NAMES if name != "refined")
"""All that take one pass over the sentences."""

_NOT_OF = {
    "vq": {
        "prior_mean": "codes have no mean; what lies between them is no code",
        "refined": "a sentence has one code, no posterior that gradient steps could refine",
    },
    "deterministic": {
        **dict.fromkeys(("prior_draw", "prior_mean"), "a plain autoencoder has no prior"),
        "refined": "a point encoder has no posterior",
    },
}
"""Why models of a type have no such condition."""

Progress = Callable[[dict[str, Any]], None]


@by_kind
def conditions(
    run: Run | str | Path,
    *,
    names: Sequence[str] = QUICK,
    sentences: int | None = None,
    split: str | None = None,
    checkpoint: str = "final",
    refine_steps: int = STEPS,
    baseline: str | Path | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
) -> dict[str, Scores]:
    """Scores of the same sentences in the same order under each condition, nats; "own" is always among them.

    Each is kept in RUN/conditions/NAME.safetensors and read again as long as weights, sentences and seed are the same.
    What there is no such latent for is left out, with a note: without z, or with one sentence alone, and "baseline"
    where there is no language model.

    Args:
        run: a Run or its folder.
        names: which conditions.
        sentences: how many, drawn by data.split_seed; the recipe's evaluation.sentences if not given.
        split: train, valid or test; the recipe's evaluation.split if not given.
        checkpoint: "final", "best" or "step-N".
        refine_steps: gradient steps on each posterior under "refined".
        baseline: the folder of a run with model.latent_size 0; RUN/baseline if it is there.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, and with a note for what is left out.

    Raises:
        ValueError: no such condition, split or checkpoint, or a baseline that is no language model of these tokens.
    """
    run = run if isinstance(run, Run) else Run(run)
    if unknown := [name for name in names if name not in NAMES]:
        raise ValueError(f"there is no condition {', '.join(unknown)}; there are {', '.join(NAMES)}.")
    accelerator = accelerator or launch()
    name = split or run.recipe.evaluation.split
    encoded = run.split(name)
    wanted = run.recipe.evaluation.sentences if sentences is None else sentences
    positions = choose(len(encoded), wanted, run.recipe.data.split_seed)
    job = _Job(run, encoded, name, positions, checkpoint, refine_steps, accelerator, progress or (lambda event: None))
    asked = ["own", *(each for each in NAMES if each in names and each != "own" and job.has(each, baseline))]
    about = {each: job.about(each, baseline) for each in asked}
    found = {each: _kept(job.path(each), about[each]) for each in asked}
    accelerator.wait_for_everyone()  # every process has looked before one of them writes
    for each in asked:
        if (scores := found[each]) is None:
            scores = found[each] = job.score(each, found, baseline)
            if accelerator.is_main_process:
                _keep(job.path(each), scores, about[each])
    return {each: scores for each, scores in found.items() if scores is not None}


@dataclass
class _Job:
    """The sentences, and the models they are scored with."""

    run: Run
    split: EncodedSplit
    name: str
    positions: Tensor
    checkpoint: str
    refine_steps: int
    accelerator: Any
    tell: Progress
    model: Any = None

    def path(self, name: str) -> Path:
        return self.run.folder / "conditions" / f"{name}.safetensors"

    def has(self, name: str, baseline: str | Path | None) -> bool:
        """Whether these sentences have such a condition; a note where they have none."""
        if name == "baseline":
            return baseline is not None or finished_baseline(self.run) is not None
        model = self.run.recipe.model
        why = _NOT_OF.get(model.type, {}).get(name)
        if not model.latent_size:
            why = "the model is a language model: it has no z"
        elif name == "other" and len(self.positions) < 2:
            why = "there is no other sentence"
        if why is not None and self.accelerator.is_main_process:
            self.tell({"event": "note", "text": f"no condition {name}: {why}."})
        return why is None

    def about(self, name: str, baseline: str | Path | None) -> dict[str, Any]:
        """All that decides the numbers: a file that says otherwise is stale."""
        said = {
            "condition": name,
            "split": self.name,
            "sentences": len(self.positions),
            "positions_sha256": hashlib.sha256(self.positions.numpy().tobytes()).hexdigest(),
            "corpus_sha256": self.run.corpus_card["sha256"],
            "checkpoint": self.checkpoint,
            "weights_sha256": weights_sha256(self.run, self.checkpoint),
            "seed": self.run.recipe.seed,
            "precision": self.run.recipe.evaluation.precision,
        }
        if name == "refined":
            said["steps"] = self.refine_steps
        if name == "baseline":
            other = Run(baseline) if baseline is not None else finished_baseline(self.run)
            assert other is not None
            said |= {"checkpoint": "final", "weights_sha256": weights_sha256(other, "final")}
        return said

    def settings(self) -> dict[str, Any]:
        evaluation = self.run.recipe.evaluation
        return {
            "positions": self.positions,
            "accelerator": self.accelerator,
            "tokens_per_batch": evaluation.tokens_per_batch,
            "precision": evaluation.precision,
            "pad_id": self.run.tokenizer.pad_token_id,
            "progress": self.tell,
        }

    def score(self, name: str, found: dict[str, Scores | None], baseline: str | Path | None) -> Scores:
        """The sentences under one condition; "own" comes before the others."""
        count, seed = len(self.positions), self.run.recipe.seed
        if name == "baseline":
            model = _language_model(self.run, baseline).to(self.accelerator.device)
            return evaluate_at(model, self.split, torch.zeros(count, 0), **self.settings())
        if self.model is None:
            self.model = self.run.model_at(self.checkpoint).to(self.accelerator.device)
        if name == "own":
            return evaluate_split(self.model, self.split, seed=seed, keep_tokens=True, **self.settings())
        if name == "refined":
            return refine_posteriors(self.model, self.split, seed=seed, steps=self.refine_steps, **self.settings())
        if name == "other":
            own = found["own"]
            assert own is not None
            z = own.need("z")[0][others(count, seed)]
        else:
            z = prior_latents(self.model, self.split.index[self.positions], seed=seed, mean=name == "prior_mean")
        return evaluate_at(self.model, self.split, z, **self.settings())


def others(count: int, seed: int) -> Int[Tensor, " count"]:
    """For each of `count` sentences the position of another one, none twice: one random cycle through all of them."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(-1)
    return other


@torch.no_grad()
def prior_latents(model: Any, index: Int[Tensor, " n"], *, seed: int, mean: bool = False) -> Float[Tensor, "n D"]:
    """A draw of the prior for each sentence, a function of (seed, its index) alone; or the prior's mean for all."""
    if mean:
        return model.prior_distribution().mean.cpu().expand(len(index), -1)
    return model.sample_prior(index, seed=seed).cpu()


def finished_baseline(run: Run) -> Run | None:
    """The language model in RUN/baseline, once it is trained."""
    folder = run.folder / "baseline"
    return Run(folder) if (folder / "final" / "config.json").exists() and (folder / "recipe.yaml").exists() else None


def weights_sha256(run: Run, checkpoint: str) -> str:
    """What identifies the weights of a checkpoint, from the manifest beside them.

    Raises:
        ValueError: there is no such checkpoint.
    """
    named = checkpoint in ("final", "best")
    folder = run.folder / checkpoint if named else run.folder / "checkpoints" / checkpoint
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        run.model_at(checkpoint)  # says what is wrong, and which checkpoints there are
        raise
    weights = {name: digest for name, digest in manifest.items() if name.endswith(".safetensors")}
    return hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()


def _language_model(run: Run, folder: str | Path | None) -> Any:
    """The model without z.

    Raises:
        ValueError: it has a z, or other tokens, so that its nats could not be set beside the run's.
    """
    other = Run(folder) if folder is not None else finished_baseline(run)
    assert other is not None
    model = other.model_at("final")
    if model.config.latent_size:
        raise ValueError(f"{other.folder} is no baseline: its model.latent_size is {model.config.latent_size}, not 0.")
    if tokenizer_sha256(other.tokenizer) != tokenizer_sha256(run.tokenizer):
        raise ValueError(f"{other.folder} is no baseline of {run.folder}: its tokenizer is another.")
    return model


def _kept(path: Path, about: dict[str, Any]) -> Scores | None:
    """The Scores in a file that says the same of itself; None where they must be computed."""
    if not path.exists():
        return None
    try:
        scores, said = Scores.load(path)
    except (SafetensorError, OSError, ValueError):
        return None
    return scores if said == about else None


def _keep(path: Path, scores: Scores, about: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    with writing(path):
        scores.save(temporary, about=about)
        temporary.replace(path)
