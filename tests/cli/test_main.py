"""Every verb from the shell, on a model of a few steps; and what goes wrong as one sentence with exit code 2."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from textlatent.cli.main import VERBS, main

TEXTS = [f"the {a} {b} {c} ." for a in ("big", "red", "old") for b in ("dog", "cat") for c in ("runs", "sits", "eats")]
RECIPE = """
name: tiny
data: {path: %s, max_tokens: 8}
tokenizer: {type: word, vocabulary: null}
model:
  latent_size: 2
  prior: learned
  encoder: {config: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32}}
  decoder: {config: {hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2}}
training: {steps: 4, tokens_per_step: 64, log_every: 1, warmup_steps: 1}
evaluation: {samples: 4, ladder: [1, 4]}
"""

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["textlatent", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, a recipe, and a run of four steps."""
    from textlatent import run

    folder = tmp_path_factory.mktemp("work")
    for split in ("train", "valid", "test"):
        (folder / f"{split}.txt").write_text("\n".join(TEXTS) + "\n")
    (folder / "tiny.yaml").write_text(RECIPE % folder)
    run.train(folder / "tiny.yaml", out=folder / "runs")
    return folder


@pytest.fixture
def tiny(folder: Path) -> Path:
    return folder / "runs" / "tiny"


def test_every_verb_has_one_line_of_help_that_fits(command: Command) -> None:
    code, out, _ = command("--help")
    assert code == 0
    for verb in VERBS:
        assert f"  {verb.__name__} " in out
    assert "..." not in out.partition("Commands:")[2]


def test_train_says_what_it_does_and_where_the_run_is(command: Command, folder: Path) -> None:
    code, out, err = command("train", folder / "tiny.yaml", "--out", folder / "other", "--set", "training.steps=5")
    assert (code, err) == (0, "")
    for part in (
        "step 1/5",
        "step 5/5",
        "rate ",
        "tokens/s",
        "validation",
        "-ELBO",
        "18 sentences of test",
        "IW-NLL, K = 4",
    ):
        assert part in out
    assert out.splitlines()[-1] == f"The run is in {folder / 'other' / 'tiny'}."
    code, out, _ = command("train", folder / "tiny.yaml", "--out", folder / "other", "--set", "training.steps=6")
    assert code == 0
    assert "resumed from checkpoint step-5" in out
    assert "step 6/6" in out


def test_train_starts_from_another_run(command: Command, folder: Path, tiny: Path) -> None:
    code, out, _ = command("train", folder / "tiny.yaml", "--out", folder / "third", "--start", tiny)
    assert code == 0
    assert f"started from the weights of {tiny}" in out


def test_evaluate(command: Command, folder: Path, tiny: Path) -> None:
    code, out, _ = command(
        "evaluate", tiny, "--split", "valid", "--samples", 2, "--sentences", 5, "--checkpoint", "step-4"
    )
    assert code == 0
    assert "5 sentences of valid" in out
    for name in ("rate", "distortion", "-ELBO", "IW-NLL, K = 2", "information", "active units"):
        assert name in out
    code, out, _ = command("evaluate", tiny, "--text", folder / "train.txt", "--samples", 2)
    assert code == 0
    assert "18 sentences of" in out


def test_score(command: Command, folder: Path, tiny: Path) -> None:
    code, out, _ = command("score", tiny, folder / "test.txt", "--samples", 2)
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["sentence"] for row in rows] == TEXTS
    code, _, err = command("score", tiny, folder / "test.txt", "--samples", 2, "--output", folder / "nats.csv")
    assert (code, err.splitlines()[-1]) == (0, f"wrote 18 rows to {folder / 'nats.csv'}")
    with (folder / "nats.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["iw_nll_nats"]) for row in written] == [row["iw_nll_nats"] for row in rows]


def test_sample(command: Command, tiny: Path) -> None:
    code, out, _ = command("sample", tiny, "--count", 3, "--seed", 1)
    assert (code, len(out.splitlines())) == (0, 3)
    assert command("sample", tiny, "--count", 3, "--seed", 1)[1] == out
    assert command("sample", tiny, "--count", 2, "--temperature", 0.5, "--top-p", 0.9)[0] == 0
    assert command("sample", tiny, "--count", 2, "--beams", 2)[0] == 0


def test_reconstruct(command: Command, tiny: Path) -> None:
    code, out, _ = command("reconstruct", tiny, "--show", 2)
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 3)
    assert lines[-1].startswith("18 sentences: token accuracy 0.")
    code, out, _ = command("reconstruct", tiny, "the big dog runs .")
    assert code == 0
    assert out.startswith("the big dog runs .  ")
    assert "1 sentences: token accuracy" in out


def test_interpolate(command: Command, tiny: Path) -> None:
    code, out, _ = command(
        "interpolate", tiny, "the big dog runs .", "the old cat eats .", "--steps", 3, "--kind", "slerp"
    )
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["0.00", "0.50", "1.00"])
    code, out, _ = command("interpolate", tiny, "the big dog runs .", "--dimension", 1, "--steps", 3)
    assert (code, [line.split()[0] for line in out.splitlines()]) == (0, ["-3.00", "0.00", "3.00"])


