"""The variance spectrum by hand, its error against simulation, the count of active units and its doubt."""

import math

import pytest
import torch

from textlatent.diagnostics.usage import (
    active_count,
    active_units,
    rate_per_dimension,
    variance_per_dimension,
    variance_spectrum,
)
from textlatent.nats.montecarlo import Estimate


def test_two_sentences_by_hand() -> None:
    """Means (0, 1), (2, 1), in units of the prior's deviations (1, 3): variances 2 and 0 with the divisor n - 1."""
    mean = torch.tensor([[0.0, 1.0, 0.0], [2.0, 1.0, 6.0]])
    scale = torch.tensor([1.0, 3.0, 2.0])
    assert [v.value for v in variance_per_dimension(mean, prior_scale=scale)] == [2.0, 0.0, 4.5]
    assert variance_per_dimension(mean)[0].se == pytest.approx(math.sqrt((1 + 4) / 2))  # m_4 = 1, s^4 = 4, N = 2
    assert variance_spectrum(mean, scale).tolist() == [4.5, 2.0, 0.0]
    assert variance_spectrum(mean).tolist() == [18.0, 2.0, 0.0]
    assert active_units(mean, prior_scale=scale).tolist() == [True, False, True]
    assert active_units(mean, prior_scale=scale, threshold=3.0).tolist() == [False, False, True]


def test_it_is_the_sample_variance() -> None:
    mean = torch.randn(100, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = (mean / 0.5).var(0, correction=1)
    assert [v.value for v in variance_per_dimension(mean, prior_scale=0.5)] == pytest.approx(expected.tolist())


def test_a_large_common_mean_costs_no_digits() -> None:
    mean = torch.tensor([[1e8], [1e8 + 0.5]], dtype=torch.float64)
    assert variance_per_dimension(mean)[0].value == pytest.approx(0.125, rel=1e-12)


@pytest.mark.parametrize("law", ["normal", "uniform", "skewed"])
def test_the_error_is_the_spread_over_corpora(law: str) -> None:
    generator = torch.Generator().manual_seed(0)
    repeats, count = 2000, 400
    x = torch.rand(repeats, count, 1, generator=generator, dtype=torch.float64)
    x = {"normal": torch.special.ndtri(x), "uniform": x, "skewed": -torch.log(x)}[law]
    estimates = [variance_per_dimension(rows)[0] for rows in x]
    spread = torch.tensor([e.value for e in estimates], dtype=torch.float64).std().item()
    error = torch.tensor([e.se for e in estimates], dtype=torch.float64).square().mean().sqrt().item()
    # The kurtosis of an exponential is heavy-tailed: it is estimated to some percent from 400 sentences.
    assert error == pytest.approx(spread, rel=4 / math.sqrt(2 * repeats) + 0.05)


def test_the_count_knows_what_it_does_not_know() -> None:
    certain = [Estimate(1.0, 0.01, 100), Estimate(1e-5, 1e-6, 100), Estimate(0.5, 0.0, 100)]
    assert active_count(certain) == Estimate(2.0, 0.0, 100)
    at_the_threshold = active_count([*certain, Estimate(0.01, 0.001, 100)])
    assert at_the_threshold.value == 2
    assert at_the_threshold.se == pytest.approx(0.5)


def test_the_count_s_error_is_its_spread_over_corpora() -> None:
    """Ten dimensions whose variance lies at the threshold: the count is binomial, its deviation sqrt(10) / 2."""
    generator = torch.Generator().manual_seed(0)
    means = 0.1 * torch.randn(500, 300, 10, generator=generator, dtype=torch.float64)
    counts = [active_count(variance_per_dimension(mean)) for mean in means]
    spread = torch.tensor([c.value for c in counts]).std().item()
    assert spread == pytest.approx(math.sqrt(10) / 2, rel=4 / math.sqrt(2 * 500))
    error = sum(c.se for c in counts) / len(counts)
    # Plugging the estimate in for the truth averages p (1 - p) over p ~ U(0, 1): 1/6 in place of 1/4.
    assert error == pytest.approx(math.sqrt(10 / 6), rel=0.05)


def test_the_rates_of_the_dimensions_add_up() -> None:
    kl = torch.rand(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rates = rate_per_dimension(kl)
    assert sum(r.value for r in rates) == pytest.approx(kl.sum(1).mean().item(), abs=1e-12)
    assert rates[2].se == pytest.approx(kl[:, 2].std().item() / math.sqrt(50))


def test_one_sentence_has_no_variance() -> None:
    with pytest.raises(ValueError, match="at least 2 of them, got 1"):
        variance_per_dimension(torch.zeros(1, 3))
