"""The sentence VQ model: its terms by their definitions, its bound, and what must change nothing."""

import json
import math
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from safetensors.torch import load_file
from torch import Tensor

from tests.tiny import EOS, SENTENCES, batch, vae, vq
from textlatent.corpus.tokenizer import train_tokenizer
from textlatent.models import SentenceVQ, SentenceVQConfig
from textlatent.models.autoencoder import token_mask
from textlatent.models.configuration import LOUDNESS
from textlatent.scores import Scores

TOLERANCE = 1e-9
PRIORS = ["uniform", "independent", "autoregressive"]


def any_prior(prior: str, **config: object) -> SentenceVQ:
    """A model whose prior has left its start."""
    model = vq(prior=prior, **config)
    with torch.no_grad():
        for parameter in model.prior.parameters(recurse=False):
            parameter.normal_(generator=torch.Generator().manual_seed(3))
    return model


@torch.no_grad()
def score(model: SentenceVQ, rows: dict[str, Tensor], **options: object) -> Scores:
    return model(**rows, keep_latents=True, keep_tokens=True, **options)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_terms_are_their_definitions(prior: str) -> None:
    """ln P_enc = 0, ln P_pri(k) position by position, ln P_dec given C[k], T7's penalty."""
    model, rows = any_prior(prior), batch(SENTENCES)
    scores = score(model, rows, samples=2)
    mask = token_mask(rows["tokens"], rows["lengths"])
    with torch.no_grad():
        found = model.encoder(rows["tokens"], mask)
        dec = model.decoder.log_prob_token(rows["tokens"], found.mean, mask)
        pri = model.prior.log_prob(found.codes)
    assert scores.codes.shape == (1, 6, 2)
    assert scores.log_p_enc.tolist() == [[0.0] * 6] * 2
    for name, expected in {
        "codes": found.codes[None],
        "z": found.mean[None],
        "kl": -pri,
        "log_p_pri": pri.sum(1).expand(2, -1),
        "log_p_dec": dec.sum(1).expand(2, -1),
        "log_p_dec_token": dec,
        "penalty": found.penalty,
    }.items():
        torch.testing.assert_close(getattr(scores, name), expected, rtol=0, atol=1e-12)
    assert scores.posterior_mean is None
    torch.testing.assert_close(scores.rate(), -pri.sum(1), rtol=0, atol=1e-12)
    if prior == "uniform":
        assert scores.rate().tolist() == [2 * math.log(3)] * 6


def test_scores_do_not_depend_on_the_batch() -> None:
    """Not on padding, order or company; permuting a batch permutes its scores."""
    model = any_prior("autoregressive")
    whole = score(model, batch(SENTENCES))
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    permuted = {name: tensor[order] for name, tensor in batch(SENTENCES).items()}
    alone = Scores.concatenate([score(model, batch([row], first=n)) for n, row in enumerate(SENTENCES)])
    for one, other in (
        (score(model, batch(SENTENCES, width=10)), whole),
        (score(model, permuted), whole.select(order)),
        (alone, whole),
    ):
        for name in ("kl", "log_p_dec", "penalty", "codes", "z"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("books", ["shared", "position"])
def test_the_bound_is_above_the_marginal_by_the_posterior_of_its_code(prior: str, books: str) -> None:
    """By enumeration of the 9 codes: -ln P_pri(k) - ln P_dec(y|k) + ln P(y) = -ln P(k|y) >= 0 (T11)."""
    model, rows = any_prior(prior, books=books), batch(SENTENCES)
    scores, marginal = score(model, rows), model.log_marginal(rows["tokens"], rows["lengths"], chunk=7)
    joint = []
    for code in product(range(3), repeat=2):
        k = torch.tensor([code])
        with torch.no_grad():
            z = torch.cat([model.encoder.books[p if books == "position" else 0].vectors[c] for p, c in enumerate(code)])
            dec = model.log_prob_token(rows["tokens"], rows["lengths"], z.expand(6, -1)).sum(1)
            joint.append(model.prior.log_prob(k).sum() + dec)
    table = torch.stack(joint)
    torch.testing.assert_close(marginal, table.logsumexp(0), rtol=0, atol=1e-10)
    own = scores.codes[0, :, 0] * 3 + scores.codes[0, :, 1]
    posterior = table.log_softmax(0)[own, torch.arange(6)]
    torch.testing.assert_close(scores.neg_elbo() + marginal, -posterior, rtol=0, atol=1e-10)
    assert (scores.neg_elbo() + marginal > 0).all()


@pytest.mark.parametrize("prior", PRIORS)
def test_so_it_is_of_a_grid(prior: str) -> None:
    """K = 6 of the levels 3 and 2 at two positions: all 36 codes, one by one."""
    model, rows = any_prior(prior, levels=[3, 2]), batch(SENTENCES)
    assert (model.config.codes, model.config.size, model.config.latent_size) == (6, 2, 4)
    scores, marginal = score(model, rows), model.log_marginal(rows["tokens"], rows["lengths"], chunk=7)
    vectors, joint = model.encoder.books[0].vectors, []
    for code in product(range(6), repeat=2):
        with torch.no_grad():
            dec = model.log_prob_token(rows["tokens"], rows["lengths"], vectors[list(code)].flatten().expand(6, -1))
            joint.append(model.prior.log_prob(torch.tensor([code])).sum() + dec.sum(1))
    table = torch.stack(joint)
    torch.testing.assert_close(marginal, table.logsumexp(0), rtol=0, atol=1e-10)
    own = scores.codes[0, :, 0] * 6 + scores.codes[0, :, 1]
    torch.testing.assert_close(scores.neg_elbo(), -table[own, torch.arange(6)], rtol=0, atol=1e-10)
    assert not scores.penalty.any()


def test_every_parameter_hears_the_loss_through_a_grid() -> None:
    model = any_prior("autoregressive", levels=[3, 2]).train()
    model(**batch(SENTENCES), seed=1, epoch=1).neg_elbo().sum().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if not name.endswith("key.bias")] == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("codes", 5), ("size", 3), ("books", "position"), ("gradient_rule", "both"), ("commitment", 0.5)),
        *(("rotation", True), ("decay", None), ("codebook_lr_factor", 2.0), ("revive", None)),
    ],
)
def test_what_means_nothing_of_a_grid_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{key} means nothing where levels make a fixed grid, got {value!r}"):
        SentenceVQConfig(**{"levels": [3, 2], key: value})


