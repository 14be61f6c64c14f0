"""Every kind of file gives the same rows; every fault its sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from textlatent.corpus.batches import collate, evaluation_batches, plan_epoch
from textlatent.corpus.vectors import VectorSplit, read_matrix, read_vectors

ROWS = np.array([[1.5, -2.0], [0.25, 3.0], [1e-3, 1e3]], dtype=np.float32)


def _write(path: Path, rows: np.ndarray = ROWS) -> Path:
    if path.suffix == ".npy":
        np.save(path, rows)
    elif path.suffix == ".safetensors":
        save_file({"mean": rows, "log_variance": np.zeros_like(rows)}, str(path))
    else:
        separator = "," if path.suffix == ".csv" else "\t"
        path.write_text("\n".join(separator.join(str(float(cell)) for cell in row) for row in rows) + "\n")
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.safetensors", "a.csv", "a.tsv"])
def test_every_kind_of_file_holds_the_same_rows(tmp_path: Path, name: str) -> None:
    found = read_matrix(_write(tmp_path / name))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, ROWS)


def test_whole_numbers_and_float64_are_taken(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_matrix(_write(tmp_path / "a.npy", ROWS.astype(np.float64))), ROWS)
    np.testing.assert_array_equal(read_matrix(_write(tmp_path / "b.npy", np.array([[1, 2]]))), [[1.0, 2.0]])


def test_a_header_and_empty_lines_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("width,height\n1,2\n\n3,4\n")
    np.testing.assert_array_equal(read_matrix(tmp_path / "a.csv"), [[1.0, 2.0], [3.0, 4.0]])


def test_a_tensor_is_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(read_matrix(path, tensor="log_variance"), np.zeros_like(ROWS))
    with pytest.raises(ValueError, match="holds no tensor 'means'; set data.tensor to one of log_variance, mean"):
        read_matrix(path, tensor="means")
    save_file({"one": ROWS}, str(path))
    np.testing.assert_array_equal(read_matrix(path), ROWS)


def test_a_folder_and_three_files_are_three_splits(tmp_path: Path) -> None:
    for i, split in enumerate(("train", "valid", "test")):
        _write(tmp_path / f"{split}.npy", ROWS + i)
    folder = read_vectors(tmp_path)
    named = read_vectors(train=tmp_path / "train.npy", valid=tmp_path / "valid.npy", test=tmp_path / "test.npy")
    assert folder.sha256 == named.sha256
    assert folder.test.vectors.tolist() == (ROWS + 2).tolist()
    assert folder.files["valid"] == str(tmp_path / "valid.npy")


def test_one_file_is_cut_by_a_hash_of_the_row(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((400, 3)).astype(np.float32)
    found = read_vectors(_write(tmp_path / "a.npy", np.concatenate([rows, rows[:50]])), valid_fraction=0.2)
    parts = {name: getattr(found, name) for name in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == 450
    assert 50 < len(parts["valid"]) < 130
    for name, part in parts.items():  # a row and its copy lie in one split, under the number they have in the file
        assert part.vectors.tolist() == np.concatenate([rows, rows[:50]])[part.index.numpy()].tolist()
        others = [row for other, each in parts.items() if other != name for row in map(tuple, each.vectors.tolist())]
        assert not set(map(tuple, part.vectors.tolist())) & set(others)
    again = read_vectors(tmp_path / "a.npy", valid_fraction=0.2, split_seed=1)
    assert again.valid.index.tolist() != parts["valid"].index.tolist()
    assert again.sha256 != found.sha256


def test_a_row_is_a_sentence_of_one_token() -> None:
    split = VectorSplit(torch.from_numpy(ROWS), torch.tensor([4, 5, 9]))
    steps = plan_epoch(split.lengths, tokens_per_step=2, seed=0, epoch=0)
    assert sorted(map(len, steps)) == [1, 2]
    assert sorted(torch.cat(steps).tolist()) == [0, 1, 2]
    assert [len(rows) for rows in evaluation_batches(split.lengths, tokens_per_batch=2)] == [2, 1]
    batch = dict(collate(split, torch.tensor([2, 0])))
    assert batch.keys() == {"vectors", "index"}
    assert batch["vectors"].tolist() == ROWS[[2, 0]].tolist()  # type: ignore[union-attr]
    assert batch["index"].tolist() == [9, 4]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "1,2\n3,x\n", r"a.csv:2: column 2 is not a number: 'x'; mend it"),
        ("a.csv", "1,2\n3\n", r"a.csv:2: 1 columns, 2 in the rows before"),
        ("a.csv", "a,2\n3,4\n", r"a.csv:1: column 1 is not a number: 'a'"),
        ("a.csv", "1,2\n3,nan\n", r"row 1, column 1 \(from 0\) is not a finite float32, and so are 0 more"),
        ("a.csv", "1,2\n3,1e60\n", r"row 1, column 1 \(from 0\) is not a finite float32"),
        ("a.csv", "", r"a matrix \[rows, columns\] is needed"),
        ("a.npy", "no numbers", r"a.npy is no .npy file of numbers"),
        ("a.safetensors", "no numbers", r"a.safetensors is damaged"),
        ("a.txt", "1 2", r"vectors are read from .npy, .safetensors, .csv, .tsv"),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_matrix(tmp_path / name)


def test_bad_matrices(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a matrix \[rows, columns\] is needed, got the shape \[3\]"):
        read_matrix(_write(tmp_path / "a.npy", np.ones(3)))
    with pytest.raises(ValueError, match="real numbers are needed, got complex128"):
        read_matrix(_write(tmp_path / "a.npy", np.ones((2, 2), complex)))
    with pytest.raises(ValueError, match="there is no file"):
        read_matrix(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="data.tensor \\('mean'\\) is for .safetensors"):
        read_matrix(tmp_path / "a.npy", tensor="mean")


def test_bad_splits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must name a folder or a file of vectors"):
        read_vectors()
    with pytest.raises(ValueError, match="holds no train"):
        read_vectors(tmp_path)
    train, valid = _write(tmp_path / "train.npy"), _write(tmp_path / "valid.npy", ROWS[:, :1])
    with pytest.raises(ValueError, match="all splits must have as many columns: .*train.npy 2, .*valid.npy 1"):
        read_vectors(train=train, valid=valid)
    with pytest.raises(ValueError, match="valid has 0 rows, at least 2 are needed"):
        read_vectors(train=train, valid_fraction=1e-9)
    _write(tmp_path / "train.csv")
    with pytest.raises(ValueError, match="holds train.npy and train.csv; keep one"):
        read_vectors(tmp_path)
