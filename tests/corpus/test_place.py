import pytest

from textlatent.corpus.place import find_files, is_hub_name, read_hub, require_file


@pytest.fixture
def folder(tmp_path):
    for name in ("train.txt", "valid.txt", "test.txt", "notes.md"):
        (tmp_path / name).write_text("a sentence\n")
    return tmp_path


def test_a_folder_of_three_files(folder):
    assert {split: file.name for split, file in find_files(folder, {}, "auto").items()} == {
        "train": "train.txt",
        "valid": "valid.txt",
        "test": "test.txt",
    }


@pytest.mark.parametrize("name", ["valid", "validation", "dev", "val"])
def test_names_of_the_validation_split(tmp_path, name):
    for file in ("train", name):
        (tmp_path / f"{file}.jsonl").write_text("{}")
    assert find_files(tmp_path, {}, "auto")["valid"].name == f"{name}.jsonl"


def test_a_format_chooses_among_files(folder):
    (folder / "train.jsonl").write_text("{}")
    assert find_files(folder, {}, "jsonl")["train"].name == "train.jsonl"
    with pytest.raises(ValueError, match=r"train\.jsonl, train\.txt could each be the train split; name the files"):
        find_files(folder, {}, "auto")


def test_unknown_endings_are_taken_where_the_format_is_named(tmp_path):
    (tmp_path / "train.en").write_text("a")
    assert find_files(tmp_path, {}, "text")["train"].name == "train.en"
    with pytest.raises(ValueError, match=r"no training file such as train\.txt .*there are: train\.en"):
        find_files(tmp_path, {}, "auto")


def test_files_named(folder):
    given = {"train": folder / "train.txt", "valid": folder / "notes.md"}
    assert find_files(None, given, "text") == given


FAULTS = [
    ({}, "auto", r"no training text: set data\.path to a file or a folder, or data\.train"),
    ({"valid": "valid.txt"}, "auto", r"no training text"),
    (
        {"train": "trian.txt"},
        "auto",
        r"data\.train .*trian\.txt does not exist \(did you mean 'train\.txt'\?\); in .* notes\.md",
    ),
    (
        {"train": "train.txt"},
        "txt",
        r"data\.format must be one of auto, text, .*hub, got 'txt' \(did you mean 'text'\?\)",
    ),
    ({"train": "."}, "auto", r"data\.train .* is a folder; name one of its files: notes\.md"),
]


@pytest.mark.parametrize(("given", "format", "match"), FAULTS)
def test_faults(folder, given, format, match):
    with pytest.raises(ValueError, match=match):
        find_files(None, {split: folder / name for split, name in given.items()}, format)


def test_path_and_files_exclude_each_other(folder):
    with pytest.raises(ValueError, match=r"data\.path .* and data\.train are both given"):
        find_files(folder, {"train": folder / "train.txt"}, "auto")


def test_a_missing_folder_is_named_from_where_something_exists(folder):
    (folder / "corpora").mkdir()
    with pytest.raises(
        ValueError, match=r"does not exist \(did you mean 'corpora'\?\); in .* there are: corpora, notes\.md"
    ):
        require_file(folder / "corpra" / "ptb" / "train.txt", "data.train")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"there are: no files"):
        find_files(tmp_path, {}, "auto")


def test_what_is_a_hub_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "data").mkdir()
    assert is_hub_name("owner/name", "auto")
    assert is_hub_name("anything", "hub")
    for path in (
        "train.txt",
        "data/missing",
        "owner/name.txt",
        "owner/name.jsonl.gz",
        "a/b/c",
        "./name",
        "/owner/name",
        "name",
    ):
        assert not is_hub_name(path, "auto"), path
    assert not is_hub_name("owner/name", "text")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`datasets` reads a folder by the same call as a dataset of the hub; nothing is looked up on the network."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def test_hub_splits(hub):
    for split in ("train", "validation", "unsupervised"):
        (hub / f"{split}.jsonl").write_text('{"body": " one ", "kind": "b"}\n{"body": "", "kind": "a"}\n')
    tables, tallies = read_hub(str(hub), config=None, column="body", label="kind", on_bad_row="error")
    assert set(tables) == {"train", "valid"}
    assert tables["train"].to_dict() == {"text": ["one"], "row": [1], "label": ["b"]}
    assert tallies["train"].empty == 1
    with pytest.raises(ValueError, match=r"\[train\]: no column 'text' \(data\.column\); there are: body, kind"):
        read_hub(str(hub), config=None, column="text", label=None, on_bad_row="error")


def test_hub_without_training_split(hub):
    (hub / "test.jsonl").write_text('{"text": "one"}\n')
    with pytest.raises(ValueError, match=r"the hub dataset has no training split; it has: test"):
        read_hub(str(hub), config=None, column="text", label=None, on_bad_row="error")


def test_hub_that_cannot_be_loaded(hub):
    match = (
        r"data\.path 'owner/name' is no file here, and as a hub dataset it could not be loaded \(.*\); check the name"
    )
    with pytest.raises(ValueError, match=match):
        read_hub("owner/name", config=None, column="text", label=None, on_bad_row="error")
