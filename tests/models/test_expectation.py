"""EM: the objective never rises, the gap is 0 after an E-step, and what is known in closed form comes out."""

import math

import pytest
import torch

from tests.latent_classes import FAMILIES, K, V, batch, flat, gathered, model_of, sentences, tables
from textlatent.decoder.table import Bigram, Unigram, count_pairs, count_words, log_estimate
from textlatent.models.expectation import ChainExpectation, expectation_of
from textlatent.prior.classes import ChainPrior, ClassPrior


def _objective(parts, statistics) -> float:
    """-(ln P + ln prior) per sentence, nats."""
    return (statistics["nll"].item() - parts.log_prior()) / statistics["sentences"].item()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("pseudo_count", [0.0, 0.3])
def test_the_objective_never_rises_and_the_gap_is_zero_after_each_e_step(family: str, pseudo_count: float) -> None:
    """To 1e-9 and 1e-10 nats per sentence; under MAP with the log-prior."""
    model = model_of(family, prior_pseudo_count=pseudo_count, word_pseudo_count=pseudo_count)
    parts, data = gathered(model, *sentences(40))
    objectives = []
    for _ in range(60):
        statistics = parts.expect(data)
        count = statistics["sentences"].item()
        assert abs((statistics["rate"] + statistics["distortion"] - statistics["nll"]).item()) / count < 1e-10
        objectives.append(_objective(parts, statistics))
        parts.maximise(statistics)
    rises = [after - before for before, after in zip(objectives, objectives[1:], strict=False)]
    assert max(rises) < 1e-9
    assert objectives[0] - objectives[-1] > 0.1
    assert all(value.isfinite().all() for value in tables(model).values())


