"""The recipes that come along: listed, found by name, copied; the data that come along: found from anywhere."""

from pathlib import Path
from typing import Any

import pytest

from textlatent.recipe.load import load_recipe
from textlatent.run.kinds import USUAL, kind_of_run
from textlatent.run.recipes import ShippedRecipe, copy_recipe, find_recipe, list_recipes, locate, shipped_folder
from textlatent.run.validate import validate


def test_every_recipe_is_listed_with_what_it_is() -> None:
    listed = {each.name: each for each in list_recipes()}
    assert set(listed) >= {"quickstart", "collapse", "tatoeba", "ptb/cpu", "ptb/gpu"}
    for each in listed.values():
        assert each.path.is_file()
        assert each.summary
        assert "command:" not in each.summary
        assert "command:" in each.head


def test_a_recipe_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    shipped = shipped_folder("recipes")
    assert find_recipe("ptb/cpu") == find_recipe("ptb/cpu.yaml") == shipped / "ptb" / "cpu.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("name: x")
    assert find_recipe(own) == own


def test_a_file_here_comes_before_one_that_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("quickstart.yaml").write_text("name: mine")
    assert find_recipe("quickstart.yaml").read_text() == "name: mine"


def test_no_such_recipe() -> None:
    with pytest.raises(ValueError, match="there is no recipe quickstar: .*did you mean quickstart?"):
        find_recipe("quickstar")
    with pytest.raises(ValueError, match="the ones that come along are collapse, encoder_first, ewt, "):
        find_recipe("zzz")


def test_a_copy_is_never_written_over_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = copy_recipe("ptb/cpu")
    assert copy == Path("cpu.yaml")
    assert copy.read_text() == find_recipe("ptb/cpu").read_text()
    with pytest.raises(ValueError, match="cpu.yaml exists already; name another file"):
        copy_recipe("ptb/cpu")
    assert "\nname: ptb-cpu\n" in copy.read_text()
    assert "\nname: other\n" in copy_recipe("ptb/cpu", "other.yaml").read_text()
    (tmp_path / "folder").mkdir()
    assert copy_recipe("ptb/cpu", "folder") == Path("folder/cpu.yaml")
    with pytest.raises(ValueError, match="there is no folder nowhere; make it first"):
        copy_recipe("ptb/cpu", "nowhere/x.yaml")


def test_data_that_come_along_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    toy = "data/toy/sentences.tsv"
    assert Path(locate(toy)) == shipped_folder("data") / "toy" / "sentences.tsv"
    for other in ("data/none", "owner/name", "/absolute", "text.txt"):
        assert locate(other) == other
    Path("data/toy").mkdir(parents=True)
    Path(toy).write_text("mine")
    assert locate(toy) == toy


def of_sentences() -> list[ShippedRecipe]:
    """The recipes of autoencoders of sentences; those of another kind are tried beside its own tests."""
    return [each for each in list_recipes() if kind_of_run(each.path) == USUAL]


@pytest.mark.slow
@pytest.mark.parametrize("shipped", of_sentences(), ids=lambda each: each.name)
def test_every_recipe_trains_two_steps(shipped: ShippedRecipe, tmp_path: Path) -> None:
    """On 300 sentences of the toy corpus, whatever its own corpus is, and with a vocabulary they can fill."""
    lines = (shipped_folder("data") / "toy" / "sentences.tsv").read_text().splitlines()
    (tmp_path / "some.tsv").write_text("\n".join(lines[:301]) + "\n")
    overrides = [f"data.path={tmp_path / 'some.tsv'}", "data.column=text", "data.label=topic"]
    overrides += ["training.tokens_per_step=256"]
    recipe = load_recipe(shipped.path)
    overrides += ["data.max_tokens=64"] if recipe.tokenizer.type != "word" else ["data.max_tokens=24"]
    if recipe.tokenizer.type != "word":
        overrides += ["tokenizer.vocabulary=340"]
    if recipe.data.sentences is not None:
        overrides += ["data.sentences=100"]
    overrides += [f"stages.{i}.encoder_updates=2" for i, stage in enumerate(recipe.stages) if stage.aggressive]
    steps: list[int] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "log":
            steps.append(event["step"])

    found = validate(shipped.path, overrides=overrides, dry_run=True, progress=watch)
    assert steps == list(range(1, 2 * len(recipe.stages) + 1))
    assert found.cost is not None
    assert found.measured["seconds_per_step"] > 0
