"""The table of remedies: every verdict has some, and every key and value is one that a recipe takes."""

import pytest

from textlatent.diagnostics.remedies import (
    REMEDIES,
    TO_TRY,
    TO_TRY_WITH_CODES,
    VQ,
    Remedy,
    advice_for,
    remedies_for,
    remedy_rows,
)
from textlatent.diagnostics.verdict import VERDICTS
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe

PLAIN = {"name": "plain", "data": {"path": "corpus"}}
WITH_CODES = sorted({name for names in TO_TRY_WITH_CODES.values() for name in names})


def untreated(*, coded: bool) -> Recipe:
    return load_recipe(PLAIN, [f"{key}={value}" for key, value in VQ.items()] if coded else [])


def treated(remedy: Remedy, *, coded: bool | None = None) -> Recipe:
    """The default recipe, or that of codes, with a remedy in it, as --set would put it there."""
    coded = remedy.codes if coded is None else coded
    return load_recipe(untreated(coded=coded), remedy.overrides)


@pytest.mark.parametrize("name", WITH_CODES)
def test_what_is_to_be_tried_with_codes_fits_a_recipe_of_codes(name: str) -> None:
    assert treated(REMEDIES[name], coded=True).model.type == "vq"


@pytest.mark.parametrize("name", REMEDIES)
def test_every_remedy_makes_a_valid_recipe_that_says_what_it_says(name: str) -> None:
    recipe = treated(REMEDIES[name])
    for key, value in REMEDIES[name].settings.items():
        found = recipe
        for part in key.split("."):
            found = getattr(found, part)
        if key == "stages":
            assert [stage.model_dump(exclude_unset=True) for stage in found] == value
        else:
            assert found == value


def test_together_the_changes_are_changes() -> None:
    """But for what the defaults do already (z at every position), a remedy changes the default recipe."""
    same = [name for name, remedy in REMEDIES.items() if treated(remedy) == untreated(coded=remedy.codes)]
    assert same == ["z at every position"]


def test_a_key_that_is_no_recipe_s_is_caught() -> None:
    with pytest.raises(RecipeError, match="target_rate"):
        treated(Remedy("wrong", {"objective.target_rates": 5.0}, "", ""))


def test_every_illness_has_a_remedy_and_every_remedy_an_illness() -> None:
    assert set(TO_TRY) == set(VERDICTS) - {"healthy"}
    assert set(TO_TRY_WITH_CODES) == set(TO_TRY)
    every = [*TO_TRY.values(), *TO_TRY_WITH_CODES.values()]
    assert {name for names in every for name in names} == set(REMEDIES)
    assert all(len(set(names)) == len(names) >= 1 for names in every)
    assert not any(REMEDIES[name].codes for names in TO_TRY.values() for name in names)


def test_the_advice_is_the_first_remedy_as_one_would_type_it() -> None:
    first = remedies_for("partly collapsed")[0]
    assert first.overrides == ["objective.free_nats=0.25", "objective.free_nats_on=dimension"]
    assert advice_for("partly collapsed") == (
        "Try free nats per dimension (objective.free_nats=0.25, objective.free_nats_on=dimension); "
        "`textlatent ls remedies` lists others."
    )
    assert REMEDIES["aggressive encoder"].overrides == ["stages=[{aggressive: true}]"]
    assert remedies_for("healthy") == ()
    assert advice_for("healthy") == ""


@pytest.mark.parametrize("verdict", TO_TRY_WITH_CODES)
def test_the_advice_has_something_for_a_fixed_grid_of_codes(verdict: str) -> None:
    """Where the first remedy is of codes that learn, it names one that a recipe with levels takes."""
    first, *others = remedies_for(verdict, coded=True)
    levelled = {**PLAIN, "model": {"type": "vq", "codebook": {"levels": [8, 5]}}}
    of_grids = [remedy for remedy in (first, *others) if not remedy.of_learned_codes]
    for remedy in of_grids:
        load_recipe(levelled, remedy.overrides)
    for remedy in [each for each in (first, *others) if each.of_learned_codes]:
        with pytest.raises(RecipeError, match="of levels are a fixed grid|follows from the levels"):
            load_recipe(levelled, remedy.overrides)
    words = f"or of a fixed grid {of_grids[0].name} ({', '.join(of_grids[0].overrides)})"
    assert (words in advice_for(verdict, coded=True)) is first.of_learned_codes


def test_the_table_names_each_verdict_once() -> None:
    rows = remedy_rows()
    assert [row[0] for row in rows if row[0]] == [*TO_TRY, *(f"{name}, of codes" for name in TO_TRY)]
    assert len(rows) == sum(map(len, [*TO_TRY.values(), *TO_TRY_WITH_CODES.values()]))
    assert all(row[4] for row in rows)


def test_no_such_verdict() -> None:
    with pytest.raises(ValueError, match="no verdict is called 'ill'"):
        remedies_for("ill")
