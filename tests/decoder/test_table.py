"""Tables of words: sums over all sentences, counts, maximum likelihood, drawing."""

import itertools
import math

import pytest
import torch

from textlatent.decoder.table import Bigram, Unigram, count_pairs, count_words, ended, log_estimate, word_from_noise

V, K, EOS = 3, 2, 2


def _rows(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)


def _all_sentences(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.tensor(list(itertools.product(range(V), repeat=length)))
    return tokens, torch.full((len(tokens),), length)


def test_probabilities_of_all_sentences_of_one_length_sum_to_one() -> None:
    """Enumeration over V^T."""
    for table in (Unigram.from_log_probabilities(_rows(V)), Bigram.from_log_probabilities(_rows(V), _rows(V, V))):
        for length in (1, 2, 4):
            assert abs(table.log_prob(*_all_sentences(length)).exp().sum().item() - 1) < 1e-12


def test_bigram_is_the_product_of_its_conditionals_and_padding_costs_nothing() -> None:
    start, transition = _rows(V), _rows(V, V)
    table = Bigram.from_log_probabilities(start, transition)
    tokens = torch.tensor([[0, 1, 2, 1], [1, 2, 0, 0], [2, 1, 1, 1]])
    lengths = torch.tensor([4, 2, 1])
    expected = [
        start[0] + transition[0, 1] + transition[1, 2] + transition[2, 1],
        start[1] + transition[1, 2],
        start[2],
    ]
    assert torch.allclose(table.log_prob(tokens, lengths), torch.stack(expected), atol=1e-14)
    assert (table.log_prob_token(tokens, lengths)[1, 2:] == 0).all()


def test_a_class_s_table_says_what_the_table_alone_says() -> None:
    words, start, transition = _rows(K, V), _rows(K, V), _rows(K, V, V)
    tokens, lengths = _all_sentences(3)
    unigram = Unigram.from_log_probabilities(words).log_prob(tokens, lengths)
    bigram = Bigram.from_log_probabilities(start, transition).log_prob(tokens, lengths)
    assert unigram.shape == bigram.shape == (V**3, K)
    for k in range(K):
        alone = Unigram.from_log_probabilities(words[k]), Bigram.from_log_probabilities(start[k], transition[k])
        assert torch.allclose(unigram[:, k], alone[0].log_prob(tokens, lengths), atol=1e-14)
        assert torch.allclose(bigram[:, k], alone[1].log_prob(tokens, lengths), atol=1e-14)


def test_counts_are_those_of_a_loop_and_weights_are_repetitions() -> None:
    tokens = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 0]])
    lengths, weight = torch.tensor([3, 2, 1]), torch.tensor([2.0, 1.0, 3.0])
    words, start, pairs = torch.zeros(V), torch.zeros(V), torch.zeros(V, V)
    for row, n, w in zip(tokens.tolist(), lengths.tolist(), weight.tolist(), strict=True):
        for _ in range(int(w)):
            start[row[0]] += 1
            for t in range(n):
                words[row[t]] += 1
                if t:
                    pairs[row[t - 1], row[t]] += 1
    assert torch.equal(count_words(tokens, lengths, vocabulary=V, weight=weight).float(), words)
    found = count_pairs(tokens, lengths, vocabulary=V, weight=weight)
    assert torch.equal(found[0].float(), start)
    assert torch.equal(found[1].float(), pairs)


def test_maximum_likelihood_is_the_frequency_and_nothing_near_it_is_likelier() -> None:
    """NLL of the estimate = N H(p^), the least of all distributions."""
    counts = torch.tensor([3.0, 0.0, 5.0], dtype=torch.float64)
    found = log_estimate(counts)
    assert found[1] == -math.inf
    assert torch.allclose(found.exp(), counts / 8.0, atol=1e-15, rtol=0)
    best = (counts * found).nan_to_num(0.0, neginf=0.0).sum()
    for seed in range(20):
        assert (counts * _rows(V, seed=seed)).sum() < best


