"""The Gaussian encoder: pooling by hand, any transformers encoder, and a change of coordinates."""

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


def encoder(kind: str = "bert", *, pooling: str = "mean", log_variance_bias: float = 0.0) -> GaussianEncoder:
    torch.manual_seed(0)
    made = GaussianEncoder(backbone(kind), latent_size=3, pooling=pooling, log_variance_bias=log_variance_bias)
    return made.double().eval()


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


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(ValueError, match="pooling must be one of mean, max, first, last, got 'sum'"):
        encoder(pooling="sum")
