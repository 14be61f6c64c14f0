"""The Gaussian encoder: pooling by hand, any transformers encoder, and a change of coordinates."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny import SENTENCES, backbone, batch
from textlatent.encoder.gaussian import POOLINGS, GaussianEncoder, pool
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension, standardise

KINDS = ["bert", "roberta", "distilbert", "electra", "t5", "gpt2"]

HIDDEN = torch.tensor([[[1.0, 8.0], [3.0, -2.0], [5.0, 6.0]], [[4.0, -7.0], [9.0, 9.0], [9.0, 9.0]]])
MASK = torch.tensor([[True, True, False], [True, False, False]])


def rows() -> tuple[Tensor, Tensor]:
    """Tokens and mask of the six small sentences."""
    padded = batch(SENTENCES)
    return padded["tokens"], torch.arange(6) < padded["lengths"][:, None]


def encoder(kind: str = "bert", **settings: Any) -> GaussianEncoder:
    torch.manual_seed(0)
    return GaussianEncoder(backbone(kind), latent_size=3, **settings).double().eval()


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, 3.0], [4.0, -7.0]]),
        ("max", [[3.0, 8.0], [4.0, -7.0]]),
        ("first", [[1.0, 8.0], [4.0, -7.0]]),
        ("last", [[3.0, -2.0], [4.0, -7.0]]),
    ],
)
def test_pooling_by_hand(pooling: str, expected: list[list[float]]) -> None:
    assert torch.equal(pool(HIDDEN, MASK, pooling), torch.tensor(expected))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_takes_no_part_in_pooling(pooling: str) -> None:
    """Neither its value, be it NaN, nor its gradient."""
    hidden = HIDDEN.masked_fill(~MASK[:, :, None], float("nan")).requires_grad_()
    pooled = pool(hidden, MASK, pooling)
    assert torch.equal(pooled, pool(HIDDEN, MASK, pooling))
    pooled.sum().backward()
    assert not hidden.grad[~MASK].any()
    torch.testing.assert_close(hidden.grad.sum((1, 2)), torch.tensor([2.0, 2.0]))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_encoder_is_its_own_hidden_states_pooled_and_mapped(kind: str, pooling: str) -> None:
    """Against the transformer run on one sentence at a time, without padding, pooled by hand."""
    enc = encoder(kind, pooling=pooling, log_variance_bias=-1.5)
    by_hand = {
        "mean": lambda h: h.mean(0),
        "max": lambda h: h.max(0).values,
        "first": lambda h: h[0],
        "last": lambda h: h[-1],
    }[pooling]
    with torch.no_grad():
        posterior = enc(*rows())
        pooled = [by_hand(enc.backbone(input_ids=torch.tensor([row])).last_hidden_state[0]) for row in SENTENCES]
        mapped = torch.stack(pooled) @ enc.head.weight.T + enc.head.bias
    torch.testing.assert_close(posterior.mean, mapped[:, :3], rtol=0, atol=1e-9)
    torch.testing.assert_close(posterior.log_variance, mapped[:, 3:] - 1.5, rtol=0, atol=1e-9)


def test_an_encoder_decoder_gives_its_encoder_alone() -> None:
    enc = encoder("t5")
    assert not any("decoder" in name for name, _ in enc.named_parameters())


def test_no_parameter_without_a_gradient() -> None:
    """A pooler would be trained by nobody (and would stop a distributed run)."""
    for kind in KINDS:
        enc = encoder(kind).train()
        posterior = enc(*rows())
        (posterior.mean.sum() + posterior.log_variance.square().sum()).backward()
        assert [name for name, p in enc.named_parameters() if p.grad is None] == [], kind


def test_under_autocast_the_head_keeps_its_precision() -> None:
    """The nats of the rate are not made in bfloat16: mean and log-variance come in float32."""
    enc = encoder().float()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        posterior = enc(*rows())
    assert posterior.mean.dtype == posterior.log_variance.dtype == torch.float32


def test_rescale_is_standardise() -> None:
    """In the new coordinates the posterior is what nats.standardise makes of the old one (THEORY T5)."""
    enc = encoder(log_variance_bias=-0.5)
    mean, log_variance = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = DiagonalGaussian(mean, log_variance)
    with torch.no_grad():
        enc.head.bias.normal_()
        expected = standardise(enc(*rows()), unit)
        enc.rescale(unit)
        posterior = enc(*rows())
    torch.testing.assert_close(posterior.mean, expected.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(posterior.log_variance, expected.log_variance, rtol=0, atol=1e-12)
    zero = torch.zeros(3, dtype=torch.float64)
    assert (kl_per_dimension(posterior, DiagonalGaussian(zero, zero)) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_in_the_place_of_tokens(kind: str) -> None:
    """The tokens' own embeddings give the tokens' own posterior."""
    enc, tokens = encoder(kind), torch.tensor([[3, 4, 5, 6], [9, 10, 3, 7]])
    embeddings = enc.backbone.get_input_embeddings()(tokens)
    assert embeddings.shape[-1] == enc.embedding_size
    with torch.no_grad():
        one, other = enc(tokens, torch.ones(2, 4, dtype=torch.bool)), enc.from_embeddings(embeddings)
    torch.testing.assert_close(other.mean, one.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(other.log_variance, one.log_variance, rtol=0, atol=1e-12)


def test_a_fixed_variance_is_that_of_every_sentence() -> None:
    """Half a head, the mean as with a whole one, and a rate that cannot vanish: (v - ln v - 1) / 2 per dimension."""
    enc, whole = encoder(fixed_variance=0.25), encoder()
    enc.backbone.load_state_dict(whole.backbone.state_dict())
    with torch.no_grad():
        enc.head.weight.copy_(whole.head.weight[:3])
        enc.head.bias.copy_(whole.head.bias[:3])
        posterior, other = enc(*rows()), whole(*rows())
    torch.testing.assert_close(posterior.mean, other.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(posterior.variance, torch.full((6, 3), 0.25, dtype=torch.float64), rtol=0, atol=1e-7)
    zero = torch.zeros(3, dtype=torch.float64)
    kl = kl_per_dimension(posterior, DiagonalGaussian(zero, zero))
    assert (kl >= 0.5 * (0.25 - math.log(0.25) - 1.0) - 1e-7).all()


def test_rescale_moves_a_fixed_variance_too() -> None:
    enc = encoder(fixed_variance=0.25)
    mean, log_variance = torch.randn(2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    unit = DiagonalGaussian(mean, log_variance)
    with torch.no_grad():
        expected = standardise(enc(*rows()), unit)
        enc.rescale(unit)
        posterior = enc(*rows())
    torch.testing.assert_close(posterior.mean, expected.mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(posterior.log_variance, expected.log_variance, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["fixed_variance", "batch_norm"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_what_must_be_above_zero(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be > 0, got {value}; leave it out"):
        encoder(**{name: value})


def test_normalised_means_have_no_dropout_below_them() -> None:
    """In training as in evaluation; plain means have it."""
    for gamma, same in ((0.5, True), (None, False)):
        torch.manual_seed(0)
        dropping = backbone("bert", hidden_dropout_prob=0.5)
        enc = GaussianEncoder(dropping, latent_size=3, batch_norm=gamma)
        for mode in (enc, enc.train()):
            with torch.no_grad():
                first, second = mode(*rows()).mean, mode(*rows()).mean
            assert torch.equal(first, second) == same
        assert enc.training
        assert not enc.eval().training


def test_normalised_means_are_not_rescaled() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    with pytest.raises(ValueError, match="only batch_norm: null can be rescaled"):
        encoder(batch_norm=0.5).rescale(DiagonalGaussian(zero, zero))


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling must be one of mean, max, first, last, got 'sum'"):
        encoder(pooling="sum")
