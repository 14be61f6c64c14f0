"""Sentences in and out, a saved model in a fresh process, and a checkpoint with something missing."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.tiny import vae
from textlatent.corpus.tokenizer import SentenceTokenizer, train_tokenizer
from textlatent.models import SentenceVAE
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import log_mean_exp

TEXT = ["the cat sat", "a dog ran far", "the dog sat", "", "cat", "the cat the cat the cat"]


@pytest.fixture(scope="module")
def tokenizer() -> SentenceTokenizer:
    """Eleven tokens: four special ones and seven words."""
    return train_tokenizer(TEXT, type="word", vocabulary=None)


@pytest.fixture
def model(tokenizer: SentenceTokenizer) -> SentenceVAE:
    made = vae(vocabulary=len(tokenizer), prior="learned")
    made.tokenizer = tokenizer
    return made


def test_encode_is_the_posterior_of_each_sentence(model: SentenceVAE, tokenizer: SentenceTokenizer) -> None:
    """In order, on the CPU, the same for any batch size."""
    posterior = model.encode(TEXT, batch_size=2)
    assert isinstance(posterior, DiagonalGaussian)
    assert posterior.mean.shape == (6, 3)
    assert not posterior.mean.requires_grad
    for row, ids in enumerate(tokenizer.encode_sentences(TEXT)):
        with torch.no_grad():
            alone = model.posterior(torch.tensor([[*ids, 2]]), torch.tensor([len(ids) + 1]))
        torch.testing.assert_close(posterior.mean[row], alone.mean[0], rtol=0, atol=1e-9)
        torch.testing.assert_close(posterior.log_variance[row], alone.log_variance[0], rtol=0, atol=1e-9)


def test_score_counts_and_does_not_depend_on_the_batch(model: SentenceVAE) -> None:
    """Tokens with EOS, words and characters without; noise by the sentence's place in the list."""
    scores = model.score(TEXT, samples=3, seed=4)
    assert scores.tokens.tolist() == [4, 5, 4, 1, 2, 7]
    assert scores.words.tolist() == [3, 4, 3, 0, 1, 6]
    assert scores.characters.tolist() == [11, 13, 11, 0, 3, 23]
    assert scores.index.tolist() == [0, 1, 2, 3, 4, 5]
    for batch_size in (1, 4):
        other = model.score(TEXT, samples=3, seed=4, batch_size=batch_size)
        for name, tensor in scores.to_dict().items():
            torch.testing.assert_close(other.to_dict()[name], tensor, rtol=0, atol=1e-9)
    assert (log_mean_exp(scores.log_weights()) > -200).all()
    assert (model.score(TEXT, seed=5).z - scores.z).abs().max() > 0.1


def test_decode_is_generate_read_by_the_tokenizer(model: SentenceVAE, tokenizer: SentenceTokenizer) -> None:
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    texts = tokenizer.decode_sentences(model.generate(z, do_sample=False).tolist())
    assert model.decode(z) == texts
    assert model.decode(z, batch_size=2) == texts
    assert model.decode(z.float(), do_sample=True, top_k=1) == texts
    assert len(model.decode(z, num_beams=2, num_return_sequences=2)) == 10


@pytest.mark.parametrize("training", [True, False])
def test_a_look_in_the_middle_of_training_changes_nothing(training: bool, tokenizer: SentenceTokenizer) -> None:
    """With a dropout of 0.5 the answers are those of evaluation, and the mode is what it was, after a fault too."""
    model = vae(vocabulary=len(tokenizer))
    model.tokenizer = tokenizer
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train(training)
    z = torch.zeros(1, 3, dtype=torch.float64)
    for ask in (lambda: model.encode(TEXT).mean, lambda: model.score(TEXT).log_p_dec, lambda: [model.decode(z)]):
        one, other = ask(), ask()
        assert all(a == b if isinstance(a, list) else torch.equal(a, b) for a, b in zip(one, other, strict=True))
        assert model.training == training
    with pytest.raises(ValueError, match="at least one sentence"):
        model.encode([])
    assert model.training == training