def test_the_mass_of_all_short_sentences_and_of_those_that_go_on_is_one() -> None:
    """sum_y P(y) over every y of at most 2 words, and over the beginnings of all longer ones."""
    model = any_prior("independent", vocabulary=6, start=False)
    words = [token for token in range(6) if token != EOS]
    short = [[*row, EOS] for n in range(3) for row in product(words, repeat=n)]
    longer = [list(row) for row in product(words, repeat=3)]  # three words and no end yet
    total = 0.0
    for sentences in (short, longer):
        rows = batch(sentences)
        total += model.log_marginal(rows["tokens"], rows["lengths"]).exp().sum().item()
    assert total == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("size", [2, 64])
def test_codes_are_as_loud_in_the_decoder_however_many_numbers_they_have(size: int) -> None:
    """W z of z with unit variances adds LOUDNESS to a token's embedding before anything is learned."""
    model = vq(size=size, scale=1.0, start=False)
    weight = model.decoder.to_every.weight.detach()
    found = weight.square().sum(1).mean().sqrt().item()  # [H, D]: the deviation of W z
    assert found == pytest.approx(LOUDNESS, rel=4 / math.sqrt(2 * weight.numel()))


def test_too_many_codes_are_not_enumerated() -> None:
    model, rows = vq(), batch(SENTENCES)
    with pytest.raises(ValueError, match="sums over 3\\^2 codes, more than 8; raise limit"):
        model.log_marginal(rows["tokens"], rows["lengths"], limit=8)


@pytest.mark.parametrize("books", ["shared", "position"])
@pytest.mark.parametrize("rule", ["published", "both", "end_to_end"])
def test_every_parameter_hears_the_loss(rule: str, books: str) -> None:
    """Codes learned by gradient too; only codes that no sentence has are left out."""
    model = any_prior("autoregressive", gradient_rule=rule, decay=None, books=books).train()
    scores = model(**batch(SENTENCES), seed=1, epoch=1)
    (scores.neg_elbo().sum() + scores.penalty.sum()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in silent if not name.endswith("key.bias")] == []
    hit = scores.codes[0, :, 0].unique() if books == "position" else scores.codes.unique()
    rows = model.encoder.books[0].vectors.grad.abs().sum(1) > 0
    assert set(rows.nonzero().flatten().tolist()) <= set(hit.tolist())


def test_the_loss_of_one_s_own_loop_holds_the_rule_s_own() -> None:
    """Without the penalty nothing would pull codes and encoder together; codes under `published` would never move."""
    model, rows = any_prior("uniform", decay=None).train(), batch(SENTENCES)
    loss, scores = model.loss(**rows), model(**rows)
    torch.testing.assert_close(loss, (scores.neg_elbo() + scores.penalty).mean(), rtol=1e-12, atol=0)
    loss.backward()
    apart = model.encoder.books[0].vectors.grad
    assert apart is not None
    assert apart.any()


def test_the_prior_beside_leaves_encoder_and_decoder_alone() -> None:
    """A rate of codes has no gradient in the encoder: they are whole numbers (T10)."""
    model = any_prior("autoregressive").train()
    model(**batch(SENTENCES)).rate().sum().backward()
    assert all(p.grad is None for part in (model.encoder, model.decoder) for p in part.parameters())
    assert all(p.grad is not None for p in model.prior.parameters())


