"""evaluate and diagnose, of a run of kind `latent_class`: exact nats, the classes and what they say of the labels."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit
from textlatent.corpus.toy import language_of
from textlatent.diagnostics import verdict
from textlatent.diagnostics.cell import mean_cell
from textlatent.diagnostics.classes import class_label_cell, is_classes
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.use import InferenceGap, nats_lost
from textlatent.diagnostics.verdict import Diagnosis
from textlatent.encoder.amortised import BayesEncoder
from textlatent.nats.montecarlo import mean_with_error
from textlatent.recipe.latent_class import LatentClassRecipe
from textlatent.run.conditions import others
from textlatent.run.environment import versions
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.latent_class_folder import model_at, recipe_of
from textlatent.run.latent_class_words import keep_classes
from textlatent.run.recipes import locate
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.evaluate import evaluate_at
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]
PATHS = "z is a path of states: the aggregate of so many paths has no closed form."


def evaluate(
    run: Run | str | Path,
    *,
    split: str | None = None,
    text: str | Path | None = None,
    samples: int | None = None,
    sentences: int | None = None,
    mixture: Sequence[str] = (),
    checkpoint: str = "final",
    precision: str | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The ledger of a run on a split or a text file; written to ledger.json and scores.safetensors beside it.

    Every number is exact: rate, distortion, -ln P(y), and so the gap, which is 0 but for a taught encoder. `classes`
    is the table of classes by labels, where the corpus has labels.

    Args:
        run: a Run or its folder.
        split: train, valid or test; the recipe's evaluation.split if not given.
        text: a file of sentences instead of a split; its ledger is ledger-NAME.json.
        samples: rows of Scores, all the same: as many as a run has that this one is compared with; 1 if not given.
        sentences: how many sentences, drawn by data.split_seed; the recipe's if not given.
        mixture: none; the information is an exact sum.
        checkpoint: "final", "best" or "step-N".
        precision: "fp32", or None for it: tables are in float64.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, at the end with {"event": "ledger", "ledger"}.

    Raises:
        ValueError: no such split or checkpoint, a fault in the text, or a setting that exact sums have no use for.
    """
    if mixture or precision not in (None, "fp32"):
        raise ValueError("sums over classes are exact and in float64: leave `mixture` and `precision` out.")
    run, recipe = recipe_of(run)
    section = recipe.evaluation
    name = str(text) if text is not None else split or section.split
    encoded = run.text(text) if text is not None else run.split(name)
    wanted = section.sentences if sentences is None and text is None else sentences
    positions = choose(len(encoded), wanted, recipe.data.split_seed)
    accelerator = accelerator or launch()
    scores = _scores(run, recipe, encoded, positions, checkpoint, accelerator, progress)
    exact_nll, exact_entropy = _exact(recipe, encoded, positions) if text is None else (None, None)
    context = {
        "split": name,
        "corpus": _source(run, text),
        "model": {"run": str(run.folder), "checkpoint": checkpoint, "type": "textlatent_latent_class"},
        "method": recipe.method,
        "seed": recipe.seed,
        "versions": versions(),
        "notes": encoded.notes,
    }
    if is_classes(scores) and recipe.data.label is not None and text is None:
        labels = [str(each) for each in run.corpus_card["labels"]]
        context["class_label_nats"] = class_label_cell(
            scores.need("posterior_mean"), scores.need("label"), names=labels
        )
    if samples is not None and samples > 1:
        scores = _repeated(scores, samples)
    ledger = build_ledger(scores, exact_nll=exact_nll, exact_entropy=exact_entropy, context=context)
    entropy = -(scores.rate() + scores.need("log_p_pri")[0])  # of the encoder itself; log_p_enc is Bayes's
    ledger["iw_nll_nats"] |= {"exact": True, "message": "-ln P(y) itself, summed over every z"}
    ledger["posterior_entropy_nats"] = mean_cell(entropy, "")
    ledger["cross_entropy_prior_nats"] = mean_cell(-scores.need("log_p_pri")[0], "")
    if recipe.model.family == "hmm":
        for key in ("information_nats", "mismatch_nats"):
            ledger[key] = {"value": None, "why": PATHS}
    if accelerator.is_main_process:
        suffix = "" if text is None and name == section.split else f"-{Path(name).stem}"
        _keep(run, scores, ledger, suffix=suffix, about=context)
        lines = keep_classes(run, model_at(run, checkpoint), encoded, scores, context.get("class_label_nats"))
        if progress is not None:
            for note in [*encoded.notes, *lines]:
                progress({"event": "note", "text": note})
            progress({"event": "ledger", "ledger": ledger})
    return ledger


