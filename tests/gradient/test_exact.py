"""Oracle: the sum over every sentence of T words, and autograd through it."""

from itertools import product

import pytest
import torch
from torch import Tensor

from textlatent.gradient.exact import absorb, bigram_gradient, expectation, expected_cost, occupancy, to_go


def _tables(seed: int, words: int = 3) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    sizes = ((words,), (words, words), (words,), (words, words))
    return tuple(torch.randn(size, dtype=torch.float64) for size in sizes)


def _by_enumeration(
    start: Tensor, transition: Tensor, first: Tensor, pair: Tensor, *, words: int, eos: int | None
) -> Tensor:
    """E cost as a sum over V^T sentences, in the graph of the logits."""
    log_p, log_q = start.log_softmax(-1), transition.log_softmax(-1)
    total = torch.zeros((), dtype=torch.float64)
    for sentence in product(range(len(start)), repeat=words):
        log_prob, cost, ended = log_p[sentence[0]], first[sentence[0]], sentence[0] == eos
        for before, after in zip(sentence, sentence[1:], strict=False):
            if ended and after != eos:
                log_prob = log_prob - torch.inf
            elif not ended:
                log_prob, cost = log_prob + log_q[before, after], cost + pair[before, after]
            ended = ended or after == eos
        total = total + log_prob.exp() * cost
    return total


@pytest.mark.parametrize("eos", [None, 0, 2])
@pytest.mark.parametrize("words", [1, 2, 4])
def test_dynamic_programming_is_the_sum_over_sentences(words: int, eos: int | None) -> None:
    start, transition, first, pair = _tables(words)
    start.requires_grad_(), transition.requires_grad_()
    enumerated = _by_enumeration(start, transition, first, pair, words=words, eos=eos)
    cost = expected_cost(start.softmax(-1), transition.softmax(-1), first=first, pair=pair, words=words, eos=eos)
    torch.testing.assert_close(cost, enumerated, rtol=0, atol=1e-12)
    want = torch.autograd.grad(enumerated, (start, transition), allow_unused=True)
    got = bigram_gradient(
        start.softmax(-1).detach(),
        transition.softmax(-1).detach(),
        first=first,
        pair=pair,
        words=words,
        eos=eos,
    )
    by_graph = torch.autograd.grad(cost, (start, transition), allow_unused=True)
    for each, other, wanted in zip(got, by_graph, want, strict=True):
        wanted = torch.zeros_like(each) if wanted is None else wanted
        torch.testing.assert_close(each, wanted, rtol=0, atol=1e-12)
        if other is not None:
            torch.testing.assert_close(other, wanted, rtol=0, atol=1e-12)


def test_the_gradient_of_one_word_is_p_times_what_it_costs_above_the_mean() -> None:
    logits, cost = (torch.tensor(x, dtype=torch.float64) for x in ([0.3, -1.0, 0.5], [2.0, 0.5, -3.0]))
    logits.requires_grad_()
    p = logits.softmax(-1)
    (gradient,) = torch.autograd.grad(expectation(logits, cost), logits)
    torch.testing.assert_close(gradient, p * (cost - (p * cost).sum()), rtol=0, atol=1e-15)


def test_occupancy_is_a_distribution_that_ends_up_in_the_absorbing_word() -> None:
    start, transition, _, _ = _tables(3)
    found = occupancy(start.softmax(-1), transition.softmax(-1), words=200, eos=1)
    torch.testing.assert_close(found.sum(-1), torch.ones(200, dtype=torch.float64))
    assert found[-1, 1] > 1 - 1e-9


def test_to_go_is_what_an_absorbed_sentence_has_left() -> None:
    start, transition, first, pair = _tables(4)
    ahead = to_go(transition.softmax(-1), first=first, pair=pair, words=5, eos=2)
    assert float((absorb(transition.softmax(-1), eos=2) * ahead.pair).sum(-1)[:, 2].abs().max()) == 0.0
    torch.testing.assert_close(ahead.first[2], first[2])
    assert absorb(transition, eos=2)[2].tolist() == [0.0, 0.0, 1.0]
    assert absorb(transition, eos=None) is transition
