"""A recipe made into things: the same things every time, and the ones it asks for."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, BertConfig

from tests.toy_run import merged, toy_recipe
from textlatent.recipe.load import load_recipe
from textlatent.run import build
from textlatent.run.corpus import build_corpus


def _built(values: dict[str, Any]) -> tuple[Any, Any, Any]:
    recipe = load_recipe(values)
    corpus = build_corpus(recipe.data)
    return recipe, corpus, build.build_tokenizer(recipe, corpus)


def test_a_path_below_data_that_comes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder where there is no data/, data/toy is the one of the package; the source stays as it was written."""
    monkeypatch.chdir(tmp_path)
    values = merged(toy_recipe(tmp_path), {"data": {"path": "data/toy/sentences.tsv"}})
    corpus = build_corpus(load_recipe(values).data)
    assert sum(len(getattr(corpus, name)) for name in build.SPLITS) == 20_000


def test_the_tokenizer_sees_the_training_split_alone(tmp_path: Path) -> None:
    folder = tmp_path / "split"
    folder.mkdir()
    for split, word in (("train", "boat"), ("valid", "sail"), ("test", "song")):
        (folder / f"{split}.txt").write_text(f"the {word} .\n" * 3)
    _, _, tokenizer = _built(merged(toy_recipe(tmp_path), {"data": {"path": str(folder), "label": None}}))
    assert sorted(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)) == ["▁.", "▁boat", "▁the"]


def test_some_training_sentences_and_the_tokenizer_of_all(tmp_path: Path) -> None:
    """40 of them, in their order, the same for the same split_seed; validation and test sentences stay."""
    values = toy_recipe(tmp_path)
    _, corpus, whole = _built(values)
    recipe, same, tokenizer = _built(merged(values, {"data": {"sentences": 40}}))
    assert tokenizer.get_vocab() == whole.get_vocab()
    assert same.sha256 == corpus.sha256
    split = build.build_split("train", corpus, tokenizer, recipe.data)
    assert (
        split.notes[0] == f"train: 40 of {len(corpus.train)} sentences taken; the tokenizer was made for all of them."
    )
    taken = split.texts(list(range(40)))
    assert len(split) == 40
    assert set(taken) <= set(corpus.train["text"])
    assert len(build.build_split("valid", corpus, tokenizer, recipe.data)) == len(corpus.valid)
    other = load_recipe(merged(values, {"data": {"sentences": 40, "split_seed": 1}})).data
    assert build.build_split("train", corpus, tokenizer, other).texts(list(range(40))) != taken


def test_more_training_sentences_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data.sentences must be <= 2\d\d, the training sentences of .*, got 1,000"):
        _built(toy_recipe(tmp_path, {"data": {"sentences": 1000}}))


def test_a_ready_tokenizer_is_loaded(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path)
    *_, tokenizer = _built(values)
    tokenizer.save_pretrained(tmp_path / "ready")
    *_, loaded = _built(merged(values, {"tokenizer": {"path": str(tmp_path / "ready")}}))
    assert loaded.encode_sentences(["the boat ."]) == tokenizer.encode_sentences(["the boat ."])


def test_the_seed_decides_the_weights(tmp_path: Path) -> None:
    values = toy_recipe(tmp_path)
    recipe, _, tokenizer = _built(values)
    torch.rand(7)
    one, same = (build.build_model(recipe, tokenizer).state_dict() for _ in range(2))
    other = build.build_model(load_recipe(merged(values, {"seed": 6})), tokenizer).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["encoder.head.weight"], other["encoder.head.weight"])


def test_the_model_is_what_the_recipe_says(tmp_path: Path) -> None:
    model_section = {
        "latent_size": 3,
        "prior": "learned",
        "encoder": {"pooling": "max", "log_variance_bias": -1.5, "denoising": 0.2},
        "decoder": {"inject": "prefix", "slots": 2, "config": {"num_hidden_layers": 2}, "word_dropout": 0.3},
    }
    recipe, _, tokenizer = _built(toy_recipe(tmp_path, {"model": model_section}))
    model = build.build_model(recipe, tokenizer)
    config = model.config
    assert (config.latent_size, config.prior, config.pooling, config.log_variance_bias) == (3, "learned", "max", -1.5)
    assert (config.decoder.inject, config.decoder.slots, config.decoder.max_tokens) == ("prefix", 2, 16)
    assert (config.denoising, config.decoder.word_dropout, config.decoder.unk_token_id) == (0.2, 0.3, 3)
    assert config.decoder.backbone.num_hidden_layers == 2
    assert config.encoder.vocab_size == config.decoder.backbone.vocab_size == len(tokenizer)
    assert config.decoder.backbone.max_position_embeddings >= 16 + 2
    assert model.tokenizer is tokenizer


