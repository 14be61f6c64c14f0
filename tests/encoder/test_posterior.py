"""Exact posteriors against enumeration: every class of a sentence, every path of its states."""

import itertools
import math

import pytest
import torch

from textlatent.encoder.chain import Recursion, log_space, relative_to_best, scaled
from textlatent.encoder.posterior import chain_posterior, class_posterior
from textlatent.encoder.viterbi import viterbi

K, V, T = 3, 4, 4


def _rows(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).log_softmax(-1)


def _chain(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return _rows(K, seed=seed), _rows(K, K, seed=seed + 1), _rows(K, V, seed=seed + 2)


def _sentences(seed: int = 0, count: int = 5, width: int = T) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, width + 1, (count,), generator=generator)
    lengths[0] = width
    return torch.randint(V, (count, width), generator=generator), lengths


def _paths(start: torch.Tensor, transition: torch.Tensor, emission: torch.Tensor, words: list[int]) -> dict:
    """Oracle: ln P_pri(z) and ln P_dec(y|z) of each of the K^T paths."""
    found = {}
    for path in itertools.product(range(K), repeat=len(words)):
        prior = start[path[0]] + sum(transition[i, j] for i, j in itertools.pairwise(path))
        found[path] = (float(prior), float(sum(emission[z, w] for z, w in zip(path, words, strict=True))))
    return found


def test_bayes_is_the_joint_over_its_sum() -> None:
    prior, dec = _rows(K), 5 * _rows(6, K, seed=1)
    found = class_posterior(prior, dec)
    joint = prior.exp() * dec.exp()
    assert torch.allclose(found.probability, joint / joint.sum(-1, keepdim=True), atol=1e-14)
    assert torch.allclose(found.log_marginal, joint.sum(-1).log(), atol=1e-13)
    rate = (found.probability * (found.probability.log() - prior)).sum(-1)
    assert torch.allclose(found.rate, rate, atol=1e-13)
    assert torch.allclose(found.rate + found.distortion, -found.log_marginal, atol=1e-13)


def test_another_encoder_s_elbo_is_above_by_its_divergence_from_bayes() -> None:
    """-ELBO - NLL = KL(enc || posterior) (THEORY T2), both computed."""
    prior, dec, enc = _rows(K), 5 * _rows(6, K, seed=1), _rows(6, K, seed=2)
    exact, other = class_posterior(prior, dec), class_posterior(prior, dec, log_enc=enc)
    gap = other.rate + other.distortion + other.log_marginal
    assert torch.allclose(gap, (enc.exp() * (enc - exact.log_prob)).sum(-1), atol=1e-13)
    assert (gap > 0).all()


def test_a_class_that_never_comes_and_a_sentence_that_never_comes_give_numbers() -> None:
    prior = torch.tensor([0.0, -math.inf], dtype=torch.float64)
    dec = torch.tensor([[-1.0, -2.0], [-math.inf, -1.0]], dtype=torch.float64)
    found = class_posterior(prior, dec)
    assert found.probability.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert found.rate.tolist() == [0.0, 0.0]
    assert found.distortion.tolist() == [1.0, math.inf]
    assert found.log_marginal.tolist() == [-1.0, -math.inf]


def _scaled(start, transition, each: torch.Tensor, inside: torch.Tensor) -> Recursion:
    emission, best = relative_to_best(each.transpose(0, 1))
    return scaled(start, transition, emission, best, inside.t(), per_sentence=True)


def _in_logs(start, transition, each: torch.Tensor, inside: torch.Tensor) -> Recursion:
    return log_space(start, transition, each, inside, per_sentence=True)


