"""A run's folder, and what can be had from it: recipe, corpus, tokenizer, model, ledger."""

import json
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_model as load_weights

from textlatent.corpus.encoding import EncodedSplit, encode_split
from textlatent.corpus.source import Corpus, read_file
from textlatent.models import Autoencoder, load_model
from textlatent.models.backbone import quiet
from textlatent.recipe.load import load_any
from textlatent.recipe.schema import Recipe
from textlatent.run import build
from textlatent.run.corpus import build_corpus
from textlatent.scores import Scores
from textlatent.training.checkpoint import Checkpoints, fault


class Run:
    """runs/NAME: recipe.yaml, corpus.json, metrics.jsonl, checkpoints/, best/, final/, ledger.json, ...

    Args:
        folder: the run's folder.

    Raises:
        ValueError: there is no run in that folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "recipe.yaml").is_file():
            raise ValueError(f"{self.folder} is not a run's folder: it has no recipe.yaml. Runs are made by `train`.")

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe the run was made from; of another kind, it has the sections data and evaluation of its own."""
        return cast(Recipe, load_any(self.folder / "recipe.yaml"))  # the verbs have looked at its kind (run/kinds.py)

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, read again; refused if it is no longer the one the run began with."""
        corpus = build_corpus(self.recipe.data)
        self.check_corpus(corpus)
        return corpus

    @cached_property
    def corpus_card(self) -> dict[str, Any]:
        """corpus.json: path, sha256 and sizes of the corpus the run began with, without reading it."""
        return json.loads((self.folder / "corpus.json").read_text())

    def check_corpus(self, corpus: Corpus) -> None:
        """Refuse a corpus that differs from the one the run began with.

        Raises:
            ValueError: sentences, labels or splits have changed.
        """
        path = self.folder / "corpus.json"
        if not path.exists():
            return
        began = json.loads(path.read_text())
        if began["sha256"] != corpus.sha256:
            now = build.corpus_card(corpus)["sentences"]
            raise ValueError(
                f"the corpus {corpus.source} has changed since the run {self.folder} began: sha256 "
                f"{began['sha256'][:12]} then ({began['sentences']}), {corpus.sha256[:12]} now ({now}). Restore it, or "
                "give the recipe another name and begin a new run."
            )

    @cached_property
    def tokenizer(self) -> Any:
        """The run's tokenizer."""
        return build.load_tokenizer(self.folder / "tokenizer")

    def split(self, name: str) -> EncodedSplit:
        """One split as tokens."""
        return build.build_split(name, self.corpus, self.tokenizer, self.recipe.data)

    def text(self, file: str | Path) -> EncodedSplit:
        """A file of sentences as tokens: the recipe's column and policies, plain lines where the file has no columns.

        Raises:
            ValueError: what is wrong with the file, with file:line.
        """
        data, path = self.recipe.data, Path(file)
        plain = path.suffix in ("", ".txt", ".text")
        dataset, notes = read_file(
            path,
            column="text" if plain else data.column,
            format="text" if plain else "auto",
            on_bad_row=data.on_bad_row,
        )
        split = encode_split(
            dataset,
            self.tokenizer,
            max_tokens=data.max_tokens,
            too_long=data.too_long,
            name=path.name,
            path=str(path),
        )
        return replace(split, notes=[*notes, *split.notes])

    def weights(self, checkpoint: str) -> Path:
        """The folder of a checkpoint that is whole: "best", "final" or "step-N".

        Raises:
            ValueError: there is none of that name, or it is damaged; the message lists those there are.
        """
        checkpoints = Checkpoints(self.folder / "checkpoints")
        named = [name for name in ("best", "final") if (self.folder / name / "config.json").exists()]
        known = named + [f"step-{step}" for step in checkpoints.steps()]
        if checkpoint not in known:
            raise ValueError(
                f"{self.folder} has no checkpoint {checkpoint!r}; it has "
                f"{', '.join(known) or 'none yet: train it first'}."
            )
        folder = self.folder / checkpoint if checkpoint in named else self.folder / "checkpoints" / checkpoint
        if (reason := fault(folder)) is not None:
            others = [f"use --checkpoint {name}, or " for name in known if name != checkpoint]
            raise ValueError(f"{folder} is damaged: {reason}; {''.join(others[-1:])}run `train` again.")
        return folder

    def model_at(self, checkpoint: str = "best") -> Autoencoder:
        """The model in evaluation mode: "best", "final" or "step-N".

        Raises:
            ValueError: there is none of that name, or it is damaged; the message lists those there are.
        """
        quiet()
        folder = self.weights(checkpoint)
        if checkpoint in ("best", "final"):
            return load_model(folder).eval()
        model = build.build_model(self.recipe, self.tokenizer)
        load_weights(model, str(folder / "model.safetensors"))
        return model.eval()

    @cached_property
    def model(self) -> Autoencoder:
        """The finished model (final/), else the best so far."""
        return self.model_at("final" if (self.folder / "final" / "config.json").exists() else "best")

    @property
    def ledger(self) -> dict[str, Any]:
        """ledger.json: the last evaluation.

        Raises:
            ValueError: there has been none.
        """
        path = self.folder / "ledger.json"
        if not path.exists():
            raise ValueError(f"{self.folder} has no ledger yet; run `textlatent evaluate {self.folder}`.")
        return json.loads(path.read_text())

    @property
    def scores(self) -> Scores:
        """scores.safetensors: the Scores behind the ledger."""
        return Scores.load(self.folder / "scores.safetensors")[0]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """metrics.jsonl: what happened, event by event."""
        text = (self.folder / "metrics.jsonl").read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # a kill can leave half a line behind
        return [json.loads(line) for line in whole.splitlines()]
