"""model.encoder.weights: the whole encoder of another run, so that a prior and a decoder are fitted to it (T6b)."""

from pathlib import Path
from typing import Any

from textlatent.corpus.tokenizer import tokenizer_sha256
from textlatent.models import Autoencoder, SentenceAutoencoder, SentenceVAE
from textlatent.models.load import load_model
from textlatent.recipe.model import Model
from textlatent.recipe.schema import Recipe
from textlatent.training.checkpoint import fault

_SETTINGS = ("pooling", "log_variance_bias", "fixed_variance", "batch_norm")
"""What a Gaussian encoder is beside its backbone: keys of model.encoder and of the saved configuration alike."""


def model_of_encoder(path: str) -> Autoencoder:
    """The model whose encoder is taken: a run's final one (its best so far), or a saved one.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    folder = Path(path)
    if (folder / "recipe.yaml").is_file():
        done = [folder / name for name in ("final", "best") if (folder / name / "config.json").is_file()]
        if not done:
            raise ValueError(f"model.encoder.weights: the run {path} has no model yet; train it first.")
        folder = done[0]
        if (reason := fault(folder)) is not None:
            raise ValueError(f"model.encoder.weights: {folder} is damaged: {reason}; train that run again.")
    try:
        return load_model(str(folder))
    except OSError as error:
        raise ValueError(f"model.encoder.weights: {path} holds no run and no saved model ({error}).") from error


def with_its_settings(recipe: Recipe, other: Autoencoder, tokenizer: Any) -> Model:
    """The recipe's model section with the settings of the encoder that is taken.

    Raises:
        ValueError: another type of z, dimension or tokenizer; or points without a stated noise, or a noise stated for
            posteriors that have their own.
    """
    section, where = recipe.model, f"model.encoder.weights: {recipe.model.encoder.weights}"
    _check_text(recipe, other, tokenizer, where)
    known = {SentenceVAE: ("gaussian",), SentenceAutoencoder: ("gaussian", "deterministic")}
    types = next((types for model, types in known.items() if isinstance(other, model)), ("vq",))
    if section.type not in types:
        raise ValueError(f"{where} has an encoder for model.type {' or '.join(types)}, got {section.type}.")
    if section.type == "vq":
        if other.config.levels != section.codebook.levels:  # grids of as many codes have tensors of the same shape
            raise ValueError(
                f"{where} has levels {other.config.levels}, got {section.codebook.levels} in model.codebook.levels; "
                "set it so."
            )
        return section  # sizes that differ are found when the weights are taken
    if other.config.latent_size != section.latent_size:
        raise ValueError(f"{where} has latent_size {other.config.latent_size}, got {section.latent_size}; set it so.")
    if isinstance(other, SentenceAutoencoder):
        if section.type == "gaussian" and section.encoder.fixed_variance is None:
            raise ValueError(
                f"{where} gives points, which have no density: state the noise s of N(f(y), s^2 I) around them, as "
                "model.encoder.fixed_variance: s^2."
            )
        return _with(section, {"pooling": other.config.pooling})
    if section.encoder.fixed_variance not in (None, other.config.fixed_variance):
        raise ValueError(
            f"{where} has posteriors of its own variance; model.encoder.fixed_variance is for points. Take it out."
        )
    return _with(section, {name: getattr(other.config, name) for name in _SETTINGS})


def _with(section: Model, settings: dict[str, Any]) -> Model:
    return section.model_copy(update={"encoder": section.encoder.model_copy(update=settings)})


def _check_text(recipe: Recipe, other: Autoencoder, tokenizer: Any, where: str) -> None:
    """The encoder reads the same tokens, and sentences as long."""
    if other.tokenizer is None or tokenizer_sha256(other.tokenizer) != tokenizer_sha256(tokenizer):
        raise ValueError(
            f"{where} reads other tokens, so that the same number is another word; set tokenizer.path to the folder "
            "that holds its tokenizer (RUN/tokenizer)."
        )
    longest = other.config.decoder.max_tokens
    if recipe.data.max_tokens > longest:
        raise ValueError(
            f"{where} was made for sentences of {longest} tokens, got data.max_tokens {recipe.data.max_tokens}; lower "
            "it."
        )


def take_encoder(model: Autoencoder, other: Autoencoder, *, path: str) -> str:
    """What was taken, in a sentence, after giving the model another's encoder.

    Raises:
        ValueError: the two are of other sizes.
    """
    theirs, own = other.encoder.state_dict(), model.encoder.state_dict()
    wanted = {name for name in own if name != "log_variance"}  # a stated noise is the recipe's
    wrong = [name for name in wanted if name not in theirs or theirs[name].shape != own[name].shape]
    if wrong:
        raise ValueError(
            f"model.encoder.weights: {len(wrong)} of {len(own)} tensors of the encoder of {path} are missing or of "
            f"another shape, first {sorted(wrong)[0]}; use the same model section as that run."
        )
    model.encoder.load_state_dict(theirs, strict=False)
    return f"the encoder is that of {path}: {len(wanted)} tensors taken."