def test_without_the_distortion_the_decoder_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    model = vq()
    monkeypatch.setattr(model.decoder, "log_prob_token", None)
    scores = model(**batch(SENTENCES), distortion=False)
    assert scores.log_p_dec is None
    assert scores.rate().tolist() == [2 * math.log(3)] * 6


def test_only_a_learning_encoder_shows_the_codebook_what_it_sees() -> None:
    model, rows = vq(), batch(SENTENCES)
    model(**rows)
    model.train()
    with torch.no_grad():
        model(**rows)
    assert model.encoder.books[0]._step == []
    model(**{**rows, "index": torch.tensor([0, 1, 2, 3, -1, -1])})
    assert model.encoder.books[0]._step[0].sum() == 8, "two rows stand for no sentence"


WORDS = ["the cat sat", "a dog ran", "the dog sat", "a cat ran"]


@pytest.fixture(scope="module")
def told() -> SentenceVQ:
    """A model with a tokenizer."""
    tokenizer = train_tokenizer(WORDS, type="word", vocabulary=None)
    model = any_prior("autoregressive", vocabulary=len(tokenizer), dtype=torch.float32, start=False)
    model.tokenizer = tokenizer
    rows = batch([[*tokenizer(text, add_special_tokens=False)["input_ids"], EOS] for text in WORDS])
    model.start_codes([(rows["tokens"], rows["lengths"])], seed=0)
    return model


def test_sentences_to_codes_and_back(told: SentenceVQ) -> None:
    """Codes and their vectors are the same z; a code that is drawn can be written out."""
    found = told.encode(WORDS, batch_size=3)
    assert found.codes.shape == (4, 2)
    assert found.mean.shape == (4, 8)
    assert told.decode(found.codes) == told.decode(found.mean)
    drawn = told.sample_codes(5, seed=2)
    torch.testing.assert_close(told.sample_prior(5, seed=2), told.encoder.look_up(drawn), rtol=0, atol=0)
    assert len(told.decode(drawn, do_sample=True, top_k=0)) == 5
    assert told.generate(found.mean, num_beams=2).shape[0] == 4
    scores = told.score(WORDS)
    assert torch.equal(scores.codes[0], found.codes)


def test_saved_and_loaded_in_another_process_it_is_the_same(told: SentenceVQ, tmp_path: Path) -> None:
    """Logits, every parameter and buffer (the codebook's statistics among them), codes, nats: bit for bit."""
    told.train()
    told(
        **batch([[*told.tokenizer(text, add_special_tokens=False)["input_ids"], EOS] for text in WORDS]),
        seed=1,
        epoch=1,
    )
    told.encoder.settle(reduce=lambda tensor: tensor)
    told.eval()
    folder, text = tmp_path / "model", tmp_path / "text.json"
    told.save_pretrained(folder)
    text.write_text(json.dumps(WORDS))
    fresh = Path(__file__).with_name("fresh.py")
    environment = {**os.environ, "PYTHONPATH": str(fresh.parents[2]), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(fresh), str(text), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    found, said = load_file(f"{folder}.safetensors"), json.loads(Path(f"{folder}.json").read_text())
    assert (said["model"], said["config"]) == ("SentenceVQ", "SentenceVQConfig")
    scores = told.score(WORDS, samples=3, seed=1)
    expected = {f"scores.{name}": tensor for name, tensor in scores.to_dict().items()}
    expected |= {f"parameter.{name}": tensor for name, tensor in told.named_parameters()}
    expected |= {f"buffer.{name}": tensor for name, tensor in told.named_buffers()}
    with torch.no_grad():
        expected["logits"] = told.decoder(torch.tensor([[1, 4, 5, 6]] * 4), scores.z[0]).logits
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        close = (
            {"rtol": 1e-5, "atol": 1e-6} if name == "scores.penalty" else {"rtol": 0, "atol": 0}
        )  # of L, which rounds
        torch.testing.assert_close(found[name], tensor, **close, msg=lambda text, name=name: f"{name}: {text}")
    assert {"buffer.encoder.books.0.counts", "buffer.encoder.books.0.usage", "buffer.encoder.started"} <= found.keys()


def test_a_gaussian_model_has_no_codes_to_decode() -> None:
    with pytest.raises(ValueError, match="this model has no codes: z must be numbers of type float"):
        vae().decode(torch.zeros(1, 3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"prior": "flat"}, "prior must be one of uniform, independent, autoregressive, got 'flat'"),
        ({"books": "two"}, "books must be one of shared, position, residual, got 'two'"),
        ({"decoder": {"latent_size": 3}}, "the decoder expects 3 dimensions of z, got 512"),
        ({"levels": [3, 2], "decoder": {"latent_size": 3}}, "the decoder expects 3 dimensions of z, got 16"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=sentence):
        SentenceVQConfig(**settings)
