"""probe: what z retains of a label, by classifiers trained on what the model puts out and tested on real text (T17)."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.corpus.encoding import EncodedSplit
from textlatent.diagnostics.probe import Judged, majority, more_accurate, probe_texts, probe_vectors
from textlatent.models import Autoencoder
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import Estimate
from textlatent.nats.noise import normal
from textlatent.run import build
from textlatent.run.corpus import build_corpus
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.run.label_information import Known, LabelInformation, known_label, label_information
from textlatent.training.checkpoint import write_text
from textlatent.training.launch import launch

Progress = Callable[[dict[str, Any]], None]
SENTENCES = 20_000
BATCH = 256


@dataclass(frozen=True)
class ProbeRow:
    """One classifier.

    Attributes:
        name: what it was trained on.
        tested_on: what it was tested on, always made of the same real sentences.
        judged: how it did; None where it has no value.
        over_majority: by how much it is more accurate than the majority class, paired.
        over_words: by how much it is more accurate than the bag of words trained on real text, paired.
        why: where it has no value, the reason.
    """

    name: str
    tested_on: str
    judged: Judged | None
    over_majority: Estimate | None = None
    over_words: Estimate | None = None
    why: str = ""


@dataclass(frozen=True)
class ProbeResult:
    """The probe's table.

    Attributes:
        label: the column.
        names: the label's values, sorted.
        rows: majority, bag of words, then what the model puts out.
        sentences: how many were used of each split.
        notes: what was left out, one sentence each.
        checkpoint: the model that was probed.
        information: what z knows of the label, nats; None for a language model.
    """

    label: str
    names: tuple[str, ...]
    rows: tuple[ProbeRow, ...]
    sentences: dict[str, int]
    notes: list[str]
    checkpoint: str
    information: LabelInformation | None = None

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON holds it; each number {"value", "se"}, a row without value {"value": None, "why"}."""
        whole = {key: getattr(self, key) for key in ("label", "names", "sentences", "checkpoint", "notes")}
        information = None if self.information is None else self.information.to_dict()
        return {**whole, "rows": [_row_dict(row) for row in self.rows], "information": information}


@by_kind
def probe(
    run: Run | str | Path,
    *,
    label: str | None = None,
    sentences: int | None = SENTENCES,
    checkpoint: str = "final",
    progress: Progress | None = None,
) -> ProbeResult:
    """How well a label can be told from z, from reconstructions, and from sentences written for it; in probe.json.

    Every classifier is linear, learns from as many training sentences (or what the model made of them), is regularised
    by the validation split (or what the model made of it) and tested on the real test split:

        majority           the commonest class
        bag of words       real sentences: what text itself tells
        latents            posterior means
        latents drawn      one z ~ P_enc(z|y) each, of train, valid and test: what it tells is at most I(y; z)
        reconstructions    bags of words of sentences decoded, greedily, from the posterior means
        written for class  bags of words of sentences drawn from P_dec(y|z), z ~ E_{y in class} P_enc(z|y)

    A mean is a function of its sentence without noise, so that a linear rule can tell classes by it even where the rate
    is nearly 0; z drawn cannot. What the model wrote is regularised by what it wrote too: where that tells nothing,
    real text must not choose which chance difference between its classes is trusted.

    Beside them, without a classifier: I(z; label) of the test sentences in nats, from their posteriors.

    Args:
        run: a Run or its folder.
        label: the column; the recipe's data.label if not given.
        sentences: training sentences, drawn by the recipe's seed; None for all.
        checkpoint: "final", "best" or "step-N".
        progress: called with {"event": "progress", "what", "done", "total"}.

    Raises:
        ValueError: no label, fewer than two of its values, or a class without a training sentence.
    """
    run = run if isinstance(run, Run) else Run(run)
    column, names, splits = _labelled(run, label)
    notes, parts = [], {}
    for name, split in splits.items():
        known = (split.label >= 0).nonzero().squeeze(1)
        if lost := len(split) - len(known):
            notes.append(f"{name}: {lost:,} sentences whose label is not among the training split's are left out.")
        positions = known[choose(len(known), sentences if name == "train" else None, run.recipe.seed)]
        parts[name] = (split.texts(positions), split.label[positions])
    model = run.model_at(checkpoint).to(launch().device)
    source = run.recipe.data.path or run.recipe.data.train
    table = _Table(parts, classes=len(names), known=known_label(source, column, names))
    _add_rows(table, model, run.recipe.seed, progress or (lambda event: None))
    counts = {name: len(texts) for name, (texts, _) in parts.items()}
    result = ProbeResult(column, names, tuple(table.rows), counts, notes, checkpoint, table.information)
    write_text(run.folder / "probe.json", json.dumps(result.to_dict(), indent=1, allow_nan=False))
    return result


