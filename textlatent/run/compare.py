"""compare: finished runs side by side on the sentences they share, those of one recipe gathered over their seeds."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textlatent.corpus.tokenizer import tokenizer_sha256
from textlatent.diagnostics.comparison import Comparison, Member, compare_members, what_differs
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.section import AnyRecipe
from textlatent.run.build import SPLITS
from textlatent.run.folder import Run
from textlatent.scores import Scores

# What leaves a run the same model in all but its noise: it is written down, logged and kept otherwise.
_OF_NO_WEIGHT = ("log_every", "sample_every", "save_every", "keep_checkpoints", "trackers", "threads", "deterministic")


def compare(runs: Sequence[Run | str | Path], *, reference: int = 0, split: str | None = None) -> Comparison:
    """Rate, distortion, -ELBO and NLL of runs, and their paired differences from one of them, nats per sentence.

    Nothing is computed anew: the Scores that each run's last evaluation wrote are read. NLL is -ln P(y) where it was
    summed over every z, IW-NLL elsewhere.

    Args:
        runs: two or more, or their folders; those that differ in the seed alone share a row.
        reference: the position of the run the others are compared with.
        split: train, valid or test, or the name (without ending) of a text file that all were evaluated on; the
            reference's evaluation.split if not given.

    Raises:
        ValueError: a run has not been evaluated, or not on the same sentences with the same K; the message holds the
            command that mends it.
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    folders = [run.folder.resolve() for run in opened]
    if twice := [str(folder) for i, folder in enumerate(folders) if folder in folders[:i]]:
        raise ValueError(f"{twice[0]} is given twice; a comparison needs runs that differ.")
    if len(opened) < 2:
        raise ValueError(f"a comparison needs two or more runs, got {len(opened)}.")
    if not 0 <= reference < len(opened):
        raise ValueError(f"reference must be one of the {len(opened)} runs, 0 the first, got {reference}.")
    split = split or opened[reference].recipe.evaluation.split
    names = _names(opened)
    members = [_member(run, name, split) for run, name in zip(opened, names, strict=True)]
    _check(opened, members, reference, split)
    keys = [_without_seed(run.recipe) for run in opened]
    groups = {key: [m for m, k in zip(members, keys, strict=True) if k == key] for key in dict.fromkeys(keys)}
    rows = {key: _row_name([member.name for member in group]) for key, group in groups.items()}
    if len(set(rows.values())) < len(rows):
        rows = {key: group[0].name for key, group in groups.items()}
    named = {rows[key]: group for key, group in groups.items()}
    return compare_members(named, reference=rows[keys[reference]], split=split, notes=_notes(opened))


def _member(run: Run, name: str, split: str) -> Member:
    """What the run's last evaluation on the split left.

    Raises:
        ValueError: there was none.
    """
    suffix = "" if run.recipe.evaluation.split == split else f"-{split}"
    scores, ledger = run.folder / f"scores{suffix}.safetensors", run.folder / f"ledger{suffix}.json"
    if not (scores.exists() and ledger.exists()):
        raise ValueError(f"{run.folder} has no evaluation on {split}; run `{_evaluate(run, split)}`.")
    diagnosis = run.folder / "diagnosis.json"
    seconds = [event["seconds"] for event in run.metrics if event["event"] == "log"]
    return Member(
        name=name,
        seed=run.recipe.seed,
        scores=Scores.load(scores)[0],
        ledger=json.loads(ledger.read_text()),
        verdict=json.loads(diagnosis.read_text())["overall"] if diagnosis.exists() else None,
        minutes=seconds[-1] / 60 if seconds else None,
    )


def _evaluate(run: Run, split: str) -> str:
    """The command that evaluates a run on a split, or on the file whose name is `split`."""
    source = f"--split {split}" if split in SPLITS else f"--text FILE (the one called {split})"
    return f"textlatent evaluate {run.folder} {source}"


def _check(runs: Sequence[Run], members: Sequence[Member], reference: int, split: str) -> None:
    """All were scored on the same sentences of the same corpus, with the same K.

    Raises:
        ValueError: one was not.
    """
    first = members[reference]
    for run, member in zip(runs, members, strict=True):
        here, there = (each.ledger["corpus"]["sha256"] for each in (first, member))
        if here != there:
            raise ValueError(
                f"{first.name} and {member.name} cannot be compared: their corpora differ (sha256 {here[:12]} and "
                f"{there[:12]}). Evaluate both on one file, `textlatent evaluate RUN --text NAME.txt`, and compare "
                "them with --split NAME."
            )
        if (reason := what_differs(first.scores, member.scores)) is not None:
            more = f" --samples {first.scores.need('log_p_dec').shape[0]}"
            if split in SPLITS:  # all of them: a part is drawn by data.split_seed, which may differ
                more += f" --sentences {run.corpus_card['sentences'][split]}"
            both = dict.fromkeys(f"`{_evaluate(each, split)}{more}`" for each in (runs[reference], run))
            raise ValueError(f"{first.name} and {member.name} cannot be compared: {reason}. Run {' and '.join(both)}.")


def _without_seed(recipe: AnyRecipe) -> str:
    """What runs of one recipe over several seeds have in common."""
    bare: dict[str, Any] = {"name": "run", "seed": 0, "out": ""}
    for section in ("evaluation", "training", "em"):
        if (found := getattr(recipe, section, None)) is not None:
            fields = type(found).model_fields
            names = fields if section == "evaluation" else [name for name in _OF_NO_WEIGHT if name in fields]
            plain = {name: fields[name].get_default(call_default_factory=True) for name in names}
            bare[section] = found.model_copy(update=plain)
    return dump_recipe(recipe.model_copy(update=bare))


def _names(runs: Sequence[Run]) -> list[str]:
    """The runs' own names, or their folders where two have the same."""
    names = [run.recipe.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def _row_name(names: Sequence[str]) -> str:
    """What the names of a group begin with, less what tells of seeds: rate-2 of rate-2-seed-0 and rate-2-seed-1."""
    if len(names) == 1:
        return names[0]
    shared = re.sub(r"[-_./]*(seed|s)?[-_./]*$", "", os.path.commonprefix(list(names)))
    return shared or f"{names[0]} and {len(names) - 1} more"


def _notes(runs: Sequence[Run]) -> list[str]:
    """Nats of sentences compare across tokenizers only where none of them maps words to the unknown token."""
    if len({tokenizer_sha256(run.tokenizer) for run in runs}) == 1:
        return []
    return ["The runs' tokenizers differ: an unknown word costs few nats in a small vocabulary, so compare with care."]
