"""encode: posteriors of a file's sentences, in its order."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from textlatent.run.encode import encode
from textlatent.run.folder import Run


def test_safetensors_and_npy(trained: Run, text_file: Path, tmp_path: Path) -> None:
    both, means = tmp_path / "z.safetensors", tmp_path / "z.npy"
    written = encode(trained, text_file, both)
    encode(str(trained.folder), text_file, means)
    posterior = trained.model_at("final").encode(text_file.read_text().splitlines())
    tensors = load_file(both)
    assert tensors.keys() == {"mean", "log_variance"}
    assert np.array_equal(tensors["mean"], posterior.mean.numpy())
    assert np.array_equal(tensors["log_variance"], posterior.log_variance.numpy())
    assert tensors["mean"].dtype == np.float32
    assert np.array_equal(np.load(means, allow_pickle=False), tensors["mean"])
    assert (written["sentences"], written["latent_size"], written["output"]) == (7, 4, str(both))


def test_what_was_left_out_is_told(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "holes.txt").write_text("the boat .\n\nthe sail .\n")
    written = encode(trained, tmp_path / "holes.txt", tmp_path / "z.npy")
    assert written["sentences"] == 2
    assert any("empty" in note for note in written["notes"])


def test_faults(trained: Run, text_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the output must end in .safetensors or .npy, got .*z.pt"):
        encode(trained, text_file, tmp_path / "z.pt")
    for ending in ("npy", "safetensors"):
        with pytest.raises(ValueError, match=f"could not write .*z.{ending}: .*No such file or directory"):
            encode(trained, text_file, tmp_path / "nowhere" / f"z.{ending}")
    with pytest.raises(ValueError, match="nowhere.txt"):
        encode(trained, tmp_path / "nowhere.txt", tmp_path / "z.npy")