@pytest.mark.parametrize("key", ["encoder.denoising", "decoder.word_dropout"])
def test_hidden_words_need_an_unknown_token(tmp_path: Path, key: str) -> None:
    section, name = key.split(".")
    recipe, _, tokenizer = _built(toy_recipe(tmp_path, {"model": {section: {name: 0.5}}}))
    tokenizer.unk_token = None
    with pytest.raises(ValueError, match=f"model.{key}: it writes the unknown token over words, and this tokenizer"):
        build.build_model(recipe, tokenizer)
    plain, *_ = _built(toy_recipe(tmp_path))
    assert build.build_model(plain, tokenizer).config.decoder.unk_token_id is None


def test_pretrained_weights_are_taken_and_told(tmp_path: Path) -> None:
    torch.manual_seed(0)
    bert = AutoModel.from_config(
        BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, vocab_size=50)
    )
    bert.save_pretrained(tmp_path / "bert")
    changes = {"encoder": {"backbone": str(tmp_path / "bert"), "config": None}}
    values = toy_recipe(tmp_path)
    values["model"] |= changes
    recipe, _, tokenizer = _built(values)
    notes: list[str] = []
    model = build.build_model(recipe, tokenizer, note=notes.append)
    taken = "encoder.layer.0.attention.self.query.weight"
    assert torch.equal(model.encoder.backbone.state_dict()[taken], bert.state_dict()[taken])
    assert len(notes) == 1
    assert "tensors taken; token embeddings start anew, because the run has a tokenizer of its own" in notes[0]


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"config": {"hidden_sizes": 4}}, "model.encoder.config.hidden_sizes: bert has no such setting; did you mean"),
        ({"backbone": "brt"}, "model.encoder.backbone: 'brt' is neither .* Did you mean 'bert'?"),
    ],
)
def test_faults_carry_the_recipes_path(tmp_path: Path, section: dict[str, Any], sentence: str) -> None:
    values = toy_recipe(tmp_path)
    values["model"]["encoder"] = section
    recipe, _, tokenizer = _built(values)
    with pytest.raises(ValueError, match=sentence):
        build.build_model(recipe, tokenizer)


def test_stages_have_their_own_steps_and_objectives(tmp_path: Path) -> None:
    stages = [
        {"name": "a", "learn": ["decoder"], "objective": {"beta": 0.0}},
        {"name": "b", "steps": 7, "reset": ["encoder"]},
    ]
    recipe = load_recipe(toy_recipe(tmp_path, {"objective": {"lam": 2.0}, "stages": stages}))
    one, two = build.build_stages(recipe)
    assert (one.name, one.steps, one.learn, one.reset) == ("a", 20, ("decoder",), ())
    assert (two.name, two.steps, two.learn, two.reset) == ("b", 7, ("encoder", "prior", "decoder"), ("encoder",))
    assert (one.objective.final_beta, one.objective.lam) == (0.0, 2.0)
    assert (two.objective.final_beta, two.objective.lam) == (1.0, 2.0)


def test_options_are_the_training_section(tmp_path: Path) -> None:
    recipe = load_recipe(toy_recipe(tmp_path))
    assert vars(build.build_options(recipe)) == recipe.training.model_dump()


def test_the_corpus_card_says_which_corpus(tmp_path: Path) -> None:
    recipe, corpus, _ = _built(toy_recipe(tmp_path))
    card = build.corpus_card(corpus)
    assert card["sha256"] == corpus.sha256
    assert card["path"] == recipe.data.path
    assert sum(card["sentences"].values()) == 300
    assert card["labels"] == list(corpus.label_names)
