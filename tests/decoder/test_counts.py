"""Sparse counts against dense ones and against the tables' own sums over tokens."""

import torch

from textlatent.decoder.counts import PairCounts, SparseCounts, WordCounts
from textlatent.decoder.table import Bigram, Unigram, count_pairs, count_words

V, K = 5, 3


def _rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log_softmax(-1)


def _sentences() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 7, (9,), generator=generator)
    tokens = torch.randint(V, (9, 6), generator=generator)
    return tokens, lengths, tokens[torch.arange(6) < lengths[:, None]]


def test_products_are_those_of_the_dense_matrix() -> None:
    generator = torch.Generator().manual_seed(1)
    row, column = torch.randint(4, (30,), generator=generator), torch.randint(6, (30,), generator=generator)
    dense = torch.zeros(4, 6, dtype=torch.float64)
    dense.index_put_((row, column), torch.ones(30, dtype=torch.float64), accumulate=True)
    counts = SparseCounts(row, column, rows=4, columns=6)
    table, weight = torch.randn(6, K, dtype=torch.float64), torch.randn(4, K, dtype=torch.float64)
    assert torch.allclose(counts.times(table), dense @ table, atol=1e-13)
    assert torch.allclose(counts.collected(weight), dense.t() @ weight, atol=1e-13)


def test_a_row_without_events_counts_nothing_and_infinite_logs_count_where_they_are_met() -> None:
    counts = SparseCounts(torch.tensor([0, 2, 2]), torch.tensor([1, 0, 0]), rows=4, columns=3)
    table = torch.tensor([[-1.0], [-torch.inf], [-torch.inf]], dtype=torch.float64)
    assert counts.times(table).squeeze(1).tolist() == [-torch.inf, 0.0, -2.0, 0.0]
    assert counts.collected(torch.ones(4, 1, dtype=torch.float64)).squeeze(1).tolist() == [2.0, 1.0, 0.0]


def test_counts_give_the_log_probabilities_that_tokens_give() -> None:
    tokens, lengths, flat = _sentences()
    unigram = Unigram.from_log_probabilities(_rows(K, V))
    bigram = Bigram.from_log_probabilities(_rows(K, V), _rows(K, V, V))
    with torch.no_grad():
        words = WordCounts(flat, lengths, vocabulary=V).log_prob(unigram)
        pairs = PairCounts(flat, lengths, vocabulary=V).log_prob(bigram)
        assert torch.allclose(words, unigram.log_prob(tokens, lengths), atol=1e-12)
        assert torch.allclose(pairs, bigram.log_prob(tokens, lengths), atol=1e-12)


def test_expected_counts_are_the_tokens_counted_with_each_class_s_weight() -> None:
    tokens, lengths, flat = _sentences()
    weight = _rows(9, K).exp()
    words = WordCounts(flat, lengths, vocabulary=V).expected(weight)["words"]
    pairs = PairCounts(flat, lengths, vocabulary=V).expected(weight)
    for k in range(K):
        assert torch.allclose(words[k], count_words(tokens, lengths, vocabulary=V, weight=weight[:, k]), atol=1e-13)
        first, follow = count_pairs(tokens, lengths, vocabulary=V, weight=weight[:, k])
        assert torch.allclose(pairs["first"][k], first, atol=1e-13)
        assert torch.allclose(pairs["pairs"][k], follow, atol=1e-13)
