"""Oracle: the estimate's gradient summed over every outcome of the draws."""

import pytest
import torch
from torch import Tensor

from tests.gradient.estimators import LOGITS, cubic, enumerated, exact, gradient, values
from textlatent.gradient.score_function import (
    cost_to_go,
    leave_one_out,
    leave_one_out_optimal,
    optimal_baseline,
    score_function,
    score_square,
)

COST = values(cubic, 3)


def _log_prob(logits: Tensor, word: Tensor) -> Tensor:
    return logits.log_softmax(-1)[word]


def _plain(logits: Tensor, word: Tensor, baseline: Tensor | float = 0.0) -> Tensor:
    return score_function(_log_prob(logits, word), COST[word], baseline=baseline)


def _square() -> Tensor:
    return score_square(LOGITS.softmax(-1).expand(3, -1), torch.arange(3))


def test_score_square_is_the_squared_norm_of_the_score() -> None:
    for word in range(3):
        score = gradient(lambda leaf, word=word: _log_prob(leaf, torch.tensor([word])).sum(), LOGITS)
        torch.testing.assert_close(_square()[word], score.square().sum(), rtol=1e-14, atol=0)


@pytest.mark.parametrize("baseline", [0.0, 5.0, -100.0])
def test_any_constant_baseline_leaves_the_mean(baseline: float) -> None:
    found, _ = enumerated(lambda logits, word: _plain(logits, word, baseline), LOGITS)
    torch.testing.assert_close(found, exact(LOGITS, cubic), rtol=0, atol=1e-12)


def test_the_optimal_baseline_has_the_least_variance() -> None:
    p = LOGITS.softmax(-1)
    best = float(optimal_baseline(COST, _square(), weight=p))
    variance = {
        b: enumerated(lambda x, word, b=b: _plain(x, word, b), LOGITS)[1] for b in (best, best + 0.1, best - 0.1)
    }
    assert min(variance, key=lambda b: variance[b]) == best
    slope = (variance[best + 0.1] - variance[best - 0.1]) / 0.2  # 0 at the bottom of a parabola
    assert abs(slope) < 1e-12
    plain = enumerated(_plain, LOGITS)[1]
    explained = float((p * COST * _square()).sum() ** 2 / (p * _square()).sum())  # b*^2 E|s|^2
    assert plain - variance[best] == pytest.approx(explained, rel=1e-12)


def test_the_optimal_baseline_of_draws_weighs_them_alike() -> None:
    cost, square = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 1.0, 2.0])
    assert float(optimal_baseline(cost, square)) == pytest.approx(11 / 4)


@pytest.mark.parametrize("draws", [2, 3])
def test_leave_one_out_is_unbiased(draws: int) -> None:
    def estimate(logits: Tensor, word: Tensor) -> Tensor:
        return _plain(logits, word, leave_one_out(COST[word]))

    found, variance = enumerated(estimate, LOGITS, draws=draws)
    torch.testing.assert_close(found, exact(LOGITS, cubic), rtol=0, atol=1e-12)
    far = enumerated(lambda logits, word: _plain(logits, word, -30.0), LOGITS, draws=draws)[1]  # costs 30 higher
    assert variance < 0.1 * far, "whatever all costs have in common makes no noise"


def test_the_leave_one_out_optimal_baseline_is_unbiased() -> None:
    def estimate(logits: Tensor, word: Tensor) -> Tensor:
        return _plain(logits, word, leave_one_out_optimal(COST[word], _square()[word]))

    found, _ = enumerated(estimate, LOGITS, draws=3)
    torch.testing.assert_close(found, exact(LOGITS, cubic), rtol=0, atol=1e-12)


def test_a_mean_that_holds_the_draw_itself_scales_the_gradient() -> None:
    """By (N - 1) / N exactly: the trap that `leave_one_out` avoids."""
    for draws in (2, 3):
        found, _ = enumerated(lambda logits, word: _plain(logits, word, COST[word].mean()), LOGITS, draws=draws)
        torch.testing.assert_close(found, exact(LOGITS, cubic) * (draws - 1) / draws, rtol=0, atol=1e-12)


def test_parts_of_the_draws_share_one_baseline() -> None:
    cost = torch.randn(7, 2, dtype=torch.float64)
    whole = leave_one_out(cost)
    for part in (slice(0, 3), slice(3, 7)):
        torch.testing.assert_close(leave_one_out(cost[part], total=cost.sum(0), count=7), whole[part])


def test_cost_to_go_is_the_sum_from_here_on() -> None:
    assert cost_to_go(torch.tensor([[1.0, 2.0, 4.0]])).tolist() == [[7.0, 6.0, 4.0]]


def test_reward_to_go_of_a_bigram_is_unbiased() -> None:
    """Every pair of sentences of three words, each word with its own leave-one-out baseline."""
    from itertools import product

    from textlatent.gradient.exact import bigram_gradient

    torch.manual_seed(1)
    start, transition, first = torch.randn(2), torch.randn(2, 2), torch.randn(2)
    start, transition, first = start.double(), transition.double(), first.double()
    pair = torch.randn(2, 2, dtype=torch.float64)
    sentences = torch.tensor(list(product(range(2), repeat=3)))
    want = bigram_gradient(start.softmax(-1), transition.softmax(-1), first=first, pair=pair, words=3)
    got = [torch.zeros_like(each) for each in want]
    for both in product(range(8), repeat=2):
        leaves = [start.clone().requires_grad_(), transition.clone().requires_grad_()]
        drawn = sentences[list(both)]
        log_prob = torch.cat(
            [leaves[0].log_softmax(-1)[drawn[:, :1]], leaves[1].log_softmax(-1)[drawn[:, :-1], drawn[:, 1:]]], 1
        )
        cost = cost_to_go(torch.cat([first[drawn[:, :1]], pair[drawn[:, :-1], drawn[:, 1:]]], 1))
        weight = log_prob.sum().exp().item()
        loss = score_function(log_prob, cost, baseline=leave_one_out(cost))
        for total, each in zip(got, torch.autograd.grad(loss, leaves), strict=True):
            total += weight * each
    for each, wanted in zip(got, want, strict=True):
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-12)


def test_one_draw_has_no_others() -> None:
    with pytest.raises(ValueError, match="at least 2 draws, got 1"):
        leave_one_out(torch.ones(1))
    with pytest.raises(ValueError, match="got 1; draw at least 2"):
        leave_one_out_optimal(torch.ones(1), torch.ones(1))
