"""Recipes of kind bigram_gan: defaults, what contradicts itself, what the room of contrasts knows too."""

from typing import Any, get_args

import pytest

from textlatent.contrasts.estimators import ESTIMATORS, NEEDS_PAIRS, TEMPERED
from textlatent.contrasts.losses import COSTS
from textlatent.recipe.bigram_gan import BigramGanRecipe, GanTraining, Generator
from textlatent.recipe.load import RecipeError, load_any
from textlatent.training.game import AdversarialOptions

USUAL: dict[str, Any] = {"kind": "bigram_gan", "name": "x", "data": {"path": "a.txt"}}


def _with(**sections: Any) -> dict[str, Any]:
    return {**USUAL, **sections}


def test_the_defaults_are_those_of_what_they_configure() -> None:
    recipe = load_any(USUAL)
    assert isinstance(recipe, BigramGanRecipe)
    section = recipe.training.model_dump(exclude={"trackers", "threads", "deterministic"})
    section["betas"], options = tuple(section["betas"]), vars(AdversarialOptions())
    assert set(section) == set(options)
    differing = {key for key in section if section[key] != options[key]}
    assert differing == {"sample_every"}, "a trainer without a sampler has nothing to show"


def test_the_choices_are_those_there_are() -> None:
    for field, known in (("estimator", ESTIMATORS), ("cost", COSTS)):
        assert set(get_args(Generator.model_fields[field].annotation)) == set(known)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": {"generator": {"temperature": 1.0}}}, "temperature.*needs an estimator that relaxes words"),
        ({"model": {"discriminator": {"config": {}}}}, "config.*is a transformer's"),
        ({"model": {"discriminator": {"type": "transformer", "judges": "pairs"}}}, "pairs is a table's"),
        (
            {"model": {"generator": {"estimator": "exact"}, "discriminator": {"judges": "sentence"}}},
            "exact needs the cost of words that were not drawn",
        ),
        (
            {"model": {"generator": {"centred": True}, "discriminator": {"judges": "sentence"}}},
            "one verdict is not spared",
        ),
        ({"training": {"betas": [0.9, 1.0]}}, "must be two numbers in"),
        ({"training": {"accumulation": 2}}, "is no key of training"),
        ({"objective": {}}, "is no key of a recipe"),
        ({"model": {"generator": {"estimator": "ppo"}}}, "must be one of inverse_cdf, exact"),
    ],
)
def test_faults(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_any(_with(**sections))


def test_what_the_recipe_says_of_estimators_is_what_they_are() -> None:
    for name in ESTIMATORS:
        for key, group in (("temperature", TEMPERED), ("judges", NEEDS_PAIRS)):
            model: dict[str, Any] = {"generator": {"estimator": name}}
            if key == "temperature":
                model["generator"]["temperature"] = 1.0
            else:
                model["discriminator"] = {"judges": "sentence"}
            if (name in group) == (key == "temperature"):
                load_any(_with(model=model))
            else:
                with pytest.raises(RecipeError):
                    load_any(_with(model=model))
    assert GanTraining().weight_decay == 0.0
