"""A recipe of kind `bigram_gan` made into text, model and game; and a run of that kind read again."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model
from torch import Tensor

from textlatent.contrasts.bigram_gan import BigramGAN, BigramGANConfig
from textlatent.contrasts.game import BigramGame
from textlatent.contrasts.quality import likeliest_bigram
from textlatent.corpus.batches import EncodedSplit, collate
from textlatent.corpus.encoding import encode_split
from textlatent.corpus.source import Corpus, read_file
from textlatent.decoder.table import Bigram
from textlatent.models.backbone import backbone_config, quiet
from textlatent.recipe.bigram_gan import READER, BigramGanRecipe
from textlatent.recipe.load import load_any, of_kind
from textlatent.run import build
from textlatent.run.corpus import build_corpus
from textlatent.run.folder import Run
from textlatent.training.game import AdversarialOptions

SPLITS = ("train", "valid", "test")
TEMPERATURE = 0.5
"""Of a relaxed word, where the recipe names none."""


@dataclass
class Text:
    """A recipe's corpus and what its words are numbered by.

    Attributes:
        recipe: the recipe.
        corpus: its sentences.
        tokenizer: words to numbers.
    """

    recipe: BigramGanRecipe
    corpus: Corpus
    tokenizer: Any

    def split(self, name: str) -> EncodedSplit:
        """One split as tokens.

        Raises:
            ValueError: no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}.")
        return build.build_split(name, self.corpus, self.tokenizer, self.recipe.data)

    def file(self, path: str | Path) -> EncodedSplit:
        """A file of sentences as tokens, under the recipe's policies."""
        data, path = self.recipe.data, Path(path)
        plain = path.suffix in ("", ".txt", ".text")
        dataset, notes = read_file(
            path,
            column="text" if plain else data.column,
            format="text" if plain else "auto",
            on_bad_row=data.on_bad_row,
        )
        split = encode_split(
            dataset, self.tokenizer, max_tokens=data.max_tokens, too_long=data.too_long, name=path.name, path=str(path)
        )
        return replace(split, notes=[*notes, *split.notes])

    @cached_property
    def floor(self) -> tuple[Bigram, float]:
        """The maximum-likelihood bigram of the training split, and its pseudo-count, chosen on the validation split."""
        train, valid = (whole(self.split(name), self.tokenizer.pad_token_id) for name in ("train", "valid"))
        return likeliest_bigram(*train, vocabulary=len(self.tokenizer), held_out=valid)


def whole(split: EncodedSplit, pad_id: int) -> tuple[Tensor, Tensor]:
    """All sentences of a split as one padded batch: tokens and lengths."""
    batch = collate(split, torch.arange(len(split)), pad_id=pad_id)
    return batch["tokens"], batch["lengths"]


def build_gan(recipe: BigramGanRecipe, tokenizer: Any) -> BigramGAN:
    """The two players a recipe describes; the tables uniform, the discriminator undecided or of the recipe's seed."""
    section, words = recipe.model.discriminator, recipe.data.max_tokens
    backbone = None
    if section.type == "transformer":
        backbone = backbone_config(
            section.backbone or "bert",
            READER if section.config is None else section.config,
            tokenizer=tokenizer,
            positions=words,
            where="model.discriminator",
        ).to_dict()
    torch.manual_seed(recipe.seed)
    return BigramGAN(
        BigramGANConfig(
            vocab_size=len(tokenizer),
            words=words,
            eos_token_id=tokenizer.eos_token_id,
            discriminator=section.type,
            judges="sentence" if section.type == "transformer" else section.judges or "pairs",
            backbone=backbone,
        )
    )


def build_game(recipe: BigramGanRecipe, model: BigramGAN) -> BigramGame:
    """Who plays for what."""
    section = recipe.model.generator
    temperature = section.temperature or TEMPERATURE
    return BigramGame(model, section.estimator, section.cost, temperature, section.centred)


def build_options(recipe: BigramGanRecipe) -> AdversarialOptions:
    """The numbers of the game."""
    numbers = recipe.training.model_dump(exclude={"trackers", "threads", "deterministic"})
    first, second = numbers.pop("betas")
    return AdversarialOptions(betas=(first, second), **numbers)


def recipe_of(run: Run | str | Path) -> tuple[Run, BigramGanRecipe]:
    """The run and its recipe."""
    run = run if isinstance(run, Run) else Run(run)
    return run, of_kind(load_any(run.folder / "recipe.yaml"), BigramGanRecipe)


def text_of(run: Run | str | Path) -> Text:
    """The text of a run, read again; refused if it is no longer what it began with."""
    run, recipe = recipe_of(run)
    corpus = build_corpus(recipe.data)
    run.check_corpus(corpus)
    return Text(recipe, corpus, run.tokenizer)


def gan_at(run: Run | str | Path, checkpoint: str = "final") -> BigramGAN:
    """The model in evaluation mode: "best", "final" or "step-N".

    Raises:
        ValueError: there is none of that name, or it is damaged.
    """
    quiet()
    run, recipe = recipe_of(run)
    folder = run.weights(checkpoint)
    if checkpoint in ("best", "final"):
        return BigramGAN.from_pretrained(folder).eval()
    model = build_gan(recipe, run.tokenizer)
    load_model(model, str(folder / "model.safetensors"))
    return model.eval()
