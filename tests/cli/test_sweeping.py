"""curve and compare from the shell: what they are asked, what they say, what is on the page to paste."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.toy_run import toy_recipe
from textlatent.cli.main import app
from textlatent.cli.sweeping import _row, _spoken
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import load_recipe

SHORT: dict[str, Any] = {
    "training": {"steps": 1, "log_every": 1, "sample_every": 0},
    "evaluation": {"samples": 2, "ladder": [1], "sentences": 6},
}


def _say(*arguments: object) -> str:
    """What the command prints."""
    done = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("swept")
    (folder / "toy.yaml").write_text(dump_recipe(load_recipe(toy_recipe(folder, SHORT))))
    said = _say("curve", folder / "toy.yaml", "--betas", "0.5,1", "--no-baseline", "--seeds", "3")
    return folder / "runs" / "toy", said


def test_curve(swept: tuple[Path, str]) -> None:
    folder, said = swept
    lines = said.splitlines()
    assert "point 1 of 2, beta-0.5-seed-3" in lines
    assert any(line.startswith("point 2 of 2, beta-1-seed-3, about 0:") for line in lines)
    assert any(line.startswith("beta-1-seed-3: rate ") and "IW-NLL" in line for line in lines)
    (header,) = [line for line in lines if line.startswith("point ") and "on hull" in line]
    assert [name for name in ("rate", "-ELBO", "information", "beta", "time") if name in header]
    assert f"The curve is in {folder}: curve.json, curve.png and a run for every point." in lines
    assert {path.name for path in folder.iterdir()} == {"points", "curve.json", "curve.png"}


def test_compare_in_every_format(swept: tuple[Path, str]) -> None:
    runs = sorted((swept[0] / "points").iterdir())
    plain = _say("compare", *runs)
    assert plain.splitlines()[0].split()[:3] == ["run", "rate", "distortion"]
    assert "less those of beta-0.5-seed-3, paired by sentence" in plain
    assert "Star: lowest" in plain
    assert _say("compare", *runs, "--format", "markdown").startswith("| run ")
    assert r"\toprule" in _say("compare", *runs, "--format", "latex")
    content = json.loads(_say("compare", *runs, "--format", "json", "--reference", runs[1]))
    assert content["reference"] == "beta-1-seed-3"


def test_what_cannot_be_read(swept: tuple[Path, str]) -> None:
    with pytest.raises(ValueError, match="--rates takes numbers with commas between them, as in 1,2,4; got '1,two'"):
        _say("curve", "quickstart", "--rates", "1,two")
    with pytest.raises(ValueError, match="--seeds takes numbers with commas"):
        _say("curve", "quickstart", "--rates", "1,2", "--seeds", "0.5")
    with pytest.raises(ValueError, match="--codes takes numbers with commas between them, as in 1,2,4; got 'many'"):
        _say("curve", "quickstart", "--codes", "many")
    with pytest.raises(ValueError, match="model.type: gaussian; add --set model.type=vq"):
        _say("curve", "quickstart", "--codes", "4,8", "--positions", "2")
    with pytest.raises(ValueError, match="nowhere is not a run's folder"):
        _say("curve", "quickstart", "--rates", "1,2", "--with", "nowhere")
    with pytest.raises(ValueError, match="--reference must be one of the runs given, a, b; got c"):
        _say("compare", "a", "b", "--reference", "c")


def test_what_a_point_says() -> None:
    begun = {"event": "point", "number": 2, "of": 3, "point": "rate-2-seed-0"}
    assert (
        _spoken(begun | {"finished": False, "seconds_left": 90.0})["text"]
        == "point 2 of 3, rate-2-seed-0, about 1:30 left"
    )
    assert (
        _spoken(begun | {"finished": True, "seconds_left": None})["text"]
        == "point 2 of 3, rate-2-seed-0: finished before"
    )
    done = {"event": "point_done", "point": "a", "finished": False}
    nats = {f"{name}_nats": float(i) for i, name in enumerate(("rate", "distortion", "neg_elbo", "iw_nll"))}
    assert _spoken(done | nats)["text"] == "a: rate 0.00  distortion 1.00  -ELBO 2.00  IW-NLL 3.00"
    assert _spoken(done | {"finished": True})["event"] == "point_done", "nothing is said of it twice"


def test_a_row_has_the_nll_that_was_summed_where_there_is_one() -> None:
    nats = {f"{name}_nats": {"value": float(i)} for i, name in enumerate(("rate", "distortion", "neg_elbo", "iw_nll"))}
    rest = {"information_nats": None, "active_units": None, "codes": None, "beta": 1.0, "on_hull": False}
    point = {"name": "a", **nats, **rest, "training_seconds": 1.0}
    assert _row(point | {"marginal_nll_nats": None})[4] == "3.000"
    assert _row(point | {"marginal_nll_nats": {"value": 2.5}})[4] == "2.500"
