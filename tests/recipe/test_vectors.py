"""The sections of kind vectors: described, closed, and the very keyword arguments of what they configure."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from textlatent.corpus.vectors import read_vectors
from textlatent.decoder.vector import DISTORTIONS
from textlatent.encoder.vector import VARIANCES
from textlatent.models import vector
from textlatent.objective.objective import Objective as TorchObjective
from textlatent.recipe.section import Section
from textlatent.recipe.vectors import (
    VectorData,
    VectorDecoder,
    VectorEncoder,
    VectorEvaluation,
    VectorModel,
    VectorObjective,
    VectorRecipe,
    VectorTraining,
)
from textlatent.training.options import TrainingOptions


def _sections(section: type[Section] = VectorRecipe) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _sections(field.annotation)


def _arguments(configured: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(configured).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _defaults(section: type[Section]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in section.model_fields.items()}


@pytest.mark.parametrize("section", list(_sections()), ids=lambda s: s.__name__)
def test_every_field_has_one_line_and_an_unknown_key_is_an_error(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert "\n" not in field.description
        assert field.description.endswith("."), f"{section.__name__}.{name}"
    with pytest.raises(ValidationError, match="extra_forbidden"):
        section.model_validate({"surely_not_a_key": 1})


def test_data_and_objective_are_what_they_configure() -> None:
    assert _defaults(VectorData) == _arguments(read_vectors)
    assert _defaults(VectorObjective) == _arguments(TorchObjective)


def test_training_is_what_the_loop_takes_of_rows() -> None:
    """No words to sample, no transformer for Muon or bf16; and weights that are not pulled away from the optimum."""
    ours, theirs = _defaults(VectorTraining), vars(TrainingOptions())
    assert theirs.keys() - ours.keys() == {
        *("tokens_per_step", "precision", "optimizer", "muon_learning_rate", "sample_every")
    }
    assert ours.pop("rows_per_step") < theirs["tokens_per_step"]
    assert ours.pop("weight_decay") == 0.0
    assert ours == {name: theirs[name] for name in ours}


def test_model_is_what_the_model_takes() -> None:
    config, model = vector.VectorAutoencoderConfig(), _defaults(VectorModel)
    encoder, decoder = _defaults(VectorEncoder), _defaults(VectorDecoder)
    assert encoder.pop("type") == config.encoder
    for section, hidden in ((encoder, config.encoder_hidden), (decoder, config.decoder_hidden)):
        assert section.pop("hidden") == (hidden or [])
    model = {name: value for name, value in model.items() if name not in ("encoder", "decoder")}
    for name, value in {**model, **encoder, **decoder}.items():
        assert value == getattr(config, name), name


def test_the_choices_are_those_of_the_rooms() -> None:
    choices: dict[tuple[type[Section], str], tuple[str, ...]] = {
        (VectorEncoder, "type"): vector.ENCODERS,
        (VectorEncoder, "variance"): VARIANCES,
        (VectorDecoder, "distortion"): DISTORTIONS,
        (VectorModel, "prior"): vector.PRIORS,
        (VectorModel, "activation"): tuple(vector.ACTIVATIONS),
    }
    for (section, field), names in choices.items():
        assert get_args(section.model_fields[field].annotation) == names, field
    assert _defaults(VectorEvaluation)["split"] == "test"
