import pytest
from datasets import ClassLabel, Dataset, Features, Value

from textlatent.corpus import table
from textlatent.corpus.lines import Tally
from textlatent.corpus.rows import read_rows
from textlatent.corpus.table import quiet, to_dataset


def parquet(path, columns, features=None):
    with quiet():
        Dataset.from_dict(columns, features=features).to_parquet(str(path))
    return path


def read(path, on_bad_row="error", column="text", label=None):
    tally = Tally(str(path), on_bad_row)
    return read_rows(path, tally, format="parquet", column=column, label=label).to_dict(), tally


def rows(count):
    return ((i + 1, f"sentence {i}", str(i % 3)) for i in range(count))


@pytest.mark.parametrize("labelled", [False, True])
def test_what_is_on_disk_equals_what_is_in_memory(monkeypatch, labelled):
    monkeypatch.setattr(table, "CHUNK", 7)
    memory = to_dataset(rows(50), Tally("f"), labelled=labelled)
    monkeypatch.setattr(table, "IN_MEMORY", 200)
    disk = to_dataset(rows(50), Tally("f"), labelled=labelled)
    assert not memory.cache_files
    assert len(disk.cache_files) > 1  # memory-mapped, its folder already gone
    assert disk.to_dict() == memory.to_dict()
    assert disk.features == memory.features
    assert memory.column_names == ["text", "row"] + ["label"] * labelled
    assert disk.select(range(40, 50))["text"][:] == [f"sentence {i}" for i in range(40, 50)]


def test_parquet(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"text": ["one ", "", "three"], "n": [1, 2, 3]})
    columns, tally = read(path, label="n")
    assert columns == {"text": ["one", "three"], "row": [1, 3], "label": ["1", "3"]}
    assert tally.empty == 1


def test_parquet_class_labels_keep_their_names(tmp_path):
    features = Features({"text": Value("string"), "kind": ClassLabel(names=["no", "yes"])})
    path = parquet(tmp_path / "a.parquet", {"text": ["a", "b", "c"], "kind": [1, 0, -1]}, features)
    with pytest.raises(ValueError, match=r"a\.parquet:3: the label is missing"):
        read(path, label="kind")
    assert read(path, "skip", label="kind")[0]["label"] == ["yes", "no"]


def test_parquet_faults(tmp_path):
    path = parquet(tmp_path / "a.parquet", {"text": ["a", None], "n": [1, 2]})
    with pytest.raises(ValueError, match=r"a\.parquet:2: column 'text' must hold a string, got null"):
        read(path)
    with pytest.raises(ValueError, match=r"a\.parquet:1: column 'n' must hold a string, got the number 1"):
        read(path, column="n")
    with pytest.raises(ValueError, match=r"a\.parquet: no column 'txt' .*did you mean 'text'.*there are: text, n"):
        read(path, column="txt")
    broken = tmp_path / "b.parquet"
    broken.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"b\.parquet: cannot be read as parquet"):
        read(broken)


def test_quiet_puts_the_progress_bars_back():
    from datasets.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

    before = is_progress_bar_enabled()
    try:
        for turn, shown in ((enable_progress_bar, True), (disable_progress_bar, False)):
            turn()
            with quiet():
                assert not is_progress_bar_enabled()
            assert is_progress_bar_enabled() is shown
    finally:
        (enable_progress_bar if before else disable_progress_bar)()
