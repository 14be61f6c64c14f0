"""A recipe made into things: corpus, tokenizer, encoded splits, model, stages."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from textlatent.corpus.batches import EncodedSplit, encode_split
from textlatent.corpus.source import Corpus
from textlatent.corpus.splits import draw
from textlatent.corpus.tokenizer import load_tokenizer, train_tokenizer
from textlatent.models import (
    Autoencoder,
    SentenceAutoencoder,
    SentenceAutoencoderConfig,
    SentenceVAE,
    SentenceVAEConfig,
    SentenceVQ,
    SentenceVQConfig,
)
from textlatent.models.backbone import backbone_config, is_path, take_weights
from textlatent.objective.objective import Objective
from textlatent.recipe.data import Data
from textlatent.recipe.kinds import TextRecipe
from textlatent.recipe.model import SMALL, Decoder, Encoder, Model
from textlatent.recipe.schema import Recipe
from textlatent.run.taken import model_of_encoder, take_encoder, with_its_settings
from textlatent.training.options import Stage, TrainingOptions

Note = Callable[[str], None]
SPLITS = ("train", "valid", "test")


def build_tokenizer(recipe: TextRecipe, corpus: Corpus) -> Any:
    """The tokenizer a recipe names, trained on the training split alone unless a ready one is named."""
    section = recipe.tokenizer
    if section.path is not None:
        return load_tokenizer(section.path)
    return train_tokenizer(
        corpus.train["text"],
        type=section.type,
        vocabulary=section.vocabulary,
        unknown=section.unknown,
        seed=recipe.seed,
    )


def build_split(name: str, corpus: Corpus, tokenizer: Any, data: Data) -> EncodedSplit:
    """One split as tokens, under the recipe's policy for long sentences; of the training split what it takes."""
    dataset, notes = getattr(corpus, name), list[str]()
    if name == "train" and data.sentences is not None:
        whole = len(dataset)
        dataset = dataset.select(draw(whole, sentences=data.sentences, seed=data.split_seed))
        notes = [f"train: {data.sentences:,} of {whole:,} sentences taken; the tokenizer was made for all of them."]
    split = encode_split(
        dataset,
        tokenizer,
        max_tokens=data.max_tokens,
        too_long=data.too_long,
        name=name,
        path=corpus.files[name],
    )
    return replace(split, notes=[*notes, *split.notes])


def build_stages(recipe: Recipe) -> list[Stage]:
    """The recipe's stages, each with an objective of its own."""
    return [
        Stage(
            name=stage.name,
            steps=recipe.stage_steps(stage),
            objective=Objective(**recipe.stage_objective(stage).model_dump()),
            learn=tuple(stage.learn),
            reset=tuple(stage.reset),
            aggressive=stage.aggressive,
            encoder_updates=stage.encoder_updates,
            encoder_window=stage.encoder_window,
            information_every=stage.information_every,
        )
        for stage in recipe.stages
    ]


def build_options(recipe: Recipe) -> TrainingOptions:
    """The numbers of the loop."""
    return TrainingOptions(**recipe.training.model_dump())


def build_model(recipe: Recipe, tokenizer: Any, *, note: Note = lambda text: None) -> Autoencoder:
    """The model a recipe describes, its weights decided by the recipe's seed, pretrained ones taken where named."""
    section, path = recipe.model, recipe.model.encoder.weights
    other = None if path is None else model_of_encoder(path)
    parts = _parts(recipe, tokenizer)
    if other is not None:
        section, parts["encoder"] = with_its_settings(recipe, other, tokenizer), other.config.encoder
    torch.manual_seed(recipe.seed)
    model = _MODELS[section.type](section, parts)
    model.tokenizer = tokenizer
    if other is not None and path is not None:
        note(take_encoder(model, other, path=path))
    for backbone, part in ((section.encoder, model.encoder), (section.decoder, model.decoder)):
        if is_path(backbone.backbone) and hasattr(part, "backbone"):
            same = recipe.tokenizer.path == backbone.backbone
            note(take_weights(cast(Any, part.backbone), backbone.backbone, same_tokens=same))
    return model


def _parts(recipe: Recipe, tokenizer: Any) -> dict[str, Any]:
    """What every type of model is configured with: encoder and decoder."""
    model, longest = recipe.model, recipe.data.max_tokens
    slots = 0 if model.decoder.inject == "add" or not model.latent_size else model.decoder.slots
    decoder = _backbone(model.decoder, tokenizer, positions=longest + slots, where="model.decoder")
    return {
        "encoder": _backbone(model.encoder, tokenizer, positions=longest, where="model.encoder"),
        "decoder": {
            "backbone": decoder,
            "inject": model.decoder.inject,
            "slots": model.decoder.slots,
            "max_tokens": longest,
            "word_dropout": model.decoder.word_dropout,
            "unk_token_id": _unknown_token(model, tokenizer),
        },
        "denoising": model.encoder.denoising,
    }


def _gaussian(model: Model, parts: dict[str, Any]) -> SentenceVAE:
    return SentenceVAE(
        SentenceVAEConfig(
            **parts,
            latent_size=model.latent_size,
            prior=model.prior,
            components=model.components,
            pseudo_tokens=model.pseudo_tokens,
            pooling=model.encoder.pooling,
            log_variance_bias=model.encoder.log_variance_bias,
            fixed_variance=model.encoder.fixed_variance,
            batch_norm=model.encoder.batch_norm,
        )
    )


def _vq(model: Model, parts: dict[str, Any]) -> SentenceVQ:
    prior = {f"prior_{name}": value for name, value in model.code_prior.model_dump().items() if name != "type"}
    return SentenceVQ(SentenceVQConfig(**parts, **model.codebook.model_dump(), prior=model.code_prior.type, **prior))


def _deterministic(model: Model, parts: dict[str, Any]) -> SentenceAutoencoder:
    config = SentenceAutoencoderConfig(**parts, latent_size=model.latent_size, pooling=model.encoder.pooling)
    return SentenceAutoencoder(config)


_MODELS: dict[str, Callable[[Model, dict[str, Any]], Autoencoder]] = {
    "gaussian": _gaussian,
    "vq": _vq,
    "deterministic": _deterministic,
}
"""By model.type."""


def _unknown_token(model: Model, tokenizer: Any) -> int | None:
    """The token that stands for a hidden word; None where the tokenizer has none and none is needed."""
    unknown = tokenizer.unk_token_id
    if unknown is None:
        for key, share in (
            ("decoder.word_dropout", model.decoder.word_dropout),
            ("encoder.denoising", model.encoder.denoising),
        ):
            if share:
                raise ValueError(
                    f"model.{key}: it writes the unknown token over words, and this tokenizer has none; set "
                    f"model.{key} to 0, or leave tokenizer.path out to train a tokenizer that has one."
                )
    return unknown


def _backbone(section: Encoder | Decoder, tokenizer: Any, *, positions: int, where: str) -> Any:
    settings = section.config
    if settings is None:
        settings = {} if is_path(section.backbone) else SMALL
    return backbone_config(section.backbone, settings, tokenizer=tokenizer, positions=positions, where=where)


def corpus_card(corpus: Corpus) -> dict[str, Any]:
    """What identifies a corpus: for corpus.json, and for refusing a run whose corpus has changed."""
    return {
        "path": corpus.source,
        "sha256": corpus.sha256,
        "sentences": {name: len(getattr(corpus, name)) for name in SPLITS},
        "labels": list(corpus.label_names),
        "notes": corpus.notes,
        "files": {name: str(Path(file)) for name, file in corpus.files.items()},
    }
