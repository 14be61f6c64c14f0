"""Levels, a fixed grid of codes: what follows from them, what is refused beside them, what is written back."""

from typing import Any

import pytest
import yaml

from textlatent.models import configuration
from textlatent.recipe import codes
from textlatent.recipe.codes import Codebook
from textlatent.recipe.dump import as_values, differing_keys, dump_recipe
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe


def with_levels(levels: Any, **more: Any) -> dict[str, Any]:
    return {
        "name": "x",
        "data": {"path": "y"},
        "model": {"type": "vq", "codebook": {"positions": 2, "levels": levels, **more}},
    }


def book_of(recipe: Recipe) -> Codebook:
    return recipe.model.codebook


def test_codes_and_size_follow() -> None:
    book = book_of(load_recipe(with_levels([8, 5, 5])))
    assert (book.positions, book.codes, book.size) == (2, 200, 3)


def test_a_grid_is_written_as_its_levels_and_read_back() -> None:
    recipe = load_recipe(with_levels([4, 2]))
    assert as_values(recipe)["model"]["codebook"] == {"positions": 2, "levels": [4, 2]}
    assert load_recipe(as_values(recipe)) == recipe
    assert yaml.safe_load(dump_recipe(recipe))["model"]["codebook"] == {"positions": 2, "levels": [4, 2]}
    assert book_of(load_recipe(as_values(recipe))).codes == 8
    other = load_recipe(recipe, ["model.codebook.levels=[2, 4]"])
    assert differing_keys(recipe, other) == ["model.codebook.levels"]


def test_learned_codes_are_written_whole() -> None:
    recipe = load_recipe({"name": "x", "data": {"path": "y"}, "model": {"type": "vq"}})
    assert set(as_values(recipe)["model"]["codebook"]) == set(Codebook.model_fields)
    assert as_values(recipe)["model"]["codebook"]["levels"] is None


def test_what_means_nothing_beside_levels_is_known_to_recipe_and_model() -> None:
    assert codes.OF_LEARNED_CODES == configuration.OF_LEARNED_CODES
    assert set(codes.OF_LEARNED_CODES) == set(Codebook.model_fields) - {"positions", "levels"}


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("codes", 40, "codes: follows from the levels of the grid, their product, 40; take one of the two out"),
        ("size", 64, "size: follows from the levels of the grid, their number, 2; take one of the two out"),
        ("books", "position", "books: is for codes that learn, and those of levels are a fixed grid"),
        ("gradient_rule", "published", "gradient_rule: is for codes that learn, and those of levels are a fixed grid"),
        ("commitment", 0.5, "commitment: is for codes that learn, and those of levels are a fixed grid"),
        ("rotation", True, "rotation: is for codes that learn, and those of levels are a fixed grid"),
        ("decay", 0.99, "decay: is for codes that learn, and those of levels are a fixed grid"),
        ("codebook_lr_factor", 2.0, "codebook_lr_factor: is for codes that learn, and those of levels are a fixed"),
        ("revive", None, "revive: is for codes that learn, and those of levels are a fixed grid"),
    ],
)
def test_a_key_of_learned_codes_is_refused_whatever_it_says(key: str, value: Any, sentence: str) -> None:
    """Its default too: nothing is accepted and then ignored."""
    with pytest.raises(RecipeError, match=f"model.codebook.{sentence}"):
        load_recipe(with_levels([8, 5], **{key: value}))


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        ([8, 1], "model.codebook.levels.1: must be >= 2, got 1"),
        ([], "model.codebook.levels: must"),
        (8, "model.codebook.levels: must be a list such as"),
        ([2.5], "model.codebook.levels.0: must be a whole number, got the number 2.5"),
    ],
)
def test_levels_that_are_none(levels: Any, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        load_recipe(with_levels(levels))


def test_a_rate_is_moved_by_levels() -> None:
    with pytest.raises(RecipeError, match="decided by model.codebook.positions and model.codebook.levels: set those"):
        load_recipe({**with_levels([8]), "objective": {"target_rate": 3.0}})