def _labelled(run: Run, label: str | None) -> tuple[str, tuple[str, ...], dict[str, EncodedSplit]]:
    """The label's column, its values, and the splits with that label."""
    data, corpus = run.recipe.data, run.corpus
    column = data.label if label is None else label
    if column is None:
        raise ValueError(
            f"the recipe of {run.folder} names no label to probe; name the corpus's column with --label "
            "(or train with data.label)."
        )
    if str(column) != str(data.label):
        corpus = build_corpus(data.model_copy(update={"label": column}))
    if len(corpus.label_names) < 2:
        raise ValueError(
            f"a probe needs at least 2 different labels, the column {column!r} of the training split holds "
            f"{len(corpus.label_names)}; name another with --label."
        )
    splits = {name: build.build_split(name, corpus, run.tokenizer, data) for name in build.SPLITS}
    return str(column), corpus.label_names, splits


class _Table:
    """The rows as they come, each compared with the two baselines.

    Args:
        parts: sentences and labels of train, valid and test.
        classes: how many labels there are.
        known: where P(label | y) is exact.
    """

    def __init__(self, parts: dict[str, tuple[list[str], Tensor]], *, classes: int, known: Known | None = None) -> None:
        self.classes = classes
        self.known = known
        self.information: LabelInformation | None = None
        self.texts = {name: texts for name, (texts, _) in parts.items()}
        self.label = {name: label for name, (_, label) in parts.items()}
        self.majority = majority(self.label["train"], self.label["test"], classes=classes)
        self.words = self.of_texts(self.texts)
        self.rows: list[ProbeRow] = []

    def of_texts(self, texts: dict[str, list[str]]) -> Judged:
        """Bags of words of "train" and "valid", which stand for the real sentences there, tested on real ones."""
        train, valid = texts["train"], texts["valid"]
        test = self.texts["test"], self.label["test"]
        return probe_texts(train, self.label["train"], valid, self.label["valid"], *test, classes=self.classes)

    def of_vectors(self, vectors: dict[str, Tensor]) -> Judged:
        """Vectors of the real sentences of each split."""
        pairs = [part for name in build.SPLITS for part in (vectors[name], self.label[name])]
        return probe_vectors(*pairs, classes=self.classes)

    def inform(self, posterior: dict[str, Any], z: Tensor | None) -> None:
        """Keep what z knows of the label, nats; z is drawn from the test sentences' posteriors."""
        self.information = label_information(
            posterior, self.label, classes=self.classes, z=z, known=self.known, texts=self.texts["test"]
        )

    def add(self, name: str, tested_on: str, judged: Judged | None, why: str = "") -> None:
        """One more row."""
        if judged is None:
            self.rows.append(ProbeRow(name, tested_on, None, why=why))
            return
        over_majority = None if judged is self.majority else more_accurate(judged, self.majority)
        over_words = None if judged is self.words else more_accurate(judged, self.words)
        self.rows.append(ProbeRow(name, tested_on, judged, over_majority, over_words))


