"""A recipe of kind `vectors` made into rows, model and stage; and a run of that kind read again."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import Tensor

from textlatent.corpus.vectors import Vectors, VectorSplit, read_matrix, read_vectors
from textlatent.models.backbone import quiet
from textlatent.models.vector import VectorAutoencoder, VectorAutoencoderConfig
from textlatent.objective.objective import Objective
from textlatent.recipe.load import load_any, of_kind
from textlatent.recipe.vectors import VectorRecipe
from textlatent.run.folder import Run
from textlatent.run.recipes import locate
from textlatent.training.options import Stage, TrainingOptions

SPLITS = ("train", "valid", "test")


def build_vectors(recipe: VectorRecipe) -> Vectors:
    """The rows a recipe names; a path below data/ that is not here is looked up in the data that come along."""
    arguments = recipe.data.model_dump()
    for name in ("path", *SPLITS):
        if arguments[name] is not None:
            arguments[name] = locate(arguments[name])
    return read_vectors(arguments.pop("path"), **arguments)


def build_model(recipe: VectorRecipe, rows: Tensor) -> VectorAutoencoder:
    """The model a recipe describes for these training rows, its weights decided by the recipe's seed."""
    model, spread = recipe.model, rows.double().std(0, correction=0)
    torch.manual_seed(recipe.seed)
    config = VectorAutoencoderConfig(
        size=rows.shape[1],
        latent_size=model.latent_size,
        encoder=model.encoder.type,
        encoder_hidden=model.encoder.hidden,
        decoder_hidden=model.decoder.hidden,
        activation=model.activation,
        variance=model.encoder.variance,
        log_variance_bias=model.encoder.log_variance_bias,
        prior=model.prior,
        components=model.components,
        distortion=model.decoder.distortion,
        lam=recipe.objective.lam,
        centre=rows.double().mean(0).tolist(),
        scale=torch.where(spread > 0, spread, 1.0).tolist(),  # a column that never changes is its mean
    )
    return VectorAutoencoder(config)


def build_stage(recipe: VectorRecipe) -> Stage:
    """The whole training; lam is in the decoder's density, so that the loss takes its nats once."""
    section = recipe.objective.model_dump(exclude={"lam"})
    return Stage(name="train", steps=recipe.training.steps, objective=Objective(**section))


def build_options(recipe: VectorRecipe) -> TrainingOptions:
    """The numbers of the loop."""
    numbers = recipe.training.model_dump()
    return TrainingOptions(tokens_per_step=numbers.pop("rows_per_step"), sample_every=0, **numbers)


def recipe_of(run: Run | str | Path) -> tuple[Run, VectorRecipe]:
    """The run and its recipe."""
    run = run if isinstance(run, Run) else Run(run)
    return run, of_kind(load_any(run.folder / "recipe.yaml"), VectorRecipe)


def vectors_of(run: Run | str | Path) -> Vectors:
    """The rows of a run, read again; refused if they are no longer those it began with."""
    run, recipe = recipe_of(run)
    vectors = build_vectors(recipe)
    check_same(run.folder, vectors)
    return vectors


def model_at(run: Run | str | Path, checkpoint: str = "final") -> VectorAutoencoder:
    """The model in evaluation mode: "best", "final" or "step-N"."""
    quiet()
    run, recipe = recipe_of(run)
    folder = run.weights(checkpoint)
    if checkpoint in ("best", "final"):
        return VectorAutoencoder.from_pretrained(folder).eval()
    model = build_model(recipe, vectors_of(run).train.vectors)
    load_model(model, str(folder / "model.safetensors"))
    return model.eval()


def rows_of(
    vectors: Vectors, name: str, text: str | Path | None, model: VectorAutoencoder, *, tensor: str | None = None
) -> VectorSplit:
    """The rows that are asked for; of a .safetensors file those of `tensor`, the recipe's data.tensor.

    Raises:
        ValueError: no such split, or rows of another length.
    """
    if text is None:
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}.")
        return getattr(vectors, name)
    matrix = read_rows(text, model, tensor=tensor)
    return VectorSplit(matrix, torch.arange(len(matrix)))


def read_rows(file: str | Path, model: VectorAutoencoder, *, tensor: str | None = None) -> Tensor:
    """Another file's rows for a model; of a .safetensors file those of `tensor`, the recipe's data.tensor.

    Raises:
        ValueError: a fault in the file, or rows of another length.
    """
    matrix = torch.from_numpy(read_matrix(file, tensor=tensor if Path(file).suffix == ".safetensors" else None))
    if matrix.shape[1] != model.config.size:
        raise ValueError(f"{file} has {matrix.shape[1]} columns, the model was made for {model.config.size}.")
    return matrix


def check_same(folder: Path, vectors: Vectors) -> None:
    """Refuse rows that differ from those the run began with.

    Raises:
        ValueError: numbers or splits have changed.
    """
    began = json.loads((folder / "corpus.json").read_text())["sha256"]
    if began != vectors.sha256:
        raise ValueError(
            f"the rows of {vectors.source} have changed since the run {folder} began: sha256 {began[:12]} then, "
            f"{vectors.sha256[:12]} now. Restore them, or give the recipe another name and begin a new run."
        )
