"""What a rank does in the test of launch shapes: a short training of a ring whose potentials are its sites' own."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_model import RingConfig, RingModel
from textlatent.contrasts.ring_sampling import sample
from textlatent.corpus.encoding import EncodedSplit
from textlatent.objective.objective import Objective
from textlatent.training.launch import launch
from textlatent.training.loop import Trainer
from textlatent.training.options import Stage, TrainingOptions

SITES, LABELS = 4, 3


def rows_as_split(y: torch.Tensor) -> EncodedSplit:
    """Label sequences of one length as a split."""
    count, sites = y.shape
    each = torch.full((count,), sites)
    return EncodedSplit(
        tokens=y.flatten().int(),
        offsets=torch.arange(count + 1) * sites,
        words=each,
        characters=each,
        label=torch.full((count,), -1),
        index=torch.arange(count),
        notes=[],
        dataset=Dataset.from_dict({"text": ["".join(map(str, row)) for row in y.tolist()]}),
    )


def truth() -> Ring:
    """The ring whose draws are learned from."""
    random = torch.Generator().manual_seed(3)
    edges = torch.randn(SITES, LABELS, LABELS, generator=random, dtype=torch.float64)
    return Ring(edges, torch.randn(SITES, LABELS, generator=random, dtype=torch.float64), SITES)


def trained(folder: str, criterion: str, options: dict[str, Any], count: int = 60) -> dict[str, Any]:
    """A ring trained on `count` draws: its potentials, and the events."""
    y, events = sample(truth(), count, seed=0), list[dict[str, Any]]()
    model = RingModel(RingConfig(labels=LABELS, sites=SITES, criterion=criterion))
    numbers = TrainingOptions(sample_every=0, **options)
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(
        model,
        train=rows_as_split(y),
        valid=rows_as_split(sample(truth(), 20, seed=1)),
        stages=[Stage(name="train", steps=numbers.steps, objective=Objective(), learn=("decoder",))],
        options=numbers,
        folder=place,
        seed=0,
        accelerator=launch(),
        progress=events.append,
    )
    trainer.fit()
    return {
        "edges": model.decoder.edges.tolist(),
        "fields": model.decoder.fields.tolist(),
        "losses": [event["distortion_nats"] for event in events if event["event"] == "log"],
        "rates": [event["rate_nats"] for event in events if event["event"] == "log"],
    }
