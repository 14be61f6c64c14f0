"""A small toy corpus and a recipe over it, so that a run takes a second; for tests/training and tests/run."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from textlatent.corpus.batches import EncodedSplit
from textlatent.recipe.dump import dump_recipe
from textlatent.recipe.load import load_recipe
from textlatent.recipe.schema import Recipe
from textlatent.run import build
from textlatent.run.corpus import build_corpus
from textlatent.training.launch import launch
from textlatent.training.loop import Trainer

TOY = Path(__file__).parents[1] / "data" / "toy" / "sentences.tsv"
NO_DROPOUT = {
    "model": {
        "encoder": {"config": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}},
        "decoder": {"config": {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}},
    }
}
"""Changes to `toy_recipe` that leave nothing random but z."""

CODES = {"model": {"type": "vq", "codebook": {"positions": 2, "codes": 6, "size": 4}}}
"""Changes to `toy_recipe` that make its model one of codes."""


def write_toy(folder: Path, count: int = 300) -> Path:
    """A TSV file of the first `count` toy sentences, without the card that tells their language."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = TOY.read_text().splitlines(keepends=True)
    (folder / "sentences.tsv").write_text("".join(lines[: count + 1]))
    return folder / "sentences.tsv"


def merged(values: dict[str, Any], *changes: dict[str, Any]) -> dict[str, Any]:
    """`values` with every change put over it, key by key all the way down."""
    result = copy.deepcopy(values)
    for change in changes:
        for key, value in change.items():
            inner = isinstance(value, dict) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if inner else copy.deepcopy(value)
    return result


def toy_recipe(folder: Path, *changes: dict[str, Any], name: str = "toy") -> dict[str, Any]:
    """A recipe over the toy sentences in `folder` (written if they are not there): 20 steps, two epochs, dropout on."""
    path = folder / "corpus" / "sentences.tsv"
    if not path.exists():
        write_toy(path.parent)
    width = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    values = {
        "name": name,
        "seed": 5,
        "out": str(folder / "runs"),
        "data": {"path": str(path), "label": "topic", "max_tokens": 16},
        "tokenizer": {"type": "word", "vocabulary": None},
        "model": {
            "latent_size": 4,
            "encoder": {"config": {**width, "intermediate_size": 32}},
            "decoder": {"config": width},
        },
        "training": {
            "steps": 20,
            "tokens_per_step": 256,
            "learning_rate": 0.01,
            "warmup_steps": 5,
            "log_every": 5,
            "validate_every": 10,
            "sample_every": 10,
            "save_every": 10,
        },
        "evaluation": {"samples": 8, "ladder": [1, 4]},
    }
    values = merged(values, *changes)
    if values["model"].get("type") == "vq":
        del values["model"]["latent_size"]
    return values


_TEXT_ALONE = {name: Recipe.model_fields[name].default for name in ("model", "objective", "training", "stages", "out")}


@cache
def _text(recipe_text: str) -> tuple[Any, dict[str, EncodedSplit]]:
    """Tokenizer and splits, which many trainers share."""
    recipe = load_recipe(yaml.safe_load(recipe_text))
    corpus = build_corpus(recipe.data)
    tokenizer = build.build_tokenizer(recipe, corpus)
    return tokenizer, {name: build.build_split(name, corpus, tokenizer, recipe.data) for name in build.SPLITS}


def toy_trainer(
    values: dict[str, Any],
    *,
    double: bool = False,
    progress: Callable[[dict[str, Any]], None] = lambda event: None,
    prepare: Callable[[Any], None] = lambda model: None,
) -> Trainer:
    """The loop alone, on a recipe's model and splits; `prepare` may change the model first."""
    recipe = load_recipe(values)
    tokenizer, splits = _text(dump_recipe(recipe.model_copy(update={"name": "text", **_TEXT_ALONE})))
    model = build.build_model(recipe, tokenizer)
    if double:
        model.double()
    prepare(model)
    folder = Path(recipe.out) / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    return Trainer(
        model,
        train=splits["train"],
        valid=splits["valid"],
        stages=build.build_stages(recipe),
        options=build.build_options(recipe),
        folder=folder,
        seed=recipe.seed,
        accelerator=launch(),
        progress=progress,
        pad_id=tokenizer.pad_token_id,
    )
