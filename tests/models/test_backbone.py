"""Backbones from model types and from folders: what is taken, what starts anew, and every fault's sentence."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel

from tests.tiny import backbone
from textlatent.corpus.tokenizer import SentenceTokenizer, load_tokenizer, train_tokenizer
from textlatent.models import SentenceVAE
from textlatent.models.backbone import backbone_config, is_path, take_weights
from textlatent.recipe.load import load_recipe
from textlatent.run.build import build_model

TEXT = ["the cat sat", "a dog ran far", "the dog sat"]
Fault = dict[str, Any]


@pytest.fixture(scope="module")
def tokenizer() -> SentenceTokenizer:
    """Eleven tokens: four special ones and seven words."""
    return train_tokenizer(TEXT, type="word", vocabulary=None)


@pytest.fixture
def folder(tmp_path: Path, tokenizer: SentenceTokenizer) -> Callable[..., Path]:
    """Writes a pretrained model, with the tokenizer it knows, and gives its folder."""

    def write(kind: str, *, dtype: torch.dtype = torch.float32, **settings: Any) -> Path:
        torch.manual_seed(7)
        config = backbone(kind, **settings)
        auto = AutoModelForCausalLM if kind in ("gpt2", "llama") else AutoModel
        auto.from_config(config).to(dtype).save_pretrained(tmp_path / kind)
        tokenizer.save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return write


def build(
    tokenizer: SentenceTokenizer, encoder: str, decoder: str, *, path: str | None = None
) -> tuple[SentenceVAE, list[str]]:
    notes: list[str] = []
    recipe = load_recipe(
        {
            "name": "pretrained",
            "data": {"path": "nowhere.txt", "max_tokens": 8},
            "tokenizer": {"path": path},
            "model": {"latent_size": 3, "encoder": {"backbone": encoder}, "decoder": {"backbone": decoder}},
        }
    )
    return build_model(recipe, tokenizer, note=notes.append), notes


def assert_taken(part: PreTrainedModel, own: dict[str, Tensor], *, but: tuple[str, ...]) -> None:
    """Every tensor of the part is the pretrained one, but those whose name holds one of `but`."""
    state = part.state_dict()
    fresh = {name for name in state if any(each in name for each in but)}
    assert fresh
    for name, tensor in state.items():
        assert (name in own and torch.equal(tensor, own[name])) == (name not in fresh), name


def test_weights_are_taken_and_token_embeddings_start_anew(
    tokenizer: SentenceTokenizer, folder: Callable[..., Path]
) -> None:
    """The same number is another word in another tokenizer."""
    bert, gpt2 = folder("bert"), folder("gpt2")
    model, notes = build(tokenizer, str(bert), str(gpt2))
    assert_taken(model.encoder.backbone, AutoModel.from_pretrained(bert).state_dict(), but=("word_embeddings",))
    own = AutoModelForCausalLM.from_pretrained(gpt2).state_dict()
    assert_taken(model.decoder.backbone, own, but=("wte", "lm_head"))
    head, embeddings = model.decoder.get_output_embeddings(), model.decoder.get_input_embeddings()
    assert head.weight is embeddings.weight
    assert [note.split(":")[0] for note in notes] == [str(bert), str(gpt2)]
    assert all("token embeddings start anew, because the run has a tokenizer of its own" in note for note in notes)


def test_with_their_own_tokenizer_the_embeddings_are_taken_too(
    tokenizer: SentenceTokenizer, folder: Callable[..., Path]
) -> None:
    """Of the part whose path it is: the other part's embeddings are of other words still."""
    bert, gpt2 = folder("bert"), folder("gpt2")
    model, notes = build(load_tokenizer(gpt2), str(bert), str(gpt2), path=str(gpt2))
    own = AutoModelForCausalLM.from_pretrained(gpt2).state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.decoder.backbone.state_dict().items())
    assert_taken(model.encoder.backbone, AutoModel.from_pretrained(bert).state_dict(), but=("word_embeddings",))
    assert ["anew" in note for note in notes] == [True, False]


@pytest.mark.parametrize("rows", [9, 16])
def test_a_vocabulary_padded_beyond_the_tokenizer_s_gives_the_rows_that_are_words(
    rows: int, tokenizer: SentenceTokenizer, folder: Callable[..., Path]
) -> None:
    """Or one that lacks the last of them: those start anew."""
    gpt2 = folder("gpt2", vocabulary=rows)
    model, _ = build(tokenizer, "bert", str(gpt2), path=str(gpt2))
    own = AutoModelForCausalLM.from_pretrained(gpt2).get_input_embeddings().weight
    ours = model.decoder.get_input_embeddings().weight
    assert len(ours) == len(tokenizer) == 11
    assert torch.equal(ours[: min(rows, 11)], own[:11])
    assert ours.isfinite().all()


