"""The sections: described, closed, immutable, and the very keyword arguments of what they configure."""

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from textlatent.corpus.batches import encode_split
from textlatent.corpus.source import read_corpus
from textlatent.corpus.tokenizer import train_tokenizer
from textlatent.decoder.sentence import INJECTIONS, SentenceDecoderConfig
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.likelihood import LADDER
from textlatent.encoder.codebook import Codebook as TorchCodebook
from textlatent.encoder.codes import BOOKS
from textlatent.encoder.gaussian import POOLINGS, GaussianEncoder
from textlatent.gradient.codes import GRADIENT_RULES, CodeRule
from textlatent.models.configuration import CODE_PRIORS, PRIORS, SentenceVAEConfig, SentenceVQConfig
from textlatent.objective.floor import FLOORS
from textlatent.objective.objective import Objective as TorchObjective
from textlatent.objective.schedule import SCHEDULES
from textlatent.prior import mixture
from textlatent.prior.autoregressive import AutoregressivePrior
from textlatent.recipe.codes import Codebook, CodePrior
from textlatent.recipe.data import Data, Tokenizer
from textlatent.recipe.dump import as_values
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.recipe.model import MIXTURE_COMPONENTS, OF_TYPES, VAMP_COMPONENTS, Decoder, Encoder, Model
from textlatent.recipe.objective import Objective
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import Section
from textlatent.recipe.training import Evaluation, Stage, Training
from textlatent.run.evaluate import evaluate
from textlatent.training.evaluate import evaluate as evaluate_split
from textlatent.training.options import Stage as TorchStage
from textlatent.training.options import TrainingOptions


def _sections(section: type[Section] = Recipe) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _sections(field.annotation)


