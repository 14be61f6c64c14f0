"""Loading: YAML's traps, every fault at once with path, line and nearest name, overrides, round trips."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.recipe.bad_recipes import BAD
from textlatent.recipe.document import read_document, write_document
from textlatent.recipe.dump import MAY_CHANGE, differing_keys, dump_recipe
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.kinds import KINDS
from textlatent.recipe.load import load_any, load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import AnyRecipe, Section

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
GOOD = {"name": "x", "data": {"path": "y"}}


@pytest.fixture
def recipe_file(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "r.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: str(p.relative_to(ROOT / "recipes")))
def test_every_shipped_recipe_loads_and_says_how_to_run_it(path: Path) -> None:
    recipe = load_any(path)
    head = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    for word in ("command:", "machine:", "minutes:", "expected:"):
        assert word in head
    name = path.relative_to(ROOT / "recipes").with_suffix("")
    assert f"textlatent train {name}" in head or f"textlatent curve {name}" in head
    if isinstance(recipe, Recipe):
        assert recipe.data.path


def test_there_are_recipes() -> None:
    names = {str(path.relative_to(ROOT / "recipes")) for path in RECIPES}
    assert names >= {"quickstart.yaml", "ptb/cpu.yaml", "ptb/gpu.yaml", "tatoeba.yaml", "collapse.yaml"}


@pytest.mark.parametrize(("text", "overrides", "sentence"), BAD.values(), ids=BAD)
def test_each_fault_is_a_sentence(recipe_file, text: str, overrides: list[str], sentence: str) -> None:
    head = "name: x\n" if "name: a/b" not in text else "\n"
    head += "\n" if text.startswith("data: {") and text != "data: {}" else "data: {path: y}\n"
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe_file(head + text), overrides)
    assert sentence in str(caught.value)
    assert len(caught.value.faults) == 1, str(caught.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "r.yaml: is empty; start from one of `textlatent ls recipes`."),
        (b"# only a comment\n", "r.yaml: is empty"),
        (b"- a\n- b\n", "r.yaml: must be sections such as `data:` and `training:`"),
        (b"name: x\ndata:\n  path: caf\xe9\n", "r.yaml:3: is not UTF-8 text; save the file as UTF-8."),
        (b"name: x\n---\nname: y\n", "is not YAML: "),
        (b"seed: 1\n", "name (r.yaml): must be given. The run's folder inside `out`."),
        (b"name: x\n", "data.path (r.yaml): must name a folder, a file or a hub corpus"),
    ],
)
def test_a_file_that_is_no_recipe(recipe_file, content: bytes, sentence: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe_file(content))
    assert sentence in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.yaml: does not exist"):
        load_recipe(tmp_path / "nowhere.yaml")
    with pytest.raises(RecipeError, match="is a folder"):
        load_recipe(tmp_path)


def test_every_fault_at_once_in_the_order_of_the_file(recipe_file) -> None:
    text = """name: x
data: {path: y, colum: text}
objective:
  target_rate: 8
  beta: 1
  schedul: linear
training:
  steps: 5
  steps: 6
  clip: -1
"""
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe_file(text), ["model.prior=none", "nothing"])
    paths = [".".join(map(str, fault.keys)) for fault in caught.value.faults]
    assert paths[:5] == ["data.colum", "objective.target_rate", "objective.schedul", "training.steps", "training.clip"]
    assert sorted(paths[5:]) == ["", "model.prior"]
    assert str(caught.value).startswith("7 faults in ")


def test_yaml_reads_numbers_and_text_as_they_are_meant(recipe_file) -> None:
    text = """
