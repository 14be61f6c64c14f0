"""R(D) of a decoder's table: bounds by definition, a model that is on it, one that is above it."""

import math

import pytest
import torch

from textlatent.diagnostics.limit import code_limit
from textlatent.nats.channel import rate_split


def table(sentences: int, codes: int, *, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return -3.0 * torch.rand(sentences, codes, generator=generator, dtype=torch.float64)


def test_a_code_for_each_sentence_at_a_uniform_prior_is_on_the_curve() -> None:
    log_p = torch.full((4, 4), -30.0, dtype=torch.float64).fill_diagonal_(-1.0)
    found = code_limit(log_p, torch.arange(4), torch.full((4,), math.log(4.0)))
    assert found.rate == pytest.approx(math.log(4.0), abs=1e-6)
    assert found.distortion == 1.0
    assert found.excess == pytest.approx(0.0, abs=1e-6)
    assert found.excess_loss == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_encoder_and_prior_are_below_it(seed: int) -> None:
    log_p = table(12, 5, seed=seed)
    own = log_p.argmax(1)
    found = code_limit(log_p, own, torch.full((12,), math.log(5.0), dtype=torch.float64))
    assert found.excess >= 0.0
    assert found.excess_loss >= 0.0
    assert found.distortion == pytest.approx(float(-log_p.max(1).values.mean()), abs=1e-12)
    assert (found.codes, found.sentences) == (5, 12)
    weight = torch.full((12,), 1 / 12, dtype=torch.float64)
    for other in range(20):
        generator = torch.Generator().manual_seed(other)
        encoder = (log_p * (other / 5) + torch.randn(12, 5, generator=generator, dtype=torch.float64)).softmax(1)
        rate = rate_split(encoder, weight, weight @ encoder).rate
        loss = float(-(encoder * log_p).sum(1).mean())
        for point in (*found.points, found.best):
            assert rate >= point.tangent(loss) - 1e-12


def test_what_is_kept() -> None:
    log_p = table(6, 3, seed=1)
    kept = code_limit(log_p, log_p.argmax(1), torch.full((6,), math.log(3.0))).to_dict()
    assert kept["cap_nats"] == math.log(6.0)
    assert kept["curve"][0]["slope"] is None
    assert kept["curve"][-1]["rate"] == 0.0
    assert kept["excess_rate_nats"] == pytest.approx(kept["rate_nats"] - kept["least_rate_nats"]["lower"])
    assert kept["least_loss_nats"]["slope"] == 1.0


def test_a_number_that_is_none() -> None:
    log_p = table(3, 2, seed=0)
    log_p[1, 1] = -math.inf
    with pytest.raises(ValueError, match="must be finite"):
        code_limit(log_p, torch.zeros(3, dtype=torch.int64), torch.zeros(3))