def test_pseudo_counts_are_the_mode_under_a_dirichlet_prior() -> None:
    """The derivative of sum (n + a) ln p along the simplex is 0: (n_j + a) / p_j is one number."""
    counts = torch.tensor([[3.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    p = log_estimate(counts, pseudo_count=0.5).exp()
    ratio = (counts + 0.5) / p
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-12)


def test_rows_without_counts_are_uniform_or_what_they_were() -> None:
    counts, before = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), _rows(2, V)
    assert torch.allclose(log_estimate(counts)[0].exp(), torch.full((V,), 1 / 3, dtype=torch.float64), atol=1e-15)
    kept = log_estimate(counts, otherwise=before)
    assert torch.equal(kept[0], before[0])
    assert kept[1, 0] == 0.0
    assert not kept.isnan().any()


def test_a_table_with_zeros_has_gradients_that_are_numbers() -> None:
    table = Unigram.from_log_probabilities(log_estimate(torch.tensor([3.0, 0.0, 5.0])))
    table.log_prob(torch.tensor([[0, 2, 1]]), torch.tensor([2])).sum().backward()
    assert table.logits.grad is not None
    assert not table.logits.grad.isnan().any()
    assert table.log_prob(torch.tensor([[1]]), torch.tensor([1])).item() == -math.inf


def test_the_word_from_noise_is_the_one_whose_interval_holds_it() -> None:
    """The definition, at the ends of the half-open intervals too."""
    p = torch.tensor([[0.25, 0.0, 0.5, 0.25, 0.0]], dtype=torch.float64)
    for eps, word in ((0.0, 0), (0.2499, 0), (0.25, 2), (0.7499, 2), (0.75, 3), (1.0 - 2**-53, 3)):
        assert word_from_noise(p, torch.tensor([eps], dtype=torch.float64)).item() == word
    short = torch.tensor([[0.1] * 10 + [0.0]], dtype=torch.float64) * (1 - 1e-12)
    assert word_from_noise(short, torch.tensor([1.0 - 2**-53], dtype=torch.float64)).item() == 9


@pytest.mark.parametrize("kind", ["unigram", "bigram"])
def test_frequencies_of_drawn_sentences_are_their_probabilities(kind: str) -> None:
    """Every sentence of at most 3 words against P(y), each within 5 standard errors."""
    words, transition = _rows(K, V), _rows(K, V, V, seed=1)
    table = (
        Unigram.from_log_probabilities(words) if kind == "unigram" else Bigram.from_log_probabilities(words, transition)
    )
    count = 40_000
    noise = torch.rand(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    label = torch.arange(count) % K
    tokens, lengths = table.sample(noise, eos=EOS, label=label, pad=0)
    drawn = {}
    for row, n, k in zip(tokens.tolist(), lengths.tolist(), label.tolist(), strict=True):
        key = (k, tuple(row[:n]))
        drawn[key] = drawn.get(key, 0) + 1
    assert sum(drawn.values()) == count
    for (k, sentence), times in drawn.items():
        p = table.log_prob(torch.tensor([sentence]), torch.tensor([len(sentence)]))[0, k].exp().item()
        assert abs(times / (count / K) - p) < 5 * math.sqrt(p * (1 - p) / (count / K))


def test_without_a_word_that_ends_them_all_sentences_are_as_long_as_the_noise() -> None:
    tokens, lengths = Unigram(V).sample(torch.full((2, 4), 0.5))
    assert tokens.shape == (2, 4)
    assert lengths.tolist() == [4, 4]
    assert ended(torch.tensor([[0, 2, 1], [1, 0, 1]]), eos=2, pad=9)[0].tolist() == [[0, 2, 9], [1, 0, 1]]


def test_faults_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        Unigram(0)
    with pytest.raises(ValueError, match="at least one word and one class"):
        Bigram(2, classes=0)
    with pytest.raises(ValueError, match="pseudo_count must be >= 0"):
        log_estimate(torch.ones(2), pseudo_count=-1.0)
    with pytest.raises(ValueError, match="counts must be >= 0"):
        log_estimate(torch.tensor([1.0, math.nan]))
    with pytest.raises(ValueError, match="draws from the class"):
        Unigram(V, classes=K).sample(torch.zeros(1, 1))