name: no
data: {path: on, label: 1:30, column: 2020-01-01}
tokenizer: {path: y}
training: {learning_rate: 1e-4, clip: 1, steps: 20_000, weight_decay: 1.E-2, deterministic: True}
seed: 010
"""
    recipe = load_recipe(recipe_file(text))
    assert (recipe.name, recipe.data.path, recipe.tokenizer.path) == ("no", "on", "y")
    assert (recipe.data.label, recipe.data.column) == ("1:30", "2020-01-01")
    assert (recipe.training.learning_rate, recipe.training.clip, recipe.training.steps) == (1e-4, 1.0, 20_000)
    assert (recipe.training.weight_decay, recipe.training.deterministic, recipe.seed) == (0.01, True, 10)


def test_a_byte_order_mark_is_no_part_of_the_recipe(recipe_file) -> None:
    assert load_recipe(recipe_file(b"\xef\xbb\xbfname: x\ndata: {path: y}")).name == "x"


def test_overrides_are_read_as_yaml_and_the_last_wins(recipe_file) -> None:
    path = recipe_file("name: x\ndata: {path: y}\ntraining: {steps: 5}\nstages: [{name: a}, {name: b}]")
    recipe = load_recipe(
        path,
        [
            "training.steps=6",
            "training.steps=7",
            "training.learning_rate=1e-5",
            "data.label=",
            "evaluation.ladder=[1, 2]",
            "model.encoder.config.hidden_size=64",
            "stages.1.objective.beta=0",
            "data.path=a=b",
        ],
    )
    assert (recipe.training.steps, recipe.training.learning_rate, recipe.data.label) == (7, 1e-5, None)
    assert recipe.evaluation.ladder == [1, 2]
    assert recipe.model.encoder.config == {"hidden_size": 64}
    assert recipe.stages[1].objective.beta == 0
    assert recipe.data.path == "a=b"


def test_an_override_mends_what_it_replaces(recipe_file) -> None:
    path = recipe_file("name: x\ndata: {path: y}\nseed: 1\nseed: 2\ntraining: {steps: many}\nmodel: 5")
    recipe = load_recipe(path, ["seed=3", "training.steps=4", "model.latent_size=2", "stages.0.steps=9"])
    assert (recipe.seed, recipe.training.steps, recipe.model.latent_size, recipe.stages[0].steps) == (3, 4, 2, 9)


def test_loading_leaves_a_dictionary_as_it_was() -> None:
    values = {"name": "x", "data": {"path": "y"}}
    assert load_recipe(values, ["data.path=z"]).data.path == "z"
    assert values == {"name": "x", "data": {"path": "y"}}


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: str(p.relative_to(ROOT / "recipes")))
def test_a_dumped_recipe_loads_equal(tmp_path: Path, path: Path) -> None:
    if not isinstance(load_any(path), Recipe):  # of another kind, with other keys
        (tmp_path / "recipe.yaml").write_text(dump_recipe(load_any(path)))
        assert load_any(tmp_path / "recipe.yaml") == load_any(path)
        return
    recipe = load_recipe(path, ["stages.0.objective.lam=2", "tokenizer.path=no", "data.label='1e-4'"])
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    again = load_recipe(tmp_path / "recipe.yaml")
    assert again == recipe
    ours, theirs = (each.stages[0].objective.model_fields_set for each in (recipe, again))
    assert theirs == ours >= {"lam"}
    assert differing_keys(recipe, again) == []


_words = st.sampled_from(
    ["no", "on", "1e-4", "1:30", "010", "0x1f", "1_0", "~", "", ".5", "2020-01-01", "=", "<<", "é\n"]
)
_plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | _words


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(values=st.lists(_plain, max_size=5))
def test_what_is_written_is_read_back(tmp_path: Path, values: list) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(write_document({"values": values}).encode())
    assert read_document(path).values == {"values": values}


def test_what_a_resumed_run_may_change() -> None:
    old = load_recipe(GOOD)
    free = ["training.steps=9", "training.log_every=1", "evaluation.samples=2", "out=elsewhere", "stages.0.steps=4"]
    assert differing_keys(old, load_recipe(GOOD, free)) == []
    bound = ["seed=1", "training.learning_rate=1", "model.encoder.config.a=1", "stages.0.objective.beta=0"]
    assert differing_keys(old, load_recipe(GOOD, bound)) == [
        "seed",
        "model.encoder.config",
        "training.learning_rate",
        "model.encoder.config.a",
        "stages.0.objective.beta",
    ]


def test_every_key_that_may_change_exists() -> None:
    known = [_keys(kind) for kind in KINDS.values()]
    for pattern in MAY_CHANGE:
        section, _, key = pattern.partition(".")
        homes = [keys[section] for keys in known if section in keys]
        assert homes, pattern
        if section in ("training", "em"):
            assert any(key in home for home in homes), pattern


def _keys(kind: type[AnyRecipe]) -> dict[str, list[str]]:
    """The keys of a kind of recipe, each with those of the section that stands there."""
    found = {}
    for name, field in kind.model_fields.items():
        classes = [a for a in (field.annotation, *get_args(field.annotation)) if isinstance(a, type)]
        found[name] = [key for each in classes if issubclass(each, Section) for key in each.model_fields]
    return found


def test_a_recipe_is_read_without_torch() -> None:
    code = "import sys, textlatent.recipe.load, textlatent.recipe.dump; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
