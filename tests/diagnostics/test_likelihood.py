"""IW-NLL by hand, by enumeration of subsets and permutations, by a Gaussian integral; ratios against simulation."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from textlatent.diagnostics.likelihood import (
    bits_per_unit,
    convergence,
    importance_ladder,
    perplexity,
    ratio_with_error,
)
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import log_importance_weights, log_mean_exp


def weights(draws: int, sentences: int, *, seed: int = 0, spread: float = 2.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(draws, sentences, generator=generator, dtype=torch.float64) - 50.0


def test_two_sentences_by_hand() -> None:
    """Weights 1, 3 | 2, 2 of one sentence and 4, 4 | 1, 1 of the other."""
    log_weights = torch.tensor([[1.0, 4.0], [3.0, 4.0], [2.0, 1.0], [2.0, 1.0]], dtype=torch.float64).log()
    one, two, four = importance_ladder(log_weights, ladder=(1, 2, 4))
    assert [row.samples for row in (one, two, four)] == [1, 2, 4]
    assert one.nll.tolist() == pytest.approx([-math.log(12) / 4, -math.log(16) / 4])
    assert two.nll.tolist() == pytest.approx([-math.log(2), -math.log(2)])
    assert four.nll.tolist() == pytest.approx([-math.log(2), -math.log(2.5)])
    assert four.estimate.value == pytest.approx(-(math.log(2) + math.log(2.5)) / 2)
    assert four.estimate.se == pytest.approx(math.log(1.25) / 2)
    assert one.ess == one.ess_worst_decile == pytest.approx(1.0)
    assert two.ess == pytest.approx(((16 / 10 + 2) / 2 + 2) / 2)
    assert four.ess == pytest.approx((64 / 18 + 100 / 34) / 2)
    assert four.ess_worst_decile == pytest.approx(100 / 34 + 0.1 * (64 / 18 - 100 / 34))


@pytest.mark.parametrize("ladder", [(1, 10, 100, 500), (1, 2, 6, 12, 60), (2, 3), (1, 5, 7, 10, 64)])
@pytest.mark.parametrize("draws", [500, 120, 64, 63, 7])
def test_it_never_rises_between_rungs_that_divide(ladder: tuple[int, ...], draws: int) -> None:
    """Sentence by sentence and to the digit, whatever the number of draws left over."""
    rows = importance_ladder(weights(draws, 50), ladder=ladder)
    assert [row.samples for row in rows] == sorted({k for k in ladder if k <= draws} | {draws})
    for lower, higher in itertools.pairwise(rows):
        if higher.samples % lower.samples == 0:
            assert (higher.nll < lower.nll).all()
            assert higher.estimate.value < lower.estimate.value


def test_rungs_that_do_not_divide_use_all_whole_blocks() -> None:
    log_weights = weights(7, 3)
    rows = importance_ladder(log_weights, ladder=(2, 3))
    assert rows[0].nll.tolist() == pytest.approx((-log_mean_exp(log_weights[:6].reshape(3, 2, 3), 1).mean(0)).tolist())
    assert rows[1].nll.tolist() == pytest.approx((-log_mean_exp(log_weights[:6].reshape(2, 3, 3), 1).mean(0)).tolist())
    assert rows[2].nll.tolist() == pytest.approx((-log_mean_exp(log_weights, 0)).tolist())


def test_over_all_subsets_it_falls_at_every_step() -> None:
    """T3 on given draws: averaged over all K-subsets, the bound falls in K, by enumeration of S = 5 draws."""
    draws = weights(5, 4)
    bounds = [
        -torch.stack([log_mean_exp(draws[list(rows)]) for rows in itertools.combinations(range(5), k)]).mean(0)
        for k in range(1, 6)
    ]
    for lower, higher in itertools.pairwise(bounds):
        assert (higher < lower).all()
    for k in (1, 2, 3, 5):  # and the ladder's blocks are those subsets, averaged over the orders of the draws
        orders = itertools.permutations(range(5))
        rung = [importance_ladder(draws[list(order)], ladder=(k,))[0].nll for order in orders]
        assert torch.stack(rung).mean(0).tolist() == pytest.approx(bounds[k - 1].tolist(), abs=1e-12)


def test_equal_weights_are_the_likelihood_at_every_rung() -> None:
    """T3: with the exact posterior as encoder every weight is P(y)."""
    log_p = torch.tensor([-3.0, -120.0, -7.5], dtype=torch.float64)
    for row in importance_ladder(log_p.expand(100, 3)):
        assert row.nll.tolist() == pytest.approx((-log_p).tolist(), abs=1e-12)
        assert row.ess == pytest.approx(row.samples)


def test_it_falls_to_a_known_likelihood() -> None:
    """The model z ~ N(0, 1), y ~ N(z, 1) has y ~ N(0, 2); the encoder N(y / 2, 1) is twice too wide."""
    generator = torch.Generator().manual_seed(0)
    y = math.sqrt(2) * torch.randn(400, generator=generator, dtype=torch.float64)
    zero = torch.zeros_like(y)[:, None]
    enc = DiagonalGaussian(y[:, None] / 2, zero)
    z = enc.sample(torch.randn(1000, 400, 1, generator=generator, dtype=torch.float64))
    log_p_dec = DiagonalGaussian(z, zero).log_prob(y[:, None])
    log_weights = log_importance_weights(enc.log_prob(z), DiagonalGaussian(zero, zero).log_prob(z), log_p_dec)
    exact = 0.5 * (y.square() / 2 + math.log(4 * math.pi))
    first, *_, last = importance_ladder(log_weights, ladder=(1, 10, 100))
    gap = 0.5 * (2 - 1 - math.log(2))  # KL(N(0, 1) || N(0, 1/2))
    assert (first.nll - exact).mean().item() == pytest.approx(gap, abs=4 * (first.nll - exact).std().item() / 20)
    error = last.nll - exact
    assert error.mean().item() == pytest.approx(0.0, abs=4 * error.std().item() / 20)
    assert convergence(importance_ladder(log_weights)).converged


def test_float32_weights_are_averaged_in_float64() -> None:
    log_weights = weights(100, 20)
    rows, narrow = importance_ladder(log_weights.float().double()), importance_ladder(log_weights.float())
    assert [row.estimate for row in rows] == [row.estimate for row in narrow]


def test_convergence_weighs_the_drop_with_its_paired_error() -> None:
    level = torch.tensor([10.0, 90.0, 50.0, 200.0], dtype=torch.float64)  # sentences differ far more than rungs do
    first, second = -level, -level + torch.tensor([0.04, 0.06, 0.05, 0.05], dtype=torch.float64)
    rows = importance_ladder(torch.stack([2 * first - second, second]), ladder=(1,))
    verdict = convergence(rows)
    drops = rows[0].nll - rows[1].nll
    assert verdict.drop is not None
    assert verdict.drop.value == pytest.approx(drops.mean().item())
    assert verdict.drop.se == pytest.approx(drops.std().item() / 2)
    assert verdict.converged is True
    assert verdict.message.startswith("converged: it falls by 0.00")
    strict = convergence(rows, tolerance=verdict.drop.value + 1.9 * verdict.drop.se)
    assert strict.converged is False
    assert strict.message.endswith("take more samples.")
    assert convergence(rows, tolerance=verdict.drop.value + 2.1 * verdict.drop.se).converged is True


def test_one_rung_says_nothing_of_convergence() -> None:
    verdict = convergence(importance_ladder(weights(1, 5)))
    assert verdict.converged is None
    assert verdict.drop is None
    assert "K = 1" in verdict.message


def test_one_sentence_has_a_value_and_no_error() -> None:
    rows = importance_ladder(weights(20, 1))
    assert math.isnan(rows[-1].estimate.se)
    assert convergence(rows).converged is None
    assert convergence(rows).message.endswith("more than one sentence.")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_weight_that_is_not_finite_is_named(bad: float) -> None:
    log_weights = weights(4, 6)
    log_weights[2, 3] = bad
    with pytest.raises(ValueError, match="row 3 of the Scores"):
        importance_ladder(log_weights)


def test_a_rung_below_one_is_named() -> None:
    with pytest.raises(ValueError, match=r"must be >= 1, got \[0, 5\]"):
        importance_ladder(weights(4, 6), ladder=(0, 5))


def test_perplexity_is_total_over_total() -> None:
    """Two sentences: 6 nats over 3 tokens and 2 nats over 1 token."""
    nll, tokens = torch.tensor([6.0, 2.0]), torch.tensor([3, 1])
    assert perplexity(nll, tokens).value == pytest.approx(math.exp(2.0))
    assert perplexity(nll, tokens).se == pytest.approx(0.0, abs=1e-12)
    unequal = perplexity(torch.tensor([6.0, 4.0]), tokens)
    assert unequal.value == pytest.approx(math.exp(2.5))
    assert unequal.se == pytest.approx(math.exp(2.5) * math.sqrt(2 * (1.5**2 + 1.5**2)) / 4)
    assert bits_per_unit(torch.tensor([6.0, 4.0]), tokens).value == pytest.approx(2.5 / math.log(2))


@pytest.mark.parametrize("statistic", [ratio_with_error, perplexity, bits_per_unit])
def test_the_error_of_a_ratio_is_its_spread_over_corpora(statistic) -> None:  # noqa: ANN001
    """Long sentences cost more nats: the error must not be that of independent numerators and denominators."""
    generator = torch.Generator().manual_seed(0)
    repeats, count = 2000, 300
    tokens = torch.randint(2, 40, (repeats, count), generator=generator)
    nll = tokens * (4.0 + 0.3 * torch.randn(repeats, count, generator=generator, dtype=torch.float64)) + 5.0
    estimates = [statistic(n, t) for n, t in zip(nll, tokens, strict=True)]
    spread = torch.tensor([e.value for e in estimates], dtype=torch.float64).std().item()
    error = torch.tensor([e.se for e in estimates], dtype=torch.float64).square().mean().sqrt().item()
    # The spread's own relative error is 1 / sqrt(2 R); the delta method's is of order 1 / N.
    assert error == pytest.approx(spread, rel=4 / math.sqrt(2 * repeats) + 4 / count)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="denominator above 0, got 0 from 2 sentences"):
        ratio_with_error(torch.ones(2), torch.zeros(2))