@pytest.mark.parametrize("family", ["mixture_unigram", "mixture_bigram"])
def test_after_the_m_step_the_gap_is_the_divergence_of_the_old_posterior_from_the_new(family: str) -> None:
    """-ELBO(old posterior, new tables) + ln P(new) = KL(old || new) >= 0 (THEORY T2, T12)."""
    model = model_of(family)
    tokens, lengths = sentences(20)
    parts, data = gathered(model, tokens, lengths)
    old = model._parts(tokens, lengths)
    parts.maximise(parts.expect(data))
    new = model._parts(tokens, lengths)
    log_pri, log_dec = model.prior.log_prob(), model.decoder.log_prob(tokens, lengths)
    neg_elbo = (old.mean * (old.log_enc - log_pri - log_dec)).sum(-1)
    gap = neg_elbo + new.log_marginal
    assert torch.allclose(gap, (old.mean * (old.log_enc - new.log_enc)).sum(-1), atol=1e-12)
    assert (gap >= -1e-13).all()
    assert gap.max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_zero_where_em_stands_still(family: str) -> None:
    """A fixed point of EM is a stationary point of the marginal likelihood, by autograd through the model's loss."""
    model = model_of(family, prior_pseudo_count=0.5, word_pseudo_count=0.5)
    tokens, lengths = sentences(30)
    parts, data = gathered(model, tokens, lengths)
    for _ in range(300):
        parts.maximise(parts.expect(data))
    model.config.sentences = len(tokens)
    model.train()
    scores = model(**batch(tokens, lengths))
    (scores.neg_elbo().sum() + scores.penalty.sum()).backward()
    assert max(p.grad.abs().max().item() for p in model.parameters()) < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_em_s_statistics_are_those_of_the_model_s_own_scores(family: str) -> None:
    """Sparse counts and padded batches say what the forward pass says sentence by sentence."""
    model = model_of(family)
    tokens, lengths = sentences(25)
    parts, data = gathered(model, tokens, lengths)
    statistics, scores = parts.expect(data), model(**batch(tokens, lengths))
    assert torch.allclose(statistics["rate"], scores.rate().sum(), rtol=1e-12)
    assert torch.allclose(statistics["distortion"], scores.distortion().sum(), rtol=1e-12)
    assert torch.allclose(-statistics["nll"], scores.log_weights()[0].sum(), rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sentence_given_twice_is_a_sentence_of_weight_two(family: str) -> None:
    tokens, lengths = sentences(8)
    weight = torch.tensor([1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0], dtype=torch.float64)
    rows = torch.arange(8).repeat_interleave(weight.long())
    one, two = model_of(family), model_of(family)
    for model, data, more in ((one, (tokens[rows], lengths[rows]), {}), (two, (tokens, lengths), {"weight": weight})):
        parts, held = gathered(model, *data, **more)
        for _ in range(3):
            parts.maximise(parts.expect(held))
    for name, table in tables(one).items():
        assert torch.allclose(table, tables(two)[name], atol=1e-12), name


@pytest.mark.parametrize("family", FAMILIES)
def test_the_names_of_the_classes_do_not_matter(family: str) -> None:
    """Permuted at the start, permuted at the end, the same nats on the way."""
    order = torch.tensor([2, 0, 1])
    one, two = model_of(family), model_of(family)
    with torch.no_grad():
        for name, value in one.state_dict().items():
            moved = value[order][:, order] if name == "prior.transition_logits" else value[order]
            two.state_dict()[name].copy_(moved)
    parts = [gathered(model, *sentences(20)) for model in (one, two)]
    for _ in range(5):
        found = [each.expect(data) for each, data in parts]
        assert torch.allclose(found[0]["nll"], found[1]["nll"], rtol=1e-13)
        for (each, _), statistics in zip(parts, found, strict=True):
            each.maximise(statistics)
    assert torch.allclose(one.decoder.table.state_dict().popitem()[1].softmax(-1)[order],
                          two.decoder.table.state_dict().popitem()[1].softmax(-1), atol=1e-12)  # fmt: skip


def test_one_class_is_the_maximum_likelihood_table() -> None:
    """K = 1: frequencies, and NLL = N H(p^), in one step."""
    tokens, lengths = sentences(20)
    counts = count_words(tokens, lengths, vocabulary=V)
    model = model_of(classes=1)
    parts, data = gathered(model, tokens, lengths)
    parts.maximise(parts.expect(data))
    p = counts / counts.sum()
    assert torch.allclose(tables(model)["decoder.table.logits"][0], p, atol=1e-14)
    assert abs(parts.expect(data)["nll"].item() + torch.xlogy(counts, p).sum().item()) < 1e-9
    bigram = model_of("mixture_bigram", classes=1)
    parts, data = gathered(bigram, tokens, lengths)
    parts.maximise(parts.expect(data))
    first, pairs = count_pairs(tokens, lengths, vocabulary=V)
    seen = pairs.sum(-1) > 0
    found = tables(bigram)
    assert torch.allclose(found["decoder.table.start_logits"][0], first / first.sum(), atol=1e-14)
    assert torch.allclose(
        found["decoder.table.transition_logits"][0][seen], (pairs / pairs.sum(-1, keepdim=True))[seen], atol=1e-14
    )


def test_emissions_that_name_the_state_make_the_chain_count_bigrams() -> None:
    """Identity emissions: A = the maximum-likelihood bigram, in one step."""
    model = model_of("hmm", classes=V)
    model.decoder.table.set(torch.eye(V, dtype=torch.float64).log())
    tokens, lengths = sentences(40)
    parts, data = gathered(model, tokens, lengths)
    for _ in range(2):
        parts.maximise(parts.expect(data))
    first, pairs = count_pairs(tokens, lengths, vocabulary=V)
    found = tables(model)
    assert torch.allclose(found["prior.transition_logits"], log_estimate(pairs).exp(), atol=1e-13)
    assert torch.allclose(found["prior.start_logits"], log_estimate(first).exp(), atol=1e-14)
    assert torch.equal(found["decoder.table.logits"], torch.eye(V, dtype=torch.float64))


def test_a_chain_that_stays_learns_what_the_mixture_learns() -> None:
    """A = I, whose zeros EM keeps: step for step the mixture of unigrams."""
    mixture, chain = model_of("mixture_unigram"), model_of("hmm")
    with torch.no_grad():
        chain.prior.set(mixture.prior.logits, torch.eye(K, dtype=torch.float64).log())
        chain.decoder.table.set(mixture.decoder.table.logits)
    pairs = [gathered(model, *sentences(30)) for model in (mixture, chain)]
    for _ in range(10):
        found = [parts.expect(data) for parts, data in pairs]
        for name in ("nll", "rate", "distortion"):
            assert torch.allclose(found[0][name], found[1][name], rtol=1e-11), name
        for (parts, _), statistics in zip(pairs, found, strict=True):
            parts.maximise(statistics)
    assert torch.equal(tables(chain)["prior.transition_logits"], torch.eye(K, dtype=torch.float64))
    assert torch.allclose(tables(mixture)["decoder.table.logits"], tables(chain)["decoder.table.logits"], atol=1e-11)


def test_as_many_classes_as_sentences_reach_each_sentence_s_own_entropy() -> None:
    """-sum N_d H(p_d) - D ln D <= ln P <= -sum N_d H(p_d), D different documents, a class at each."""
    tokens, lengths = sentences(4, seed=3)
    model = model_of(classes=4)
    each = torch.stack([count_words(tokens[d : d + 1], lengths[d : d + 1], vocabulary=V) for d in range(4)])
    model.decoder.table.set(log_estimate(each, pseudo_count=0.01))
    model.prior.set(torch.zeros(4, dtype=torch.float64))
    parts, data = gathered(model, tokens, lengths)
    for _ in range(200):
        parts.maximise(parts.expect(data))
    own = torch.xlogy(each, each / each.sum(-1, keepdim=True)).sum().item()
    assert own - 4 * math.log(4) - 1e-9 <= -parts.expect(data)["nll"].item() <= own + 1e-9


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_that_holds_nothing_keeps_its_table_and_gives_no_nan(family: str) -> None:
    model = model_of(family)
    none = torch.tensor([0.0, 0.0, -math.inf], dtype=torch.float64)
    if isinstance(model.prior, ClassPrior):
        model.prior.set(none)
    else:
        assert isinstance(model.prior, ChainPrior)
        model.prior.set(none, none.expand(K, K))
    before = tables(model)
    parts, data = gathered(model, *sentences(20))
    for _ in range(3):
        statistics = parts.expect(data)
        assert parts.occupancy(statistics)[2] == 0.0
        parts.maximise(statistics)
    after = tables(model)
    assert not any(value.isnan().any() for value in after.values())
    for name in after:
        if name.startswith("decoder"):
            assert torch.allclose(after[name][2], before[name][2], atol=1e-15)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_start_without_noise_is_symmetric_and_a_start_with_noise_is_not(family: str) -> None:
    words = torch.tensor([3.0, 1.0, 4.0, 0.0, 2.0], dtype=torch.float64)
    model = model_of(family)
    parts, data = gathered(model, *sentences(20))
    parts.start(words, generator=torch.Generator().manual_seed(0), noise=0.0)
    assert parts.alike() == [(1, 0), (2, 0), (2, 1)]
    for _ in range(3):  # EM does not leave it
        statistics = parts.expect(data)
        assert abs(statistics["rate"].item()) < 1e-10
        parts.maximise(statistics)
    assert len(parts.alike()) == 3
    parts.start(words, generator=torch.Generator().manual_seed(0), noise=1.0)
    assert parts.alike() == []
    assert parts.expect(data)["rate"].item() > 0.1
    first = tables(model)
    parts.start(words, generator=torch.Generator().manual_seed(0), noise=1.0)
    assert all(torch.equal(first[name], table) for name, table in tables(model).items())


def test_batches_of_a_chain_change_nothing() -> None:
    model = model_of("hmm")
    tokens, lengths = sentences(30)
    found = []
    for budget in (7, 1 << 16):
        parts = ChainExpectation(model, tokens_per_batch=budget)
        found.append(parts.expect(parts.gather(flat(tokens, lengths), lengths)))
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], rtol=1e-12), name


def test_a_taught_encoder_is_no_e_step() -> None:
    with pytest.raises(ValueError, match="encoder_type bayes"):
        expectation_of(model_of(encoder_type="bag_of_words"))


def test_the_decoders_are_the_tables_of_each_family() -> None:
    assert isinstance(model_of("mixture_unigram").decoder.table, Unigram)
    assert isinstance(model_of("mixture_bigram").decoder.table, Bigram)
    assert isinstance(model_of("hmm").decoder.table, Unigram)
