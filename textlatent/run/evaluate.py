"""evaluate: a run and some sentences -> the ledger, each number with its standard error."""

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
from textlatent.diagnostics.ledger import build_ledger
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.codes import alphabet_of, marginals
from textlatent.run.environment import versions
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.recipes import locate
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text, writing
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.evaluate import posteriors
from textlatent.training.launch import launch


@by_kind
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
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """The ledger of a run on a split or a text file; written to ledger.json and scores.safetensors beside it.

    Args:
        run: a Run or its folder.
        split: train, valid or test; the recipe's evaluation.split if not given.
        text: a file of sentences instead of a split; its ledger is ledger-NAME.json.
        samples: importance samples K per sentence; the recipe's if not given.
        sentences: how many sentences, drawn by data.split_seed; the recipe's if not given.
        mixture: splits whose posteriors enlarge the mixture of the information bounds, so that a rate near ln N can be
            told apart; of the split that is evaluated, the sentences that are not.
        checkpoint: "final", "best" or "step-N".
        precision: "fp32" or "bf16"; the recipe's if not given.
        accelerator: shares the work among its processes; those this one was launched with if not given.
        progress: called with {"event": "progress", "done", "total"}, at the end with a note for whatever was left out
            and with {"event": "ledger", "ledger"}.

    Raises:
        ValueError: no such split or checkpoint, a fault in the text, fewer than one sample or sentence, or a mixture of
            nothing.
    """
    run = run if isinstance(run, Run) else Run(run)
    section = run.recipe.evaluation
    name = str(text) if text is not None else split or section.split
    encoded = run.text(text) if text is not None else run.split(name)
    wanted = section.sentences if sentences is None and text is None else sentences
    positions = choose(len(encoded), wanted, run.recipe.data.split_seed)
    accelerator = accelerator or launch()
    model = run.model_at(checkpoint).to(accelerator.device)
    settings: dict[str, Any] = {
        "accelerator": accelerator,
        "tokens_per_batch": section.tokens_per_batch,
        "precision": precision or section.precision,
        "pad_id": run.tokenizer.pad_token_id,
        "progress": progress,
    }
    others = {other: _others(run, other, name, positions, model=model, **settings) for other in dict.fromkeys(mixture)}
    draws = section.samples if samples is None else samples
    alike = model.deterministic  # one draw says what all would
    scores = evaluate_split(
        model,
        encoded,
        positions=positions,
        samples=min(draws, 1) if alike else draws,
        seed=run.recipe.seed,
        **settings,
    )
    scores = _repeated(scores, draws) if alike else scores
    scores = replace(scores, log_marginal=marginals(model, encoded, positions=positions, **settings))
    context = _context(run, name, text, checkpoint=checkpoint, model=model, notes=encoded.notes)
    if others:
        context["mixture"] = {other: len(found.mean) for other, found in others.items()}
    exact_nll, exact_entropy = _exact(run, encoded, positions) if text is None else (None, None)
    ledger = build_ledger(
        scores,
        ladder=section.ladder,
        exact_nll=exact_nll,
        exact_entropy=exact_entropy,
        others=_together(list(others.values())),
        alphabet=alphabet_of(run.recipe),
        context=context,
    )
    if accelerator.is_main_process:
        _keep(
            run,
            scores,
            ledger,
            suffix="" if text is None and name == section.split else f"-{Path(name).stem}",
            about=context,
        )
        if progress is not None:
            for note in encoded.notes:
                progress({"event": "note", "text": note})
            progress({"event": "ledger", "ledger": ledger})
    return ledger


def _context(
    run: Run, name: str, text: str | Path | None, *, checkpoint: str, model: Any, notes: list[str]
) -> dict[str, Any]:
    """What a ledger says of where its numbers come from."""
    context = {
        "split": name,
        "corpus": _source(run, text),
        "model": {"run": str(run.folder), "checkpoint": checkpoint, "type": model.config.model_type},
        "seed": run.recipe.seed,
        "versions": versions(),
        "notes": notes,
    }
    if model.config.latent_size and not any("encoder" in stage.learn for stage in run.recipe.stages):
        context["encoder"] = "held"  # prior and decoder were fitted to it (THEORY T6b)
    return context


def _keep(run: Run, scores: Scores, ledger: dict[str, Any], *, suffix: str, about: dict[str, Any]) -> None:
    """ledger.json and scores.safetensors, under the names a split or text file gives them."""
    with writing(run.folder / f"ledger{suffix}.json"):
        temporary = run.folder / ".scores.writing"
        scores.save(temporary, about=about)
        temporary.replace(run.folder / f"scores{suffix}.safetensors")
        write_text(run.folder / f"ledger{suffix}.json", json.dumps(ledger, indent=1))


def _repeated(scores: Scores, draws: int) -> Scores:
    """The one draw as so many: what every further draw would be where z is a function of y, or is not there."""
    rows = {name: getattr(scores, name) for name in ("log_p_enc", "log_p_pri", "log_p_dec")}
    return replace(scores, **{name: None if row is None else row.repeat(draws, 1) for name, row in rows.items()})


def _others(run: Run, other: str, name: str, positions: Tensor, *, model: Any, **settings: Any) -> DiagonalGaussian:
    """Posteriors of a split's sentences, without those that are evaluated.

    Raises:
        ValueError: there are none, or the model has no z.
    """
    if not run.recipe.model.latent_size:
        raise ValueError("a language model has no posteriors to make a mixture of; leave mixture empty.")
    if model.deterministic:
        raise ValueError("mixture: a deterministic encoder has no posteriors' densities to mix; leave it empty.")
    encoded = run.split(other)
    rest = torch.arange(len(encoded))
    if other == name:
        rest = rest[~torch.isin(rest, positions)]
    if not len(rest):
        raise ValueError(f"mixture: every sentence of {other} is evaluated already; name another split.")
    return posteriors(model, encoded, positions=rest, **settings)


def _together(parts: list[DiagonalGaussian]) -> DiagonalGaussian | None:
    """All of them as one, None of none."""
    if not parts:
        return None
    return DiagonalGaussian(torch.cat([part.mean for part in parts]), torch.cat([part.log_variance for part in parts]))


def _source(run: Run, text: str | Path | None) -> dict[str, str]:
    """What was scored: the run's corpus, or a file; path and sha256."""
    if text is None:
        return {key: run.corpus_card[key] for key in ("path", "sha256")}
    return {"path": str(text), "sha256": hashlib.sha256(Path(text).read_bytes()).hexdigest()}


def choose(count: int, wanted: int | None, seed: int) -> Tensor:
    """Positions of `wanted` of `count` sentences, drawn by the seed, in the split's order; all where none are named."""
    if wanted is not None and wanted < 1:
        raise ValueError(f"at least one sentence must be asked for, got {wanted}.")
    if wanted is None or wanted >= count:
        return torch.arange(count)
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(count, generator=generator)[:wanted].sort().values


def _exact(run: Run, split: EncodedSplit, positions: Tensor) -> tuple[Tensor | None, float | None]:
    """-ln P(y) of each sentence and H(y), nats, where the corpus was drawn from a language that is known."""
    data = run.recipe.data
    source = data.path or data.train
    language = language_of(locate(str(source))) if source else None
    if language is None:
        return None, None
    exact = [-language.log_probability(text) for text in split.texts(positions)]
    return torch.tensor(exact, dtype=torch.float64), language.entropy()