def test_a_sentence_learned_by_heart_comes_back(tokenizer: SentenceTokenizer) -> None:
    """Three sentences, 120 steps on -ELBO with the encoder's variance small: encode and decode give each of them."""
    model = vae(vocabulary=len(tokenizer), dtype=torch.float32, scale=1.0, log_variance_bias=-6.0)
    model.tokenizer = tokenizer
    (rows,) = model._batches(TEXT[:3], 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(120):
        optimiser.zero_grad()
        scores = model(**rows, epoch=epoch)
        (scores.distortion() + 0.01 * scores.rate()).mean().backward()
        optimiser.step()
    assert model.decode(model.encode(TEXT[:3]).mean) == TEXT[:3]


@pytest.mark.parametrize("call", ["encode", "score"])
def test_what_cannot_be_read(call: str, model: SentenceVAE) -> None:
    ask = getattr(model, call)
    with pytest.raises(ValueError, match=r"pass a list of sentences, got one string; did you mean \['the cat'\]"):
        ask("the cat")
    with pytest.raises(ValueError, match="pass at least one sentence, got none"):
        ask([])
    with pytest.raises(ValueError, match="sentence 1 has 14 tokens with EOS, the model was built for 12: 'the the"):
        ask(["cat", "the " * 12 + "cat"])
    model.tokenizer = None
    with pytest.raises(ValueError, match="this model has no tokenizer; set model.tokenizer, or load it"):
        ask(["cat"])


@dataclass(frozen=True)
class Fresh:
    """A model, and what a fresh process saw of its saved self."""

    model: SentenceVAE
    folder: Path
    tensors: dict[str, Tensor]
    said: dict


SAVED: dict[str, tuple[str, str, dict]] = {
    "gpt2": ("bert", "gpt2", {"prior": "standard"}),
    "llama": ("roberta", "llama", {"prior": "learned"}),
    "mixture": ("bert", "gpt2", {"prior": "mixture", "components": 3, "fixed_variance": 0.5}),
    "vamp": ("bert", "gpt2", {"prior": "vamp", "components": 3, "pseudo_tokens": 2}),
    "normalised": ("bert", "gpt2", {"batch_norm": 0.5, "denoising": 0.1, "word_dropout": 0.2, "unknown": 3}),
}


@pytest.fixture(scope="module")
def looked_at(tokenizer: SentenceTokenizer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fresh]:
    """Models saved, and loaded by one fresh process."""
    root = tmp_path_factory.mktemp("saved")
    models = {}
    for name, (encoder, decoder, settings) in SAVED.items():
        model = vae(encoder=encoder, decoder=decoder, vocabulary=11, slots=2, dtype=torch.float32, **settings)
        model.tokenizer = tokenizer
        with torch.no_grad():
            for parameter in model.prior.parameters():
                parameter.normal_()
            for tensor in model.encoder.norm.buffers() if model.encoder.norm is not None else ():
                tensor.uniform_()
        model.save_pretrained(root / name)
        models[name] = model
    (root / "text.json").write_text(json.dumps(TEXT))
    subprocess.run(
        [sys.executable, Path(__file__).with_name("fresh.py"), root / "text.json", *(root / name for name in models)],
        check=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": ".", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PATH": ""},
    )
    return {
        name: Fresh(
            model,
            root / name,
            load_file(root / f"{name}.safetensors"),
            json.loads((root / f"{name}.json").read_text()),
        )
        for name, model in models.items()
    }


@pytest.fixture(params=SAVED)
def fresh(request: pytest.FixtureRequest, looked_at: dict[str, Fresh]) -> Fresh:
    return looked_at[request.param]


