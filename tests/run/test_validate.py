"""validate: every fault at once, the corpus, the cost by arithmetic, and no torch unless a dry run is asked for."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textlatent.recipe.fault import RecipeError
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.run.build import build_model, build_tokenizer
from textlatent.run.corpus import build_corpus
from textlatent.run.estimate import estimate
from textlatent.run.validate import validate

ROOT = Path(__file__).parents[2]
TEXTS = [f"the {a} {b} {c} ." for a in ("big", "red", "old") for b in ("dog", "cat") for c in ("runs", "sits", "eats")]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(TEXTS) + "\n")
    return tmp_path


def _recipe(corpus: Path, **sections: Any) -> dict[str, Any]:
    small = {"config": {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}}
    return {
        "name": "x",
        "data": {"path": str(corpus), "max_tokens": 8},
        "tokenizer": {"type": "word", "vocabulary": None},
        "model": {"latent_size": 2, "encoder": small, "decoder": small},
        "training": {"steps": 10, "tokens_per_step": 64},
        **sections,
    }


def test_what_there_is_to_know(corpus: Path) -> None:
    found = validate(_recipe(corpus))
    assert found.sentences == {"train": 18, "valid": 18, "test": 18}
    assert (found.vocabulary, found.longest) == (4 + 10, 5)
    assert found.cost is not None
    assert found.cost.minutes > 0
    assert any("different sentences also occur in train" in note for note in found.notes)
    names = [name for name, _, _ in found.rows(str)]
    assert names[:3] == ["train sentences", "valid sentences", "test sentences"]
    assert names[-3:] == ["parameters", "memory", "training"]


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"data": {"path": "./nowhere", "max_tokens": 8}}, "data: data.path nowhere does not exist"),
    (
        {"data": {"path": "CORPUS", "max_tokens": 5}},
        "data.max_tokens: the longest sentence has 6 tokens with its end",
    ),
    ({"tokenizer": {"path": "./nowhere"}}, "tokenizer.path: there is no folder ./nowhere"),
    (
        {"model": {"encoder": {"config": {"hidden_size": 10, "num_attention_heads": 3}}}},
        "model.encoder.config: the hidden size must be a multiple of the heads, got 10 and 3.",
    ),
    (
        {"model": {"decoder": {"config": {"n_embd": 0}}}},
        "model.decoder.config: hidden size, layers and heads must be >= 1, got 0, 12 and 12.",
    ),
    (
        {"model": {"decoder": {"config": {"n_positions": 8}, "slots": 2}}},
        "model.decoder.config: needs 10 positions (data.max_tokens and the slots), got 8; leave them out.",
    ),
]


@pytest.mark.parametrize(("sections", "sentence"), FAULTS)
def test_a_fault_is_a_sentence(corpus: Path, sections: dict[str, Any], sentence: str) -> None:
    values = _recipe(corpus, **sections)
    if values["data"]["path"] == "CORPUS":
        values["data"]["path"] = str(corpus)
    with pytest.raises(RecipeError) as caught:
        validate(values)
    assert sentence in str(caught.value)
    assert len(caught.value.faults) == 1


def test_faults_of_recipe_sizes_and_files_come_together(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "name: x\n"
        "data: {path: ./nowhere}\n"
        "model:\n"
        "  decoder:\n"
        "    config: {hidden_size: 10, num_attention_heads: 3}\n"
        "training: {step: 5}\n"
        "tokenizer: {path: ./neither}\n"
    )
    with pytest.raises(RecipeError) as caught:
        validate(path)
    message = str(caught.value)
    assert len(caught.value.faults) == 4
    for place in (
        "data (r.yaml:2)",
        "model.decoder.config (r.yaml:5)",
        "training.step (r.yaml:6)",
        "tokenizer.path (r.yaml:7)",
    ):
        assert place in message


def test_a_broken_row_is_named_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a b"}\n{"text": \n')
    with pytest.raises(RecipeError, match=r"train\.jsonl:2"):
        validate({"name": "x", "data": {"path": str(tmp_path / "train.jsonl")}})


def test_a_hub_corpus_is_left_for_later() -> None:
    found = validate({"name": "x", "data": {"path": "owner/name"}})
    assert found.sentences == {}
    assert found.notes == ["owner/name: a hub corpus, read when the run begins."]


@pytest.mark.parametrize("prior", ["standard", "learned"])
@pytest.mark.parametrize("inject", ["prefix", "add", "both"])
@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [
        (
            {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24},
            {"n_embd": 12, "n_layer": 3, "n_head": 2},
        ),
        (
            {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 50},
            {
                "hidden_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 1,
                "n_inner": 9,
                "max_position_embeddings": 40,
            },
        ),
    ],
)
def test_the_arithmetic_counts_the_parameters_of_the_model(
    corpus: Path, prior: str, inject: str, encoder: dict[str, int], decoder: dict[str, int]
) -> None:
    """The oracle is the model itself, built and counted."""
    model = {
        "latent_size": 3,
        "prior": prior,
        "encoder": {"config": encoder},
        "decoder": {"config": decoder, "inject": inject, "slots": 2},
    }
    recipe = load_recipe(_recipe(corpus, model=model))
    tokenizer = build_tokenizer(recipe, build_corpus(recipe.data))
    vae = build_model(recipe, tokenizer)
    cost = estimate(recipe, vocabulary=len(tokenizer), cores=1)
    assert cost is not None
    for part in ("encoder", "prior", "decoder"):
        assert getattr(cost, part) == sum(p.numel() for p in getattr(vae, part).parameters()), part
    assert cost.parameters == vae.num_parameters()


@pytest.mark.parametrize(
    "model",
    [
        {"prior": "mixture", "encoder": {"batch_norm": None, "fixed_variance": 0.5}},
        {"prior": "mixture", "components": 3},
        {"prior": "vamp", "components": 3, "pseudo_tokens": 5},
        {"prior": "vamp"},
        {"encoder": {"batch_norm": 0.5}},
        {"prior": "vamp", "latent_size": 0},
        {"type": "deterministic"},
        {"type": "vq"},
        {"type": "vq", "codebook": {"decay": None, "gradient_rule": "both"}, "code_prior": {"type": "independent"}},
        {"type": "vq", "codebook": {"decay": None, "books": "position"}, "code_prior": {"type": "autoregressive"}},
        {"type": "vq", "codebook": {"levels": [8, 5, 5]}, "code_prior": {"type": "autoregressive"}},
        {"type": "vq", "codebook": {"books": "residual", "decay": None}, "code_prior": {"type": "autoregressive"}},
    ],
)
def test_and_those_of_other_priors_and_posteriors(corpus: Path, model: dict[str, Any]) -> None:
    size = {} if model.get("type") == "vq" else {"latent_size": 3}
    recipe = load_recipe(_recipe(corpus, model=size | model))
    tokenizer = build_tokenizer(recipe, build_corpus(recipe.data))
    vae, cost = build_model(recipe, tokenizer), estimate(recipe, vocabulary=len(tokenizer), cores=1)
    assert cost is not None
    for part in ("encoder", "prior", "decoder"):
        assert getattr(cost, part) == sum(p.numel() for p in getattr(vae, part).parameters()), part


def test_a_backbone_of_unknown_sizes_has_no_cost(corpus: Path) -> None:
    values = _recipe(corpus)
    values["model"] = {"encoder": {"backbone": "distilbert"}}
    found = validate(values)
    assert found.cost is None
    assert ("parameters, memory, time", "not known", "--dry-run measures memory and time") in found.rows(str)


def test_cost_grows_with_what_it_is_made_of(corpus: Path) -> None:
    def cost(**training: Any) -> Any:
        recipe: Recipe = load_recipe(_recipe(corpus, training={"steps": 10, "tokens_per_step": 64} | training))
        return estimate(recipe, vocabulary=100, cores=1)

    base = cost()
    assert cost(steps=20).minutes == pytest.approx(2 * base.minutes)
    assert cost(tokens_per_step=128).flops == pytest.approx(2 * base.flops)
    assert cost(accumulation=2).memory < base.memory < cost(tokens_per_step=4096).memory


def test_every_further_draw_costs_the_decoder_the_same(corpus: Path) -> None:
    """The encoder reads a sentence once, however many z are drawn."""
    found = []
    for draws in (1, 2, 5):
        cost = estimate(load_recipe(_recipe(corpus, objective={"importance_samples": draws})), vocabulary=100, cores=1)
        assert cost is not None
        found.append(cost.flops)
    assert found[2] - found[0] == pytest.approx(4 * (found[1] - found[0]))
    assert found[0] < found[1] < 2 * found[0]


def test_a_part_that_is_held_costs_less(corpus: Path) -> None:
    """A prior that learns alone needs the encoder's forward pass, a third of its operations, and no decoder."""
    model = {"type": "vq", "code_prior": {"type": "independent"}}

    def flops(*learn: str) -> float:
        cost = estimate(
            load_recipe(_recipe(corpus, model=model, stages=[{"learn": list(learn)}])), vocabulary=100, cores=1
        )
        assert cost is not None
        return cost.flops

    whole, decoder, prior = flops("encoder", "decoder"), flops("decoder"), flops("prior")
    assert 0 < prior < decoder < whole
    assert whole - decoder == pytest.approx(2 * prior)


def test_a_dry_run_trains_two_steps_and_leaves_nothing(
    corpus: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    monkeypatch.chdir(empty)
    events: list[dict[str, Any]] = []
    found = validate(
        _recipe(corpus, training={"steps": 1000, "tokens_per_step": 64}), dry_run=True, progress=events.append
    )
    assert [event["step"] for event in events if event["event"] == "log"] == [1, 2]
    assert found.measured["minutes"] == pytest.approx(found.measured["seconds_per_step"] * 1000 / 60)
    assert found.measured["memory"] > 2**20
    assert list(empty.iterdir()) == []
    assert [name for name, _, _ in found.rows(str)][-2:] == ["training, measured", "peak memory, measured"]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["validate", "quickstart"], ["ls"], ["train", "--help"], ["cp", "quickstart"]]
)
def test_no_torch_is_imported(arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['textlatent', *{arguments!r}]\n"
        "from textlatent.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'torch', 'transformers', 'accelerate'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
