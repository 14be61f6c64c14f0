"""The plain autoencoder of sentences: a distortion, no rate, one z a sentence, no prior; saved and loaded."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny import SENTENCES, backbone, batch
from textlatent.models import SentenceAutoencoder, SentenceAutoencoderConfig, load_model
from textlatent.models.autoencoder import token_mask


def _model(**more: Any) -> SentenceAutoencoder:
    torch.manual_seed(0)
    decoder = {"backbone": backbone("gpt2"), "inject": "both", "max_tokens": 12, "unk_token_id": 10}
    config = SentenceAutoencoderConfig(encoder=backbone("bert"), decoder=decoder, latent_size=3, **more)
    return SentenceAutoencoder(config).double().eval()


def test_its_scores_are_the_decoders_at_the_point() -> None:
    """ln P_dec(y | f(y)), and nothing that needs a density."""
    model, rows = _model(), batch(SENTENCES)
    scores = model(**rows, keep_latents=True, keep_tokens=True)
    z = model.encoder(rows["tokens"], token_mask(rows["tokens"], rows["lengths"]))
    per_token = model.log_prob_token(rows["tokens"], rows["lengths"], z)
    torch.testing.assert_close(scores.need("z"), z[None])
    torch.testing.assert_close(scores.need("log_p_dec_token"), per_token)
    torch.testing.assert_close(scores.need("log_p_dec"), per_token.sum(1)[None])
    blank = ("log_p_enc", "log_p_pri", "kl", "posterior_mean", "posterior_log_variance", "prior_mean")
    assert all(getattr(scores, name) is None for name in blank)
    assert not scores.has_rate
    assert model.loss(**rows) == scores.distortion().mean()


def test_every_sample_is_the_same() -> None:
    model, rows = _model(), batch(SENTENCES)
    assert model.deterministic
    three = model(**rows, samples=3, seed=1).need("log_p_dec")
    assert three.shape == (3, len(SENTENCES))
    torch.testing.assert_close(three, model(**rows, seed=2).need("log_p_dec").expand(3, -1))


def test_the_gradient_reaches_the_encoder() -> None:
    """Plain backpropagation through z, though y is discrete."""
    model = _model()
    model.loss(**batch(SENTENCES)).backward()
    assert model.encoder.head.weight.grad is not None
    assert float(model.encoder.head.weight.grad.norm()) > 0


def test_words_are_hidden_from_the_encoder_alone_while_it_learns() -> None:
    model, rows = _model(denoising=0.9), batch(SENTENCES)
    whole = model(**rows, keep_latents=True).need("z")
    model.train()
    assert not torch.allclose(model(**rows, keep_latents=True).need("z"), whole)
    model.encoder.eval()
    torch.testing.assert_close(model(**rows, keep_latents=True).need("z"), whole)


def test_there_is_no_prior_and_the_message_says_what_makes_one() -> None:
    model = _model()
    assert not model.has_prior
    with pytest.raises(ValueError, match="no prior to draw from; model.encoder.weights with model.encoder.fixed_var"):
        model.sample_prior(3, seed=0)


def test_saved_and_loaded_it_says_the_same(tmp_path: Path) -> None:
    model = _model(pooling="max").float()
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path).eval()
    assert isinstance(again, SentenceAutoencoder)
    rows = batch(SENTENCES)
    torch.testing.assert_close(again(**rows).need("log_p_dec"), model(**rows).need("log_p_dec"))