def test_in_a_fresh_process_every_number_is_the_same(fresh: Fresh) -> None:
    """Parameters, buffers (also those that are not saved), logits and scores, to the bit."""
    model, seen = fresh.model, fresh.tensors
    scores = model.score(TEXT, samples=3, seed=1)
    with torch.no_grad():
        logits = model.decoder(torch.tensor([[1, 4, 5, 6]] * len(TEXT)), scores.z[0]).logits
    expected = {f"scores.{name}": tensor for name, tensor in scores.to_dict().items()}
    expected |= {f"parameter.{name}": tensor for name, tensor in model.named_parameters()}
    expected |= {f"buffer.{name}": tensor for name, tensor in model.named_buffers()}
    expected["logits"] = logits
    assert seen.keys() == expected.keys()
    assert any(name.startswith("buffer.") for name in seen)
    for name, tensor in expected.items():
        assert torch.equal(seen[name], tensor.detach()), name


def test_in_a_fresh_process_the_auto_classes_know_it(fresh: Fresh) -> None:
    said, tokenizer = fresh.said, fresh.model.tokenizer
    names = [said[key] for key in ("model", "config", "tokenizer", "own_tokenizer")]
    assert names == ["SentenceVAE", "SentenceVAEConfig", "SentenceTokenizer", "SentenceTokenizer"]
    assert said["ids"] == [tokenizer.encode_sentences(TEXT)] * 2
    assert said["vocabulary"] == [tokenizer.get_vocab()] * 2
    assert said["decoded"] == fresh.model.decode(fresh.model.score(TEXT, samples=3, seed=1).z[0])


def test_what_is_saved_holds_no_pickle(fresh: Fresh) -> None:
    files = {path.name for path in fresh.folder.iterdir()}
    assert files == {"config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json"}


def test_what_is_missing_from_a_checkpoint_is_set_never_left_to_memory(fresh: Fresh, tmp_path: Path) -> None:
    """Each of the last tensors of every part taken out in turn: what is loaded starts as a new model would."""
    fresh.model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    parts = ("prior.", "encoder.head", "encoder.backbone.", "decoder.to_", "decoder.backbone.")
    parts += ("encoder.norm.m", "encoder.norm.v", "encoder.norm.s", "encoder.log_variance")
    chosen = [name for part in parts for name in [n for n in weights if n.startswith(part)][-2:]]
    assert len(chosen) >= 9
    for missing in chosen:
        rest = {name: tensor for name, tensor in weights.items() if name != missing}
        save_file(rest, tmp_path / "model.safetensors", metadata={"format": "pt"})
        loaded, info = SentenceVAE.from_pretrained(tmp_path, output_loading_info=True)
        state = loaded.state_dict()
        assert missing in info["missing_keys"]
        assert state[missing].isfinite().all(), missing
        assert state[missing].abs().max() <= 1.0, missing
        if missing.startswith("prior.") and fresh.model.config.prior in ("standard", "learned"):
            assert not state[missing].any()
        others = rest.keys() - {missing}
        assert all(torch.equal(state[name], weights[name]) for name in others)


def test_without_a_tokenizer_none_is_saved_or_loaded(tmp_path: Path) -> None:
    vae(dtype=torch.float32).save_pretrained(tmp_path)
    assert SentenceVAE.from_pretrained(tmp_path).tokenizer is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_loaded_in_another_precision(dtype: torch.dtype, model: SentenceVAE, tmp_path: Path) -> None:
    """float64 to the bit; bfloat16 within its 8 bits."""
    model.save_pretrained(tmp_path)
    loaded = SentenceVAE.from_pretrained(tmp_path, dtype=dtype).eval()
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}
    ours, theirs = model.score(TEXT), loaded.score(TEXT)
    tolerance = 0.0 if dtype == torch.float64 else 0.3
    torch.testing.assert_close(theirs.log_p_dec, ours.log_p_dec, rtol=0, atol=tolerance)
    assert loaded.decode(torch.zeros(1, 3))
