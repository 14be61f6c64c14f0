"""The kind of a run or a recipe, and which file answers a verb for it."""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from textlatent.recipe.kinds import KINDS
from textlatent.recipe.load import check_recipe, load_any, load_recipe
from textlatent.recipe.section import AnyRecipe
from textlatent.run.kinds import by_kind, kind_of_run


class Other(AnyRecipe):
    """A kind with no section of its own."""

    kind: str = "other"


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A kind `other`, whose file has the verb `look`."""
    home = ModuleType("textlatent.run.other")
    home.VERBS = ("look",)  # type: ignore[attr-defined]
    home.look = lambda run, *, twice=False: ("other", run, twice)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "textlatent.run.other", home)
    monkeypatch.setitem(KINDS, "other", Other)
    return home


def look(run: object, *, twice: bool = False) -> object:
    """The usual kind's verb."""
    return "usual", run, twice


def listen(run: object) -> object:
    """A verb that only the usual kind has."""
    return run


def test_a_kind_is_read_from_values_a_file_a_run_and_a_name(tmp_path: Path, other: ModuleType) -> None:
    """`kind` decides, wherever it stands; where it is not said, the first kind is meant."""
    (tmp_path / "recipe.yaml").write_text("kind: other\nname: x\n")
    assert kind_of_run({"kind": "other"}) == kind_of_run(tmp_path) == kind_of_run(tmp_path / "recipe.yaml") == "other"
    assert kind_of_run(load_any({"kind": "other", "name": "x"})) == "other"
    assert kind_of_run({"name": "x"}) == kind_of_run("quickstart") == kind_of_run(tmp_path / "none") == "autoencoder"


def test_each_kind_answers_with_its_own_function(other: ModuleType) -> None:
    """The verb's own function for autoencoders, the kind's for another."""
    verb = by_kind(look)
    assert verb({"kind": "other"}, twice=True) == ("other", {"kind": "other"}, True)
    assert verb({"name": "x"}) == ("usual", {"name": "x"}, False)


def test_a_verb_that_a_kind_lacks_is_a_sentence(other: ModuleType) -> None:
    """It names the verbs there are."""
    with pytest.raises(ValueError, match=r"listen: a run of kind other has no such verb; it has look\."):
        by_kind(listen)({"kind": "other"})


def test_a_recipe_of_another_kind_is_refused_where_an_autoencoder_is_needed(other: ModuleType) -> None:
    """`load_any` takes it, `load_recipe` says what it is."""
    with pytest.raises(ValueError, match="asks for a recipe of kind autoencoder, and x is of kind other"):
        load_recipe({"kind": "other", "name": "x"})


def test_an_unknown_kind_is_a_fault_beside_the_others() -> None:
    """The nearest kind is offered, and the rest of the recipe is read as the usual kind's."""
    faults = check_recipe({"kind": "autoencode", "name": "x", "data": {"path": "y"}, "sed": 1}).faults
    told = {fault.keys: fault.sentence for fault in faults}
    assert told[("kind",)].endswith("got the text 'autoencode'; did you mean autoencoder?")
    assert "did you mean seed?" in told[("sed",)]