def diagnose(
    run: Run | str | Path,
    *,
    sentences: int | None = None,
    split: str | None = None,
    checkpoint: str = "final",
    conditions: bool = True,
    refine: bool = True,
    baseline: str | Path | None = None,
    accelerator: Any | None = None,
    progress: Progress | None = None,
    **thresholds: float,
) -> Diagnosis:
    """The verdict on a run, from its sentences with their own class, another's, a prior draw's and the prior's mixture.

    Of an HMM, whose z is a path, the own posterior alone is looked at. Written to diagnosis.json.

    Args:
        run: a Run or its folder.
        sentences: how many; the recipe's evaluation.sentences if not given.
        split: train, valid or test; the recipe's evaluation.split if not given.
        checkpoint: "final", "best" or "step-N".
        conditions: also with other z than their own.
        refine: also with Bayes's own posterior, which refining a taught encoder's would end at.
        baseline: the folder of a run of one class, on the same tokens, to compare -ELBO with.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}.
        **thresholds: of `diagnostics.checks.Thresholds`.

    Raises:
        ValueError: an unknown threshold, split or checkpoint, or a setting that is not for tables.
    """
    run, recipe = recipe_of(run)
    verdict.read_thresholds(thresholds)  # a wrong name is better known before the sentences are scored
    accelerator = accelerator or launch()
    name = split or recipe.evaluation.split
    encoded = run.split(name)
    positions = choose(len(encoded), sentences or recipe.evaluation.sentences, recipe.data.split_seed)
    own = _scores(run, recipe, encoded, positions, checkpoint, accelerator, progress, keep_tokens=True)
    elsewhere = {}
    if conditions and is_classes(own):
        elsewhere = _elsewhere(run, recipe, encoded, positions, own, checkpoint, accelerator)
    known: dict[str, Any] = {**elsewhere, **thresholds}
    if refine and recipe.method == "amortised":
        known["refined"] = _scores(run, recipe, encoded, positions, checkpoint, accelerator, progress, bayes=True)
    if baseline is not None:
        other, its = recipe_of(baseline)
        known["baseline"] = _scores(other, its, other.split(name), positions, "final", accelerator, progress)
    found = verdict.diagnose(own, **known)
    found = replace(found, inference=_inference(own, known.get("refined")))
    if accelerator.is_main_process:
        about = {
            "split": name,
            "model": {"run": str(run.folder), "checkpoint": checkpoint},
            "nats_lost": {each: _cell(nats_lost(own, scores)) for each, scores in elsewhere.items()},
            "seed": recipe.seed,
            "versions": versions(),
        }
        write_text(run.folder / "diagnosis.json", json.dumps(found.to_dict() | about, indent=1, allow_nan=False))
    return found


def _inference(own: Scores, bayes: Scores | None) -> InferenceGap:
    """The gap to -ln P(y), which is summed over every z; all of it is amortisation where Bayes's posterior ends it."""
    gap = own.neg_elbo() + own.log_weights()[0]
    if bayes is None:
        return InferenceGap(mean_with_error(gap), None, None, None)
    found = own.neg_elbo() - bayes.neg_elbo()
    return InferenceGap(mean_with_error(gap), mean_with_error(found), mean_with_error(gap - found), None)


def _elsewhere(
    run: Run,
    recipe: LatentClassRecipe,
    split: EncodedSplit,
    positions: Tensor,
    own: Scores,
    checkpoint: str,
    accelerator: Any,
) -> dict[str, Scores]:
    """The same sentences under other classes than their own."""
    model, count = model_at(run, checkpoint).to(accelerator.device), len(positions)
    z = {
        "prior_draw": model.sample_prior(split.index[positions], seed=recipe.seed).cpu(),
        "prior_mean": model.prior.log_prob().exp().detach().cpu().expand(count, -1),
    }
    if count > 1:
        z = {"other": own.need("z")[0][others(count, recipe.seed)]} | z
    return {
        name: evaluate_at(
            model,
            split,
            latents,
            positions=positions,
            accelerator=accelerator,
            tokens_per_batch=recipe.evaluation.tokens_per_batch,
            pad_id=run.tokenizer.pad_token_id,
        )
        for name, latents in z.items()
    }


def _scores(
    run: Run,
    recipe: LatentClassRecipe,
    split: EncodedSplit,
    positions: Tensor,
    checkpoint: str,
    accelerator: Any,
    progress: Progress | None,
    *,
    keep_tokens: bool = False,
    bayes: bool = False,
) -> Scores:
    """One row of Scores of these sentences: expectations over z, its posterior the encoder's or Bayes's."""
    model = model_at(run, checkpoint)
    if bayes:
        model.encoder = BayesEncoder()
    return evaluate_split(
        model.to(accelerator.device),
        split,
        positions=positions,
        accelerator=accelerator,
        seed=recipe.seed,
        tokens_per_batch=recipe.evaluation.tokens_per_batch,
        keep_tokens=keep_tokens,
        pad_id=run.tokenizer.pad_token_id,
        progress=progress,
    )


def _repeated(scores: Scores, rows: int) -> Scores:
    names = ("log_p_enc", "log_p_pri", "log_p_dec")
    return replace(scores, **{name: scores.need(name).repeat(rows, 1) for name in names})


def _source(run: Run, text: str | Path | None) -> dict[str, str]:
    if text is None:
        return {key: run.corpus_card[key] for key in ("path", "sha256")}
    return {"path": str(text), "sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}


def _exact(recipe: LatentClassRecipe, split: EncodedSplit, positions: Tensor) -> tuple[Tensor | None, float | None]:
    """-ln P(y) of each sentence and H(y), nats, where the corpus was drawn from a language that is known."""
    source = recipe.data.path or recipe.data.train
    language = language_of(locate(str(source))) if source else None
    if language is None:
        return None, None
    exact = [-language.log_probability(text) for text in split.texts(positions)]
    return torch.tensor(exact, dtype=torch.float64), language.entropy()


def _keep(run: Run, scores: Scores, ledger: dict[str, Any], *, suffix: str, about: dict[str, Any]) -> None:
    """ledger.json and scores.safetensors, under the names a split or text file gives them."""
    with writing(run.folder / f"ledger{suffix}.json"):
        temporary = run.folder / ".scores.writing"
        scores.save(temporary, about=about)
        temporary.replace(run.folder / f"scores{suffix}.safetensors")
        write_text(run.folder / f"ledger{suffix}.json", json.dumps(ledger, indent=1))


def _cell(estimate: Any) -> dict[str, Any]:
    return {"value": estimate.value, "se": None if estimate.se != estimate.se else estimate.se}