@pytest.mark.parametrize("recursion", [_scaled, _in_logs])
def test_forward_backward_is_the_enumeration_of_all_paths(recursion) -> None:
    """K^T paths: marginals of states and pairs, rate, distortion and ln P(y), of sentences of several lengths."""
    start, transition, emission = _chain()
    tokens, lengths = _sentences()
    inside = torch.arange(T) < lengths[:, None]
    each = emission.t()[tokens].masked_fill(~inside[:, :, None], 0.0)
    found = recursion(start, transition, each, inside)
    for b, n in enumerate(lengths.tolist()):
        paths = _paths(start, transition, emission, tokens[b, :n].tolist())
        total = math.log(sum(math.exp(p + d) for p, d in paths.values()))
        states, pairs, rate = torch.zeros(n, K), torch.zeros(K, K), 0.0
        for path, (prior, dec) in paths.items():
            posterior = math.exp(prior + dec - total)
            rate += posterior * (math.log(posterior) - prior)
            for t, z in enumerate(path):
                states[t, z] += posterior
            for i, j in itertools.pairwise(path):
                pairs[i, j] += posterior
        assert abs(found.log_marginal[b].item() - total) < 1e-12
        assert abs(found.rate[b].item() - rate) < 1e-12
        assert torch.allclose(found.states[:n, b].float(), states, atol=1e-6)
        assert torch.allclose(found.transitions[b].float(), pairs, atol=1e-6)


def test_rate_plus_distortion_is_the_negative_log_marginal_and_weights_are_repetitions() -> None:
    start, transition, emission = _chain()
    tokens, lengths = _sentences(count=8, width=30)
    each = emission.t()[tokens]
    found = chain_posterior(start, transition, each, lengths)
    assert torch.allclose(found.rate + found.distortion, -found.log_marginal, atol=1e-11)
    weight = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    twice = torch.arange(8).repeat_interleave(weight.long())
    repeated = chain_posterior(start, transition, each[twice], lengths[twice]).transitions
    assert torch.allclose(
        chain_posterior(start, transition, each, lengths, weight=weight).transitions, repeated, atol=1e-12
    )


def test_a_padded_batch_is_its_sentences_one_by_one() -> None:
    start, transition, emission = _chain(7)
    tokens, lengths = _sentences(3, count=6, width=12)
    each = emission.t()[tokens]
    together = chain_posterior(start, transition, each, lengths, per_sentence=True)
    for b, n in enumerate(lengths.tolist()):
        alone = chain_posterior(start, transition, each[b : b + 1, :n], lengths[b : b + 1], per_sentence=True)
        assert torch.allclose(together.states[b, :n], alone.states[0], atol=1e-13)
        assert (together.states[b, n:] == 0).all()
        assert torch.allclose(together.transitions[b], alone.transitions[0], atol=1e-13)
        for name in ("rate", "distortion", "log_marginal"):
            assert torch.allclose(getattr(together, name)[b], getattr(alone, name)[0], atol=1e-12)


def test_identical_rows_make_the_words_independent() -> None:
    """With A[i, :] = P every word is a mixture by itself."""
    start, _, emission = _chain()
    tokens, lengths = _sentences(count=4)
    found = chain_posterior(start, start.expand(K, K).contiguous(), emission.t()[tokens], lengths)
    word = (start[:, None] + emission).logsumexp(0)[tokens]
    expected = (word * (torch.arange(T) < lengths[:, None])).sum(1)
    assert torch.allclose(found.log_marginal, expected, atol=1e-13)