SECTIONS = [*_sections(), Stage]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_every_field_has_one_line_that_describes_it(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        assert field.description, f"{section.__name__}.{name}"
        assert "\n" not in field.description
        assert field.description.endswith("."), f"{section.__name__}.{name}"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_an_unknown_key_is_an_error(section: type[Section]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        section.model_validate({"surely_not_a_key": 1})


def _arguments(configured: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(configured).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _defaults(section: type[Section]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in section.model_fields.items()}


def _only(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def test_data_is_what_read_corpus_takes_and_the_rules_of_a_split() -> None:
    data = _defaults(Data)
    assert _only(data, "too_long") == _only(_arguments(encode_split), "too_long")
    assert "max_tokens" in inspect.signature(encode_split).parameters
    del data["max_tokens"], data["too_long"], data["sentences"]  # of run/build.py's splits
    assert data == _arguments(read_corpus)


def test_tokenizer_is_what_train_tokenizer_takes_and_a_ready_one() -> None:
    tokenizer = _defaults(Tokenizer)
    assert tokenizer.pop("path") is None
    arguments = _arguments(train_tokenizer)
    del arguments["seed"]  # the recipe's
    assert tokenizer == arguments


def test_objective_is_what_the_objective_takes() -> None:
    assert _defaults(Objective) == _arguments(TorchObjective)


def test_training_is_what_the_loop_takes() -> None:
    assert _defaults(Training) == vars(TrainingOptions())


def test_a_stage_is_what_the_loop_takes() -> None:
    stage, fields = _defaults(Stage), {field.name: field.default for field in dataclasses.fields(TorchStage)}
    assert set(stage) == set(fields)
    assert (tuple(stage["learn"]), tuple(stage["reset"])) == (fields["learn"], fields["reset"])


def test_model_is_what_the_model_takes() -> None:
    model, encoder, decoder = _defaults(Model), _defaults(Encoder), _defaults(Decoder)
    whole, ours = vars(SentenceVAEConfig()), ("latent_size", "prior", "components", "pseudo_tokens")
    assert _only(model, *ours) == _only(whole, *ours)
    theirs = ("pooling", "log_variance_bias", "fixed_variance", "batch_norm")
    assert _only(encoder, *theirs) == _only(_arguments(GaussianEncoder), *theirs) == _only(whole, *theirs)
    config = vars(SentenceDecoderConfig())
    assert _only(decoder, "inject", "slots", "word_dropout") == _only(config, "inject", "slots", "word_dropout")
    assert _only(encoder, "denoising") == _only(whole, "denoising")
    assert (MIXTURE_COMPONENTS, VAMP_COMPONENTS) == (mixture.MIXTURE_COMPONENTS, mixture.VAMP_COMPONENTS)
    assert {*model, *encoder, *decoder} == {
        *("type", *ours, "codebook", "code_prior", "encoder", "decoder"),
        *("backbone", "config", "weights", *theirs, "denoising"),
        *("inject", "slots", "word_dropout"),
    }


def test_codebook_is_what_the_model_takes() -> None:
    """All of it, with its defaults; what the parts have themselves, theirs (the recipe's codes roll unless told)."""
    codebook, whole = _defaults(Codebook), vars(SentenceVQConfig())
    assert codebook == _only(whole, *codebook)
    assert _only(codebook, "codebook_lr_factor", "revive") == _only(
        _arguments(TorchCodebook), "codebook_lr_factor", "revive"
    )
    of_rule = ("gradient_rule", "commitment", "rotation")
    assert _only(codebook, *of_rule) == _only(_arguments(CodeRule), *of_rule)


def test_code_prior_is_what_the_model_and_the_prior_take() -> None:
    prior, whole, own = _defaults(CodePrior), vars(SentenceVQConfig()), _arguments(AutoregressivePrior)
    assert prior.pop("type") == whole["prior"]
    assert prior == {name: whole[f"prior_{name}"] for name in prior}
    assert own.pop("books") == 1
    assert prior == own


def test_a_key_of_another_type_is_a_fault_and_is_not_written() -> None:
    for path, types in OF_TYPES.items():
        section, _, name = path.rpartition(".")
        default = (Encoder if section else Model).model_fields[name].default
        value = {} if isinstance(default, Section) else default
        for kind in get_args(Model.model_fields["type"].annotation):
            inner = {"type": kind} | ({section: {name: value}} if section else {name: value})
            values = {"name": "x", "data": {"path": "y"}, "model": inner}
            written = as_values(load_recipe({**values, "model": {"type": kind}}))["model"]
            assert (name in (written[section] if section else written)) == (kind in types), path
            if kind in types:
                load_recipe(values)
            else:
                named = " or ".join(types)
                with pytest.raises(RecipeError, match=f"model.{path}: is for model.type: {named}, got {kind}"):
                    load_recipe(values)


def test_a_recipe_of_codes_is_written_and_read_back() -> None:
    recipe = load_recipe({"name": "x", "data": {"path": "y"}, "model": {"type": "vq", "codebook": {"codes": 4}}})
    assert load_recipe(as_values(recipe)) == recipe


def test_the_choices_are_those_of_the_rooms() -> None:
    choices = {
        (Model, "prior"): PRIORS,
        (Encoder, "pooling"): POOLINGS,
        (Decoder, "inject"): INJECTIONS,
        (Codebook, "books"): BOOKS,
        (Codebook, "gradient_rule"): GRADIENT_RULES,
        (CodePrior, "type"): CODE_PRIORS,
        (Objective, "schedule"): SCHEDULES,
        (Objective, "free_nats_on"): FLOORS,
    }
    for (section, field), names in choices.items():
        assert get_args(section.model_fields[field].annotation) == tuple(names), field


def test_evaluation_is_what_evaluating_takes() -> None:
    evaluation, scoring = _defaults(Evaluation), _arguments(evaluate_split)
    assert _only(evaluation, "tokens_per_batch", "precision") == _only(scoring, "tokens_per_batch", "precision")
    assert tuple(evaluation["ladder"]) == LADDER == _arguments(build_ledger)["ladder"]
    assert set(evaluation) <= {*_arguments(evaluate), "tokens_per_batch", "ladder"}


@pytest.mark.parametrize(
    "values",
    [
        {"beta": 0.5, "lam": 2.0},
        {"schedule": "linear", "schedule_steps": 10, "beta_start": 0.1},
        {"schedule": "cyclical", "schedule_steps": 10, "cycles": 2, "ramp": 1.0},
        {"target_rate": 8.0, "target_gain": 0.1, "beta_start": 0.5},
        {"schedule": "cyclical", "schedule_steps": 10, "cycles": 1, "zero": 0.5, "ramp": 0.25},
        {"minimum_rate": 5.0, "target_gain": 0.1, "beta_start": 0.5, "free_nats": 0.1},
        {"capacity": 5.0, "capacity_weight": 2.0, "capacity_steps": 10},
        {"importance_samples": 5, "schedule": "linear", "schedule_steps": 10},
        {"importance_samples": 5, "target_rate": 8.0},
        *({"free_nats": 0.25, "free_nats_on": on} for on in ("dimension", "sentence", "batch_dimension", "batch")),
    ],
)
def test_what_the_objective_section_allows_the_objective_takes(values: dict[str, Any]) -> None:
    section = load_recipe({"name": "x", "data": {"path": "y"}, "objective": values}).objective
    assert TorchObjective(**section.model_dump()).lam == section.lam


def test_a_stage_says_only_what_differs_from_the_objective() -> None:
    recipe = load_recipe(
        {
            "name": "x",
            "data": {"path": "y"},
            "objective": {"beta": 0.5, "lam": 2.0},
            "training": {"steps": 7},
            "stages": [{"name": "a", "objective": {"beta": 0.0}}, {"name": "b", "steps": 3, "learn": ["prior"]}],
        }
    )
    first, second = recipe.stages
    assert recipe.stage_objective(first) == Objective(beta=0.0, lam=2.0)
    assert recipe.stage_objective(second) == recipe.objective
    assert [recipe.stage_steps(stage) for stage in recipe.stages] == [7, 3]


def test_a_recipe_does_not_change() -> None:
    recipe = load_recipe({"name": "x", "data": {"path": "y"}})
    with pytest.raises(ValidationError, match="frozen"):
        recipe.training.steps = 3  # type: ignore[misc]
