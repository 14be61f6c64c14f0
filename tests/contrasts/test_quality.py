"""Oracle: every sentence of a small bigram and a small language, summed by hand."""

import math

import pytest
import torch

from tests.contrasts.players import gan, sentences
from textlatent.contrasts.quality import against_language, cross_entropy, likeliest_bigram, unended
from textlatent.decoder.table import Bigram


def test_cross_entropy_is_the_sum_over_sentences() -> None:
    writer, reader = gan(3, 4, eos=0, seed=1), gan(3, 4, eos=0, seed=2)
    (_, g), (_, p) = sentences(writer), sentences(reader)
    found = cross_entropy(writer.generator, reader.generator, words=4, eos=0)
    assert found == pytest.approx(float(-(g * p.log()).sum()), abs=1e-12)


def test_what_the_writer_never_writes_costs_nothing() -> None:
    never = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64).log()
    table = Bigram.from_log_probabilities(never, never.expand(3, -1).clone())
    assert cross_entropy(table, table, words=3, eos=0) == pytest.approx(0.5 * math.log(2) * (2 + 1 + 0.5))


def test_unended_is_the_mass_without_an_end() -> None:
    model = gan(3, 4, eos=0)
    words, p = sentences(model)
    wanted = float(p[words[:, -1] != 0].sum())
    assert unended(model.generator, words=4, eos=0) == pytest.approx(wanted, abs=1e-13)


def test_against_a_language_all_sentences_are_summed() -> None:
    model, language = gan(3, 3, eos=0, seed=1), torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    tokens, lengths = torch.tensor([[1, 0, 0], [1, 2, 0], [2, 0, 0]]), torch.tensor([2, 3, 2])
    g = model.generator.log_prob(tokens, lengths).exp().detach()
    parts = [(tokens[:2], lengths[:2], language[:2]), (tokens[2:], lengths[2:], language[2:])]
    entropy = float(-(language * language.log()).sum())
    found = against_language(model.generator, iter(parts), entropy=entropy)
    words, everything = sentences(model)
    p = torch.zeros_like(everything)
    for row, each in zip(tokens.tolist(), language.tolist(), strict=True):
        p[(words == torch.tensor(row)).all(1)] = each
    m = 0.5 * (p + everything)
    kls = [(x * (x / m).log()).nan_to_num().sum() for x in (p, everything)]
    assert found.jsd == pytest.approx(0.5 * float(sum(kls)), abs=1e-12)
    assert found.forward_kl == pytest.approx(float((language * (language / g).log()).sum()), abs=1e-12)
    assert found.cross_entropy == pytest.approx(found.forward_kl + entropy, abs=1e-12)
    assert found.inside == pytest.approx(float(g.sum()), abs=1e-14)
    assert found.reverse_kl == math.inf
    inside = g / g.sum()
    assert found.reverse_kl_inside == pytest.approx(float((inside * (inside / language).log()).sum()), abs=1e-12)


def test_a_language_that_is_the_bigram_itself() -> None:
    model = gan(3, 3, eos=0)
    words, p = sentences(model)
    live = torch.cat([torch.ones(len(words), 1, dtype=torch.bool), words[:, :-1] != 0], 1).sum(1)
    entropy = float(-(p * p.log()).sum())
    found = against_language(model.generator, iter([(words, live, p)]), entropy=entropy)
    for value in (found.forward_kl, found.reverse_kl, found.jsd, found.inside - 1.0):
        assert value == pytest.approx(0.0, abs=1e-12)


def test_the_likeliest_bigram_of_its_own_sentences_is_their_counts() -> None:
    tokens, lengths = torch.tensor([[1, 2, 0], [1, 0, 0], [2, 0, 0], [1, 2, 0]]), torch.tensor([3, 2, 2, 3])
    table, pseudo = likeliest_bigram(tokens, lengths, vocabulary=3, held_out=(tokens, lengths))
    assert pseudo == 0.0
    torch.testing.assert_close(table.log_start().exp(), torch.tensor([0.0, 0.75, 0.25]).double())
    torch.testing.assert_close(table.log_transition().exp()[1], torch.tensor([1 / 3, 0.0, 2 / 3]).double())


def test_a_pair_that_was_never_seen_asks_for_a_pseudo_count() -> None:
    tokens, lengths = torch.tensor([[1, 0]]), torch.tensor([2])
    table, pseudo = likeliest_bigram(
        tokens, lengths, vocabulary=3, held_out=(torch.tensor([[2, 0]]), torch.tensor([2]))
    )
    assert pseudo > 0.0
    assert bool(table.log_start().isfinite().all())