def test_encode_and_standardise(command: Command, folder: Path, tiny: Path) -> None:
    code, out, _ = command("encode", tiny, folder / "test.txt", folder / "z.npy")
    assert (code, out) == (0, f"wrote 18 sentences x 2 dimensions to {folder / 'z.npy'}\n")
    code, out, _ = command("standardise", tiny, folder / "standard")
    assert (code, out) == (0, f"wrote {folder / 'standard'}\n")
    assert (folder / "standard" / "config.json").is_file()


def test_ls_cp_env_and_validate(
    command: Command, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "quickstart" in command("ls")[1]
    assert command("ls")[1] == command("ls", "recipes")[1]
    assert command("cp", "ptb/cpu")[:2] == (0, "wrote cpu.yaml\n")
    code, out, _ = command("env")
    assert code == 0
    for name in ("platform", "cores", "torch", "transformers"):
        assert f"{name} " in out
    code, out, _ = command("validate", folder / "tiny.yaml", "--set", "training.steps=7", "--dry-run")
    assert code == 0
    for part in ("tiny: no fault found", "steps                  7", "parameters", "training, measured"):
        assert part in out
    assert [path.name for path in tmp_path.iterdir()] == ["cpu.yaml"]


BAD = {
    "no such recipe": (["train", "nowhere.yaml"], "there is no recipe nowhere.yaml"),
    "a misspelt key": (["train", "TINY", "--set", "training.step=1"], "did you mean training.steps?"),
    "a misspelt key, validated": (["validate", "TINY", "--set", "training.step=1"], "did you mean training.steps?"),
    "no such corpus": (["train", "TINY", "--set", "data.path=./nowhere", "--set", "name=a"], "nowhere does not exist"),
    "a vocabulary too large": (
        ["train", "TINY", "--set", "tokenizer.type=unigram", "--set", "tokenizer.vocabulary=5000", "--set", "name=b"],
        "vocabulary",
    ),
    "a sentence too long": (["train", "TINY", "--set", "data.max_tokens=5", "--set", "name=c"], "max_tokens"),
    "another recipe's folder": (
        ["train", "TINY", "--out", "RUNS", "--set", "seed=5"],
        "holds a run of another recipe: seed",
    ),
    "no such setting": (
        ["train", "TINY", "--set", "name=d", "--set", "model.encoder.config.hidden_sise=16"],
        "did you mean 'hidden_size'?",
    ),
    "no such backbone": (["train", "TINY", "--set", "name=e", "--set", "model.encoder.backbone=brt"], "'bert'"),
    "no run": (["evaluate", "nowhere"], "nowhere is not a run's folder"),
    "no such checkpoint": (["evaluate", "RUN", "--checkpoint", "step-9"], "has no checkpoint 'step-9'; it has "),
    "no such text": (["score", "RUN", "nowhere.txt"], "nowhere.txt"),
    "another ending": (["score", "RUN", "TEXT", "--output", "x.xml"], "must end in .csv or .jsonl, got x.xml"),
    "another ending of encode": (["encode", "RUN", "TEXT", "x.pt"], "must end in .safetensors or .npy, got x.pt"),
    "neither end nor dimension": (["interpolate", "RUN", "the big dog runs ."], "give either a second sentence"),
    "no such dimension": (
        ["interpolate", "RUN", "the big dog", "--dimension", "7"],
        "dimension must be in 0..1, got 7",
    ),
    "a sentence beyond the model": (["reconstruct", "RUN", "the " * 20], "has 21 tokens with EOS"),
    "cp of nothing": (["cp", "nothing"], "there is no recipe nothing"),
    "standardise over something": (["standardise", "RUN", "RUNS"], "exists already"),
}


@pytest.mark.parametrize(("arguments", "sentence"), BAD.values(), ids=BAD)
def test_a_fault_is_one_sentence_and_exit_code_2(
    command: Command, folder: Path, tiny: Path, arguments: list[str], sentence: str
) -> None:
    names = {"TINY": folder / "tiny.yaml", "RUNS": folder / "runs", "RUN": tiny, "TEXT": folder / "test.txt"}
    arguments = [str(names.get(argument, argument)) for argument in arguments]
    if arguments[0] == "train" and "--out" not in arguments:
        arguments += ["--out", str(folder / "bad")]
    code, _, err = command(*arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert sentence in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["evaluat"], "No such command 'evaluat'"),
        (["train"], "Missing argument"),
        (["evaluate", "x", "--splt", "test"], "No such option"),
        (["sample", "x", "--count", "none"], "Invalid value for '--count'"),
        (["ls", "gadgets"], "'gadgets' is not"),
    ],
)
def test_a_command_line_that_is_none(command: Command, arguments: list[str], sentence: str) -> None:
    code, _, err = command(*arguments)
    assert code == 2
    assert sentence in err


def test_debug_shows_the_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTLATENT_DEBUG", "1")
    with pytest.raises(ValueError, match="there is no recipe nothing"):
        command("cp", "nothing")


def test_the_version(command: Command) -> None:
    from textlatent import __version__

    assert command("--version")[:2] == (0, f"textlatent {__version__}\n")
