"""The recipes that come along: listed, found by name, copied; the data that come along: found from anywhere."""

from pathlib import Path

import pytest

from textlatent.run.recipes import copy_recipe, find_recipe, list_recipes, locate, shipped_folder


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
    with pytest.raises(ValueError, match="the ones that come along are collapse, ptb/cpu"):
        find_recipe("zzz")


def test_a_copy_is_never_written_over_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    copy = copy_recipe("ptb/cpu")
    assert copy == Path("cpu.yaml")
    assert copy.read_text() == find_recipe("ptb/cpu").read_text()
    with pytest.raises(ValueError, match="cpu.yaml exists already; name another file"):
        copy_recipe("ptb/cpu")
    assert copy_recipe("ptb/cpu", "other.yaml").is_file()
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
