"""A recipe of kind `ring` made into labels and model, and a run of that kind read again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_model

from textlatent.contrasts.ring_model import RingConfig, RingModel
from textlatent.corpus.alphabet import Alphabet, label_split, train_alphabet
from textlatent.corpus.encoding import EncodedSplit
from textlatent.corpus.source import Corpus, read_file
from textlatent.corpus.splits import draw
from textlatent.models.backbone import quiet
from textlatent.objective.objective import Objective
from textlatent.recipe.load import load_any, of_kind
from textlatent.recipe.ring import RingRecipe, RingTraining
from textlatent.run.corpus import build_corpus
from textlatent.run.folder import Run
from textlatent.training.options import Stage, TrainingOptions

SPLITS = ("train", "valid", "test")
CRITERION = {"maximum_likelihood": "exact", "pseudo_likelihood": "pseudo"}
"""What a ring's Scores hold while it is trained by each method."""


def build_alphabet(recipe: RingRecipe, corpus: Corpus) -> Alphabet:
    """The labels of a recipe's training text."""
    section = recipe.model
    return train_alphabet(corpus.train["text"], unit=section.unit, labels=section.labels, end=section.end)


def build_split(name: str, corpus: Corpus, alphabet: Alphabet, recipe: RingRecipe) -> EncodedSplit:
    """One split as labels; of the training split what the recipe takes.

    Raises:
        ValueError: no such split, or a sentence that makes no ring.
    """
    if name not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}.")
    dataset, data = getattr(corpus, name), recipe.data
    if name == "train" and data.sentences is not None:
        dataset = dataset.select(draw(len(dataset), sentences=data.sentences, seed=data.split_seed))
    return label_split(
        dataset, alphabet, longest=data.max_tokens, too_long=data.too_long, sites=recipe.model.sites, name=name
    )


def build_text(file: str | Path, alphabet: Alphabet, recipe: RingRecipe) -> EncodedSplit:
    """A file of sentences as labels: the recipe's column and policies, plain lines where the file has no columns."""
    path, data = Path(file), recipe.data
    plain = path.suffix in ("", ".txt", ".text")
    dataset, notes = read_file(
        path,
        column="text" if plain else data.column,
        format="text" if plain else "auto",
        on_bad_row=data.on_bad_row,
    )
    split = label_split(
        dataset, alphabet, longest=data.max_tokens, too_long=data.too_long, sites=recipe.model.sites, name=path.name
    )
    return replace(split, notes=[*notes, *split.notes])


def build_model(recipe: RingRecipe, alphabet: Alphabet) -> RingModel:
    """The model a recipe describes, all potentials 0."""
    section = recipe.model
    config = RingConfig(
        labels=len(alphabet),
        sites=section.sites if section.potentials == "per_site" else None,
        closed=section.closed,
        criterion=CRITERION[recipe.fit.method],
        symbols=list(alphabet.symbols),
        unit=alphabet.unit,
        end=alphabet.end,
    )
    return RingModel(config)


def build_stage(recipe: RingRecipe) -> Stage:
    """The whole training: -ln P(Y) or -ln PL(Y), which the model's criterion decides."""
    return Stage(name="train", steps=_training(recipe).steps, objective=Objective(), learn=("decoder",))


def build_options(recipe: RingRecipe) -> TrainingOptions:
    """The numbers of the loop; every ring has the same number of sites."""
    numbers: dict[str, Any] = _training(recipe).model_dump()
    assert recipe.model.sites is not None
    return TrainingOptions(tokens_per_step=numbers.pop("rows_per_step") * recipe.model.sites, sample_every=0, **numbers)


def _training(recipe: RingRecipe) -> RingTraining:
    return recipe.training or RingTraining()


def recipe_of(run: Run | str | Path) -> tuple[Run, RingRecipe]:
    """The run and its recipe."""
    run = run if isinstance(run, Run) else Run(run)
    return run, of_kind(load_any(run.folder / "recipe.yaml"), RingRecipe)


def alphabet_of(run: Run) -> Alphabet:
    """The labels of a run."""
    content = json.loads((run.folder / "labels.json").read_text(encoding="utf-8"))
    return Alphabet(content["unit"], tuple(content["symbols"]), content["end"])


def corpus_of(run: Run, recipe: RingRecipe) -> Corpus:
    """The text of a run, read again; refused if it is no longer what it began with."""
    corpus = build_corpus(recipe.data)
    run.check_corpus(corpus)
    return corpus


def ring_at(run: Run | str | Path, checkpoint: str = "final") -> RingModel:
    """The model in evaluation mode: "best", "final" or "step-N".

    Raises:
        ValueError: there is none of that name, or it is damaged.
    """
    quiet()
    run, recipe = recipe_of(run)
    folder = run.weights(checkpoint)
    if checkpoint in ("best", "final"):
        return RingModel.from_pretrained(folder).eval()
    model = build_model(recipe, alphabet_of(run))
    load_model(model, str(folder / "model.safetensors"))
    return model.eval()
