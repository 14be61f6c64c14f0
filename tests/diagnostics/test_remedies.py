"""The table of remedies: every verdict has some, and every key and value is one that a recipe takes."""

import pytest

from textlatent.diagnostics.remedies import REMEDIES, TO_TRY, Remedy, advice_for, remedies_for, remedy_rows
from textlatent.diagnostics.verdict import VERDICTS
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe

PLAIN = {"name": "plain", "data": {"path": "corpus"}}


def treated(remedy: Remedy) -> Recipe:
    """The default recipe with a remedy in it, as --set would put it there."""
    return load_recipe(PLAIN, remedy.overrides)


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
    same = [name for name, remedy in REMEDIES.items() if treated(remedy) == load_recipe(PLAIN)]
    assert same == ["z at every position"]


def test_a_key_that_is_no_recipe_s_is_caught() -> None:
    with pytest.raises(RecipeError, match="target_rate"):
        treated(Remedy("wrong", {"objective.target_rates": 5.0}, "", ""))


def test_every_illness_has_a_remedy_and_every_remedy_an_illness() -> None:
    assert set(TO_TRY) == set(VERDICTS) - {"healthy"}
    assert {name for names in TO_TRY.values() for name in names} == set(REMEDIES)
    assert all(len(set(names)) == len(names) >= 1 for names in TO_TRY.values())


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


def test_the_table_names_each_verdict_once() -> None:
    rows = remedy_rows()
    assert [row[0] for row in rows if row[0]] == list(TO_TRY)
    assert len(rows) == sum(map(len, TO_TRY.values()))
    assert all(row[4] for row in rows)


def test_no_such_verdict() -> None:
    with pytest.raises(ValueError, match="no verdict is called 'ill'"):
        remedies_for("ill")
