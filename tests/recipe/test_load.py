"""Loading: YAML's traps, every fault at once with path, line and nearest name, overrides, round trips."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textlatent.recipe.document import read_document, write_document
from textlatent.recipe.dump import MAY_CHANGE, differing_keys, dump_recipe
from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe

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
    recipe = load_recipe(path)
    head = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    for word in ("command:", "machine:", "minutes:", "expected:"):
        assert word in head
    assert f"textlatent train {path.relative_to(ROOT / 'recipes').with_suffix('')}" in head
    assert recipe.data.path


def test_there_are_recipes() -> None:
    names = {str(path.relative_to(ROOT / "recipes")) for path in RECIPES}
    assert names >= {"quickstart.yaml", "ptb/cpu.yaml", "ptb/gpu.yaml", "tatoeba.yaml", "collapse.yaml"}


BAD = {
    "misspelt key": (
        "training:\n  step: 5",
        [],
        "training.step (r.yaml:4): is no key of training; did you mean training.steps?",
    ),
    "misspelt section": ("traning: {}", [], "traning (r.yaml:3): is no key of a recipe; did you mean training?"),
    "key of another section": (
        "learning_rate: 1",
        [],
        "learning_rate (r.yaml:3): is no key of a recipe; did you mean training.learning_rate?",
    ),
    "a key like no other": (
        "model:\n  zzz: 1",
        [],
        "model.zzz (r.yaml:4): is no key of model; it may hold latent_size, prior",
    ),
    "1e-4 where text is asked": (
        "data: {path: 1e-4}",
        [],
        'data.path (r.yaml:3): must be text, got the number 0.0001; if the text is meant, put it in quotes: "1e-4".',
    ),
    "a fraction of a step": (
        "training: {steps: 1.5}",
        [],
        "training.steps (r.yaml:3): must be a whole number, got the number 1.5.",
    ),
    "1e3 steps": ("training: {steps: 1e3}", [], "must be a whole number, got the number 1000.0; write 1000."),
    "text for a number": (
        "training:\n  learning_rate: fast",
        [],
        "training.learning_rate (r.yaml:4): must be a number, got the text 'fast'.",
    ),
    "truth for a number": ("objective: {lam: true}", [], "objective.lam (r.yaml:3): must be a number, got true."),
    "no for false": ("training: {deterministic: no}", [], "must be true or false, got the text 'no'; write false."),
    "text for a list": (
        "training: {trackers: tensorboard}",
        [],
        "training.trackers (r.yaml:3): must be a list such as [a, b], got the text 'tensorboard'.",
    ),
    "a number for a section": (
        "model: 3",
        [],
        "model (r.yaml:3): must be a section of its own keys, got the number 3.",
    ),
    "an empty section": (
        "model:",
        [],
        "model (r.yaml:3): must be a section of its own keys, got nothing; give it keys or take its line out.",
    ),
    "nothing for a number": (
        "model:\n  latent_size:",
        [],
        "model.latent_size (r.yaml:4): must be a whole number, got nothing.",
    ),
    "below its bound": ("objective: {lam: -1}", [], "objective.lam (r.yaml:3): must be >= 0, got -1."),
    "not above its bound": ("training: {clip: 0}", [], "training.clip (r.yaml:3): must be > 0, got 0."),
    "above its bound": ("objective: {ramp: 1.5}", [], "objective.ramp (r.yaml:3): must be <= 1, got 1.5."),
    "nan": ("objective: {lam: .nan}", [], "objective.lam (r.yaml:3): must be a finite number, got the number nan."),
    "infinite": (
        "training: {clip: .inf}",
        [],
        "training.clip (r.yaml:3): must be a finite number, got the number inf.",
    ),
    "an unknown choice": (
        "model: {prior: learnd}",
        [],
        "model.prior (r.yaml:3): must be one of standard, learned, got the text 'learnd'; did you mean learned?",
    ),
    "neither text nor whole number": (
        "data: {path: y, column: 1.5}",
        [],
        "data.column (r.yaml:3): must be text or a whole number, got the number 1.5.",
    ),
    "too few entries": (
        "training: {betas: [0.9]}",
        [],
        "training.betas (r.yaml:3): must have at least 2 entries, got a list of 1.",
    ),
    "too many entries": (
        "training: {betas: [0.9, 0.9, 0.9]}",
        [],
        "training.betas (r.yaml:3): must have at most 2 entries, got a list of 3.",
    ),
    "betas beyond 1": (
        "training: {betas: [0.9, 1.5]}",
        [],
        "training.betas (r.yaml:3): must be two numbers in [0, 1), got [0.9, 1.5].",
    ),
    "a folder for a name": (
        "name: a/b",
        [],
        "name (r.yaml:3): must be a folder's name of letters, digits, '_', '.' and '-', got 'a/b'.",
    ),
    "a duplicate key": (
        "seed: 1\nseed: 2",
        [],
        "seed (r.yaml:4): is given twice, first at r.yaml:3; take one of the two out.",
    ),
    "a duplicate section": ("data: {}", [], "data (r.yaml:3): is given twice, first at r.yaml:2"),
    "a tab": ("training:\n\tsteps: 5", [], "r.yaml:4: a tab stands where spaces must; indent with spaces."),
    "no colon": ("training\n  steps: 5", [], "is not YAML: "),
    "an open bracket": ("stages: [", [], "is not YAML: "),
    "a python tag": (
        "seed: !!python/name:os.system x",
        [],
        "seed (r.yaml:3): a recipe holds plain values, not tag:yaml.org,2002:python/name:os.system; take the tag out.",
    ),
    "a loop": ("stages: &a [*a]", [], "stages.0 (r.yaml:3): refers to itself; write the values out."),
    "rate and beta": (
        "objective: {target_rate: 8, beta: 1}",
        [],
        "objective.target_rate (r.yaml:3): finds beta itself, so objective.beta must be null",
    ),
    "rate and schedule": (
        "objective: {target_rate: 8, schedule: linear, schedule_steps: 5}",
        [],
        "so objective.schedule must be constant, got 'linear'.",
    ),
    "a schedule of no length": (
        "objective: {schedule: cyclical}",
        [],
        "objective.schedule_steps (r.yaml:3): must be the number of steps that a cyclical schedule lasts.",
    ),
    "a stage's rate and beta": (
        "objective: {beta: 1.0}\nstages:\n- objective: {target_rate: 3}",
        [],
        "stages.0.objective.target_rate (r.yaml:5): finds beta itself",
    ),
    "two stages of one name": (
        "stages: [{steps: 1}, {steps: 2}]",
        [],
        "stages.1.name (r.yaml:3): must be its own, got 'train' again.",
    ),
    "a stage that teaches nobody": (
        "stages: [{learn: []}]",
        [],
        "stages.0.learn (r.yaml:3): must have at least 1 entries, got a list of 0.",
    ),
    "an unknown part": (
        "stages: [{learn: [enc]}]",
        [],
        "stages.0.learn.0 (r.yaml:3): must be one of encoder, prior, decoder, got the text 'enc'; did you mean enc",
    ),
    "a falling ladder": (
        "evaluation: {ladder: [10, 1]}",
        [],
        "evaluation.ladder (r.yaml:3): must rise from 1 or more, got [10, 1].",
    ),
    "nothing left to train on": (
        "data: {path: y, valid_fraction: 0.5, test_fraction: 0.5}",
        [],
        "data.valid_fraction (r.yaml:3): plus data.test_fraction must be < 1",
    ),
    "every piece of unigram": (
        "tokenizer: {vocabulary: null}",
        [],
        "tokenizer.vocabulary (r.yaml:3): must be a number for type unigram",
    ),
    "path and files": (
        "data: {path: y, train: z}",
        [],
        "data.path (r.yaml:3): cannot stand beside data.train; keep the one you mean.",
    ),
    "--set of no value": ("", ["seed"], "--set seed: must look like section.key=value, as in training.steps=500."),
    "--set of a misspelt key": (
        "",
        ["trainin.steps=5"],
        "trainin (--set trainin.steps=5): is no key of a recipe; did you mean training?",
    ),
    "--set of a wrong type": (
        "",
        ["training.steps=many"],
        "training.steps (--set training.steps=many): must be a whole number, got the text 'many'.",
    ),
    "--set of no YAML": ("", ["training.betas=[0.9"], "training.betas (--set training.betas=[0.9): is not YAML: "),
    "--set beyond a list": (
        "stages: [{steps: 1}]",
        ["stages.1.steps=2"],
        "stages.1 (--set stages.1.steps=2): must name one of the 1 entries, 0 is the first.",
    ),
    "--set below a value": ("", ["seed.x=2"], "seed (--set seed.x=2): must be a whole number, got a section."),
}


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
    recipe = load_recipe(path, ["stages.0.objective.lam=2", "tokenizer.path=no", "data.label='1e-4'"])
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe))
    again = load_recipe(tmp_path / "recipe.yaml")
    assert again == recipe
    assert again.stages[0].objective.model_fields_set == {"lam"}
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
    recipe = load_recipe(GOOD).model_dump()
    for pattern in MAY_CHANGE:
        section, _, key = pattern.partition(".")
        assert section in recipe
        if section == "training":
            assert key in recipe["training"]


def test_a_recipe_is_read_without_torch() -> None:
    code = "import sys, textlatent.recipe.load, textlatent.recipe.dump; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
