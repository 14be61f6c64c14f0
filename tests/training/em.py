"""EM on a few random sentences, by one process or as a rank of several."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset

from tests.latent_classes import flat, model_of, sentences
from textlatent.corpus.encoding import EncodedSplit
from textlatent.models.expectation import expectation_of
from textlatent.training.alternation import EMOptions
from textlatent.training.em import EM
from textlatent.training.launch import launch


def split_of(count: int = 30, *, seed: int = 0) -> EncodedSplit:
    """Random sentences as a split."""
    tokens, lengths = sentences(count, seed=seed)
    zeros = torch.zeros(count, dtype=torch.long)
    return EncodedSplit(
        tokens=flat(tokens, lengths).int(),
        offsets=torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]),
        words=lengths - 1,
        characters=lengths,
        label=zeros - 1,
        index=torch.arange(count),
        notes=[],
        dataset=Dataset.from_dict({"text": [""] * count}),
    )


def em_of(
    folder: Path,
    *,
    family: str = "mixture_unigram",
    classes: int = 3,
    count: int = 30,
    pseudo_count: float = 0.1,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    seed: int = 0,
    **options: Any,
) -> EM:
    """EM, its folder made."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model_of(family, classes=classes, prior_pseudo_count=pseudo_count, word_pseudo_count=pseudo_count)
    settings = EMOptions(**{"iterations": 12, "restarts": 2, "tolerance": 0.0, "save_every": 3, **options})
    return EM(
        model,
        expectation_of(model),
        train=split_of(count),
        options=settings,
        folder=folder,
        seed=seed,
        accelerator=launch(),
        progress=progress,
    )


def fitted(folder: str, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each job told and ended with."""
    found = []
    for number, job in enumerate(jobs):
        events: list[dict[str, Any]] = []
        em = em_of(Path(folder) / str(number), progress=events.append, **job)
        standing = em.fit()
        weights = torch.cat([p.detach().flatten() for p in em.model.parameters()]).softmax(0).tolist()
        found.append({"rows": standing.rows, "best": standing.best, "events": events, "weights": weights})
    return found


def from_every_checkpoint(folder: str, job: dict[str, Any]) -> list[dict[str, Any]]:
    """Weights and events of a fit left alone, then of one killed after each of its checkpoints and started again."""
    whole = Path(folder) / "whole"
    em_of(whole, keep_checkpoints=99, **job).fit()
    steps = sorted(int(path.name[5:]) for path in (whole / "checkpoints").glob("step-*"))
    found = [_left(whole)]
    for stop in [0, *steps]:
        again = Path(folder) / f"stopped-{stop}"
        if PartialState().is_main_process:
            shutil.copytree(whole, again)
            for step in steps:
                if step > stop:
                    shutil.rmtree(again / "checkpoints" / f"step-{step}")
        PartialState().wait_for_everyone()
        em_of(again, keep_checkpoints=99, **job).fit()
        found.append(_left(again))
    return found


def _left(folder: Path) -> dict[str, Any]:
    """The last checkpoint's tables, hashed, and every event, less what a clock measured."""
    import json

    newest = max((folder / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
    clock = ("seconds", "tokens_per_second", "sentences_per_second")
    events = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "step": newest.name,
        "hashes": {k: v for k, v in json.loads((newest / "manifest.json").read_text()).items() if "safetensors" in k},
        "events": [{k: v for k, v in event.items() if k not in clock} for event in events],
    }