@pytest.mark.parametrize("width", [6, 3000])
def test_a_chain_that_stays_is_a_class_of_the_sentence(width: int) -> None:
    """A = I is the mixture of unigrams; of 3,000 words too, where a state falls to e^-900 and comes back.

    Scaling would lose such a path for good; the log-space pass is what finds it.
    """
    start = _rows(2)
    stay = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]], dtype=torch.float64)
    emission = torch.tensor([[0.65, 0.35], [0.35, 0.65]], dtype=torch.float64).log()
    half = width // 2
    tokens = torch.tensor(
        [[0] * half + [1] * (width - half), [0] * half + [1] * (half - 3) + [0] * (width - 2 * half + 3)]
    )
    lengths = torch.tensor([width, width])
    each = emission.t()[tokens]
    found = chain_posterior(start, stay, each, lengths)
    classes = class_posterior(start, each.sum(1))
    assert torch.allclose(found.log_marginal, classes.log_marginal, rtol=1e-13)
    assert torch.allclose(found.rate, classes.rate, atol=1e-9)
    for t in (0, width // 2, width - 1):
        assert torch.allclose(found.states[:, t], classes.probability, atol=1e-10)
    assert torch.allclose(found.rate + found.distortion, -found.log_marginal, atol=0, rtol=1e-11)
    alone = _scaled(start, stay, each, torch.ones(2, width, dtype=torch.bool))
    assert alone.safe.tolist() == [width == 6] * 2


def test_a_sentence_that_no_path_allows_has_the_prior_and_no_nan() -> None:
    start, transition, emission = _chain()
    emission = emission.clone()
    emission[:, 3] = -math.inf
    tokens = torch.tensor([[0, 3, 1], [0, 1, 2]])
    found = chain_posterior(start, transition, emission.t()[tokens], torch.tensor([3, 3]))
    alone = chain_posterior(start, transition, emission.t()[tokens[1:]], torch.tensor([3]))
    assert found.log_marginal[0] == -math.inf
    assert found.distortion[0] == math.inf
    assert abs(found.rate[0]) < 1e-12
    assert torch.allclose(found.states[0, 1], start.exp() @ transition.exp(), atol=1e-13)
    assert torch.allclose(found.log_marginal[1:], alone.log_marginal, atol=1e-13)
    assert not found.transitions.isnan().any()


def test_viterbi_is_the_best_of_all_paths() -> None:
    start, transition, emission = _chain(4)
    tokens, lengths = _sentences(2, count=6)
    path, score = viterbi(start, transition, emission.t()[tokens], lengths)
    for b, n in enumerate(lengths.tolist()):
        paths = {z: sum(nats) for z, nats in _paths(start, transition, emission, tokens[b, :n].tolist()).items()}
        best = max(paths, key=paths.__getitem__)
        assert tuple(path[b, :n].tolist()) == best
        assert abs(score[b].item() - paths[best]) < 1e-13
        assert (path[b, n:] == -1).all()


def test_viterbi_finds_the_textbook_s_path() -> None:
    """Healthy or fevered, from three visits: normal, cold, dizzy (Wikipedia, Viterbi algorithm): 0.01512."""
    start = torch.tensor([0.6, 0.4], dtype=torch.float64).log()
    transition = torch.tensor([[0.7, 0.3], [0.4, 0.6]], dtype=torch.float64).log()
    emission = torch.tensor([[0.5, 0.4, 0.1], [0.1, 0.3, 0.6]], dtype=torch.float64).log()
    path, score = viterbi(start, transition, emission.t()[torch.tensor([[0, 1, 2]])], torch.tensor([3]))
    assert path.tolist() == [[0, 0, 1]]
    assert abs(score.exp().item() - 0.01512) < 1e-12


def test_the_gradient_of_the_marginal_is_the_expected_gradient_of_the_joint() -> None:
    """Fisher's identity, by autograd through the sum over paths."""
    tokens, lengths = _sentences(1, count=3)
    logits = [x.clone().requires_grad_() for x in _chain(3)]
    start, transition, emission = (x.log_softmax(-1) for x in logits)
    rows = [start + emission.t()[tokens[:, 0]]]
    for t in range(1, T):
        step = (rows[-1][:, :, None] + transition).logsumexp(1) + emission.t()[tokens[:, t]]
        rows.append(torch.where((t < lengths)[:, None], step, rows[-1]))
    rows[-1].logsumexp(-1).sum().backward()
    with torch.no_grad():
        found = chain_posterior(start, transition, emission.t()[tokens], lengths)
    again = [x.detach().clone().requires_grad_() for x in logits]
    start, transition, emission = (x.log_softmax(-1) for x in again)
    joint = (found.states[:, 0] * start).sum() + (found.transitions * transition).sum()
    (joint + (found.states * emission.t()[tokens]).sum()).backward()
    for one, other in zip(logits, again, strict=True):
        assert torch.allclose(one.grad, other.grad, atol=1e-12)