def _add_rows(table: _Table, model: Autoencoder, seed: int, progress: Progress) -> None:
    """The baselines, then what the model puts out."""
    table.add("majority", "real text", table.majority)
    table.add("bag of words", "real text", table.words)
    if not model.config.latent_size:
        for name in ("latents", "latents drawn", "reconstructions", "written for class"):
            table.add(name, "real text", None, "the model is a language model: it has no z.")
        return
    posterior = {}
    for name, texts in table.texts.items():
        progress({"event": "note", "text": f"encoding {len(texts):,} sentences of {name}"})
        posterior[name] = model.encode(texts)
    table.add("latents", "their means", table.of_vectors({name: each.mean for name, each in posterior.items()}))
    if model.deterministic:
        table.inform(posterior, None)
        table.add(
            "latents drawn", "z drawn", None, "z is a function of the sentence: the row above says what it tells."
        )
    else:
        drawn = {name: draw(each, seed=seed, first=i) for i, (name, each) in enumerate(posterior.items())}
        table.inform(posterior, drawn["test"])
        table.add("latents drawn", "z drawn", table.of_vectors(drawn))
    rebuilt, written = _decoded(table, model, posterior, seed, progress)
    for name, made in (("reconstructions", rebuilt), ("written for class", written)):
        if any(text.strip() for text in made["train"]):
            table.add(name, "real text", table.of_texts(made))
        else:
            table.add(name, "real text", None, "every decoded sentence is empty.")


def _decoded(
    table: _Table, model: Autoencoder, posterior: dict[str, Any], seed: int, progress: Progress
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The sentences of train and valid rebuilt, and as many written for their labels."""
    rebuilt, written = {}, {}
    for first, name in enumerate(("train", "valid"), start=len(build.SPLITS)):  # draws before it are `latents drawn`'s
        lengths = torch.tensor([len(text) for text in table.texts[name]])
        say = partial(decode, model, progress=progress)
        rebuilt[name] = say(posterior[name].mean, lengths=lengths, what=f"reconstructing {name}")
        rows = same_class(table.label[name], seed=seed)
        z = posterior[name].mean[rows]
        if isinstance(posterior[name], DiagonalGaussian):
            z = draw(DiagonalGaussian(z, posterior[name].log_variance[rows]), seed=seed, first=first)
        torch.manual_seed(seed)
        written[name] = say(z, lengths=lengths[rows], what=f"writing for {name}", do_sample=True, top_k=0)
    return rebuilt, written


def draw(posterior: DiagonalGaussian, *, seed: int, first: int) -> Float[Tensor, "N D"]:
    """One z of each posterior, by the seed; another `first` gives others."""
    index = torch.arange(len(posterior.mean))
    noise = normal(index, seed=seed, shape=posterior.mean.shape[1:], first_sample=first)[0]
    return posterior.sample(noise.to(posterior.mean))


def same_class(label: Int[Tensor, " N"], *, seed: int) -> Int[Tensor, " N"]:
    """For each sentence, the row of a random one of its class: with its posterior, a draw of the class's aggregate."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.empty_like(label)
    for each in label.unique():
        members = (label == each).nonzero().squeeze(1)
        rows[members] = members[torch.randint(len(members), (len(members),), generator=generator)]
    return rows


def decode(
    model: Autoencoder,
    z: Float[Tensor, "N D"],
    *,
    lengths: Int[Tensor, " N"],
    progress: Progress,
    what: str,
    **generation: Any,
) -> list[str]:
    """A sentence for each z, as `Autoencoder.decode`, those of like `lengths` decoded together."""
    texts = [""] * len(z)
    for done, rows in enumerate(lengths.argsort(stable=True).split(BATCH)):
        for row, text in zip(rows.tolist(), model.decode(z[rows], batch_size=BATCH, **generation), strict=True):
            texts[row] = text
        progress({"event": "progress", "what": what, "done": done * BATCH + len(rows), "total": len(z)})
    return texts


def _row_dict(row: ProbeRow) -> dict[str, Any]:
    if row.judged is None:
        return {"name": row.name, "tested_on": row.tested_on, "value": None, "why": row.why}
    estimates: Sequence[tuple[str, Estimate | None]] = (
        ("accuracy", row.judged.accuracy),
        ("macro_f1", row.judged.macro_f1),
        ("label_nats", row.judged.label_nats),
        ("over_majority", row.over_majority),
        ("over_words", row.over_words),
    )
    cells = {key: None if each is None else _cell(each) for key, each in estimates}
    return {"name": row.name, "tested_on": row.tested_on, **cells, "strength": row.judged.strength}


def _cell(estimate: Estimate) -> dict[str, float | None]:
    return {"value": estimate.value, "se": None if math.isnan(estimate.se) else estimate.se}
