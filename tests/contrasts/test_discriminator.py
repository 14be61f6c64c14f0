"""Oracles: a table read by hand, and one-hot rows in the place of words."""

import math

import pytest
import torch

from tests.contrasts.players import gan, sentences
from textlatent.contrasts.losses import balanced, cost_of, cost_of_rows, discriminator_loss, verdict_cost


@pytest.mark.parametrize(("judges", "reader"), [("pairs", False), ("sentence", False), ("sentence", True)])
def test_one_hot_rows_are_words(judges: str, reader: bool) -> None:
    model = gan(4, 4, eos=1, judges=judges, reader=reader)
    words, _ = sentences(model)
    rows = torch.nn.functional.one_hot(words, 4).double()
    for cost in ("log_ratio", "minimax", "non_saturating"):
        hard, soft = (f(model.discriminator, x, cost=cost) for f, x in ((cost_of, words), (cost_of_rows, rows)))
        torch.testing.assert_close(hard, soft, rtol=0, atol=1e-6 if reader else 1e-13)


def test_a_table_judges_first_words_and_pairs_up_to_the_first_end() -> None:
    model = gan(3, 4, eos=0)
    table, words = model.discriminator, torch.tensor([[1, 2, 0, 0], [0, 0, 0, 0]])
    judged = table(words) * table.judged(words)
    start, pair = table.start.tolist(), table.pair.tolist()
    assert judged[0].tolist() == [start[1], pair[1][2], pair[2][0], 0.0]
    assert judged[1].tolist() == [start[0], 0.0, 0.0, 0.0]
    whole = gan(3, 4, eos=0, judges="sentence").discriminator
    torch.testing.assert_close(whole(words)[:, 0], judged.sum(1), rtol=0, atol=1e-12)


def test_a_table_can_be_the_best_discriminator_of_two_bigrams() -> None:
    """Its logits at ln p_corpus / p_generator: the loss is 2 ln 2 - 2 JSD, its gradient 0, and no table does better."""
    corpus, model = gan(3, 3, eos=0, seed=1), gan(3, 3, eos=0, seed=2, judges="sentence")
    words, p = sentences(corpus)
    _, g = sentences(model)
    table = model.discriminator
    with torch.no_grad():
        table.start.copy_(corpus.generator.log_start() - model.generator.log_start())
        table.pair.copy_(corpus.generator.log_transition() - model.generator.log_transition())
    torch.testing.assert_close(table(words)[:, 0], (p / g).log(), rtol=0, atol=1e-12)
    of_p, of_g = (-(x * torch.nn.functional.logsigmoid(s * table(words)[:, 0])).sum() for x, s in ((p, 1), (g, -1)))
    m = 0.5 * (p + g)
    jsd = 0.5 * ((p * (p / m).log()).sum() + (g * (g / m).log()).sum())
    loss = of_p + of_g
    assert float(loss.detach()) == pytest.approx(2 * math.log(2) - 2 * float(jsd), abs=1e-12)
    assert float(balanced((p / g).log(), p)) == pytest.approx(2 * float(jsd) - 2 * math.log(2), abs=1e-12)
    for gradient in torch.autograd.grad(loss, [table.start, table.pair]):
        assert float(gradient.abs().max()) < 1e-12
    kl = (g * (g / p).log()).sum()
    assert float((g * cost_of(table, words, cost="log_ratio")[:, 0].detach()).sum()) == pytest.approx(
        float(kl), abs=1e-12
    )


def test_where_the_counts_of_pairs_agree_no_table_moves() -> None:
    """The equilibrium: an undecided table's gradient is half the difference of expected counts."""
    corpus, other = gan(3, 4, eos=0, seed=1), gan(3, 4, eos=0, seed=2)
    (words, p), (_, g) = sentences(corpus), sentences(other)
    for judges in ("pairs", "sentence"):
        table = gan(3, 4, eos=0, judges=judges).discriminator
        with torch.no_grad():
            for parameter in table.parameters():
                parameter.zero_()
        for weight, vanishes in ((p, True), (g, False)):
            log_loss = torch.nn.functional.softplus
            of_real = (p[:, None] * log_loss(-table(words)) * table.judged(words)).sum()
            of_fake = (weight[:, None] * log_loss(table(words)) * table.judged(words)).sum()
            found = torch.autograd.grad(of_real + of_fake, list(table.parameters()))
            size = max(float(each.abs().max()) for each in found)
            assert size < 1e-14 if vanishes else size > 1e-3


def test_the_log_loss_of_the_undecided() -> None:
    model = gan(3, 3, eos=0)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.zero_()
    real, fake = torch.tensor([[1, 2, 0], [1, 0, 0]]), torch.tensor([[2, 2, 2]])
    loss = discriminator_loss(model.discriminator, real, fake)
    assert float(loss.detach()) == pytest.approx((2.5 + 3) * math.log(2))
    shared = [discriminator_loss(model.discriminator, real[i : i + 1], fake, shares=(0.5, 0.5)) for i in (0, 1)]
    assert float(sum(shared).detach()) == pytest.approx(float(loss.detach()))


def test_costs_are_functions_of_the_verdict() -> None:
    s = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    d = s.sigmoid()
    torch.testing.assert_close(verdict_cost(s, cost="minimax"), (1 - d).log())
    torch.testing.assert_close(verdict_cost(s, cost="non_saturating"), -d.log())
    torch.testing.assert_close(verdict_cost(s, cost="log_ratio"), -(d / (1 - d)).log())