def test_an_encoder_decoder_s_encoder(tokenizer: SentenceTokenizer, folder: Callable[..., Path]) -> None:
    t5 = folder("t5")
    model, _ = build(tokenizer, str(t5), "gpt2")
    own = AutoModel.from_pretrained(t5).get_encoder().state_dict()
    assert_taken(model.encoder.backbone, own, but=("embed_tokens",))


def test_a_causal_model_as_encoder(tokenizer: SentenceTokenizer, folder: Callable[..., Path]) -> None:
    gpt2 = folder("gpt2")
    model, _ = build(tokenizer, str(gpt2), "gpt2")
    assert_taken(model.encoder.backbone, AutoModel.from_pretrained(gpt2).state_dict(), but=("wte",))


def test_weights_in_half_precision_are_trained_in_float32(
    tokenizer: SentenceTokenizer, folder: Callable[..., Path]
) -> None:
    """As most weights on the hub are; the parts would not even fit together otherwise."""
    bert, llama = folder("bert", dtype=torch.bfloat16), folder("llama", dtype=torch.bfloat16)
    model, _ = build(tokenizer, str(bert), str(llama))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.score(["the cat ran"]).neg_elbo().isfinite().all()


def test_the_seed_decides_the_rest(tokenizer: SentenceTokenizer, folder: Callable[..., Path]) -> None:
    gpt2 = str(folder("gpt2"))
    one, other = (build(tokenizer, "bert", gpt2)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_taking_weights_says_how_many(tokenizer: SentenceTokenizer, folder: Callable[..., Path]) -> None:
    """Of another depth: what has no place is left, and the count shows it."""
    bert = str(folder("bert"))
    shallow = AutoModel.from_config(backbone("bert", num_hidden_layers=1), add_pooling_layer=False)
    said = take_weights(shallow, bert, same_tokens=True)
    assert said == f"{bert}: {len(shallow.state_dict())} of {len(shallow.state_dict())} tensors taken."
    deep = AutoModel.from_config(backbone("bert", num_hidden_layers=3), add_pooling_layer=False)
    taken, of = map(int, re.findall(r"(\d+) of (\d+)", take_weights(deep, bert, same_tokens=True))[0])
    assert of - taken == 16


def test_a_model_type_is_no_path() -> None:
    assert not is_path("bert")
    assert is_path("bert-base-uncased")
    assert is_path("./bert")


def test_from_scratch_the_corpus_decides_vocabulary_and_length(tokenizer: SentenceTokenizer) -> None:
    config = backbone_config("gpt2", {"n_layer": 3, "resid_pdrop": 0.2}, tokenizer=tokenizer, positions=20, where="m")
    assert config.vocab_size == 11
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (1, 2, 0)
    assert config.max_position_embeddings >= 20
    assert (config.num_hidden_layers, config.resid_pdrop) == (3, 0.2)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("gtp2", {}, "model.decoder.backbone: 'gtp2' is neither .* Did you mean 'gpt2'?"),
        ("./no/such/folder", {}, "'./no/such/folder' is neither a transformers model type nor a folder or hub name"),
        (
            "gpt2",
            {"resid_drop": 0.1},
            "model.decoder.config.resid_drop: gpt2 has no such setting; did you mean 'resid_pdrop'",
        ),
        ("gpt2", {"qqqq": 1}, "model.decoder.config.qqqq: gpt2 has no such setting."),
    ],
)
def test_faults(kind: str, settings: Fault, message: str, tokenizer: SentenceTokenizer) -> None:
    with pytest.raises(ValueError, match=message):
        backbone_config(kind, settings, tokenizer=tokenizer, positions=20, where="model.decoder")


def test_a_pretrained_model_too_short_for_the_sentences(
    tokenizer: SentenceTokenizer, folder: Callable[..., Path]
) -> None:
    gpt2 = str(folder("gpt2", max_position_embeddings=5))
    with pytest.raises(ValueError, match=f"{gpt2} has 5 positions, 9 are needed; lower data.max_tokens by 4"):
        build(tokenizer, "bert", gpt2)


def test_a_misspelt_setting_of_a_pretrained_model(tokenizer: SentenceTokenizer, folder: Callable[..., Path]) -> None:
    bert = str(folder("bert"))
    with pytest.raises(ValueError, match="has no such setting; did you mean 'hidden_dropout_prob'"):
        backbone_config(bert, {"hidden_droput_prob": 0.0}, tokenizer=tokenizer, positions=8, where="model.encoder")
