"""A recipe of kind `latent_class` made into a model and its numbers; and a run of that kind read again."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from textlatent.corpus.encoding import EncodedSplit
from textlatent.models import LatentClassConfig, LatentClassModel, load_model
from textlatent.models.backbone import backbone_config, quiet
from textlatent.models.expectation import Expectation, halves_of
from textlatent.objective.objective import Objective
from textlatent.recipe.latent_class import ClassTraining, ExpectationMaximisation, LatentClassRecipe
from textlatent.recipe.load import load_any, of_kind
from textlatent.recipe.model import SMALL
from textlatent.run.folder import Run
from textlatent.training.alternation import EMOptions
from textlatent.training.optimizer import seed_of
from textlatent.training.options import Stage, TrainingOptions


def recipe_of(run: Run | str | Path) -> tuple[Run, LatentClassRecipe]:
    """The run and its recipe."""
    run = run if isinstance(run, Run) else Run(run)
    return run, of_kind(load_any(run.folder / "recipe.yaml"), LatentClassRecipe)


def build_model(recipe: LatentClassRecipe, tokenizer: Any, *, sentences: int) -> LatentClassModel:
    """The model a recipe describes, an encoder's weights decided by its seed; its tables start uniform.

    Args:
        recipe: what it is.
        tokenizer: decides the vocabulary.
        sentences: of the training split, over which the tables' prior is shared out.
    """
    section, config = recipe.model, None
    if section.encoder == "transformer":
        config = backbone_config(
            "bert",
            SMALL if section.encoder_config is None else section.encoder_config,
            tokenizer=tokenizer,
            positions=recipe.data.max_tokens,
            where="model.encoder_config",
        )
    torch.manual_seed(recipe.seed)
    model = LatentClassModel(
        LatentClassConfig(
            family=section.family,
            classes=section.classes,
            encoder_type=section.encoder or "bayes",
            encoder=config,
            decoder={
                "vocabulary": len(tokenizer),
                "max_tokens": recipe.data.max_tokens,
                "eos": tokenizer.eos_token_id,
                "pad": tokenizer.pad_token_id,
            },
            prior_pseudo_count=section.prior_pseudo_count,
            word_pseudo_count=section.word_pseudo_count,
            sentences=sentences,
        )
    )
    model.tokenizer = tokenizer
    return model


def start_tables(model: LatentClassModel, train: EncodedSplit, recipe: LatentClassRecipe) -> Expectation:
    """The model's two halves, its tables where EM's first start has them."""
    parts = halves_of(model)
    words = torch.bincount(train.tokens.long(), minlength=model.decoder.table.vocabulary).to(torch.float64)
    parts.start(words, generator=torch.Generator().manual_seed(seed_of(recipe.seed, 0)), noise=recipe.model.start_noise)
    return parts


def em_options(recipe: LatentClassRecipe) -> EMOptions:
    """The numbers of EM."""
    section = recipe.em or ExpectationMaximisation()
    return EMOptions(start_noise=recipe.model.start_noise, **section.model_dump())


def loop_options(recipe: LatentClassRecipe) -> TrainingOptions:
    """The numbers of the loop; a table's prior is its pseudo-counts, so that nothing is decayed."""
    section = recipe.training or ClassTraining()
    return TrainingOptions(weight_decay=0.0, **section.model_dump())


def stage_of(recipe: LatentClassRecipe) -> Stage:
    """The whole training: -ELBO, all parts together."""
    return Stage(name="train", steps=loop_options(recipe).steps, objective=Objective())


def model_at(run: Run | str | Path, checkpoint: str = "final") -> LatentClassModel:
    """The model in evaluation mode: "best", "final" or "step-N" (of EM: the start under way at that step).

    Raises:
        ValueError: there is none of that name, or it is damaged; the message lists those there are.
    """
    quiet()
    run, recipe = recipe_of(run)
    folder = run.weights(checkpoint)
    if checkpoint in ("best", "final"):
        model = load_model(folder)
        assert isinstance(model, LatentClassModel)
        return model.eval()
    model = build_model(recipe, run.tokenizer, sentences=run.corpus_card["sentences"]["train"])
    model.load_state_dict(load_file(str(folder / "model.safetensors")))
    return model.eval()
