"""Latent class models: Scores whose sums over z are exact, gradients of the marginal, saving, encoding, drawing."""

import itertools
import math
from pathlib import Path

import pytest
import torch

from tests.latent_classes import EOS, FAMILIES, WIDTH, K, V, batch, model_of, sentences
from textlatent.models import LatentClassConfig, LatentClassModel, load_model
from textlatent.scores import Scores

AMORTISED = [
    ("mixture_unigram", "bag_of_words"),
    ("mixture_bigram", "bag_of_words"),
    ("mixture_unigram", "transformer"),
    ("hmm", "transformer"),
]
SMALL = {
    "model_type": "bert",
    "vocab_size": V,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 16,
}


def _amortised(family: str, encoder_type: str, **config) -> LatentClassModel:
    torch.manual_seed(3)
    encoder = SMALL if encoder_type == "transformer" else None
    model = model_of(family, encoder_type=encoder_type, encoder=encoder, **config)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def _marginals(model: LatentClassModel, tokens: torch.Tensor, lengths: torch.Tensor) -> list[float]:
    """Oracle: ln P(y), a sum over every class or every path, by loops."""
    p = {name: value.softmax(-1) for name, value in model.state_dict().items()}
    found = []
    for row, n in zip(tokens.tolist(), lengths.tolist(), strict=True):
        total = 0.0
        if model.config.family == "hmm":
            for path in itertools.product(range(K), repeat=n):
                each = p["prior.start_logits"][path[0]]
                for i, j in itertools.pairwise(path):
                    each = each * p["prior.transition_logits"][i, j]
                for z, w in zip(path, row, strict=False):
                    each = each * p["decoder.table.logits"][z, w]
                total += each.item()
        else:
            for k in range(K):
                each = p["prior.logits"][k]
                for t in range(n):
                    if model.config.family == "mixture_unigram":
                        each = each * p["decoder.table.logits"][k, row[t]]
                    elif t == 0:
                        each = each * p["decoder.table.start_logits"][k, row[0]]
                    else:
                        each = each * p["decoder.table.transition_logits"][k, row[t - 1], row[t]]
                total += each.item()
        found.append(math.log(total))
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_exact_scores_are_the_enumeration_over_z(family: str) -> None:
    """-ELBO = -ln P(y) by loops, whichever way it is asked for."""
    model = model_of(family)
    tokens, lengths = sentences(6)
    scores = model(**batch(tokens, lengths), samples=3)
    expected = torch.tensor(_marginals(model, tokens, lengths), dtype=torch.float64)
    assert torch.allclose(scores.neg_elbo(), -expected, atol=1e-12)
    assert torch.allclose(scores.log_weights(), expected.expand(3, -1), atol=1e-12)
    assert torch.allclose(scores.need("log_marginal"), expected, atol=1e-12)
    assert torch.allclose(scores.rate(), (scores.log_p_enc - scores.log_p_pri)[0], atol=1e-12)


@pytest.mark.parametrize(("family", "encoder_type"), AMORTISED)
def test_a_taught_encoder_leaves_a_gap_and_the_weights_do_not_hide_it(family: str, encoder_type: str) -> None:
    """log_weights stay ln P(y); -ELBO is above by KL(enc || Bayes), for the mixtures computed."""
    model = _amortised(family, encoder_type)
    tokens, lengths = sentences(6)
    scores = model(**batch(tokens, lengths))
    expected = torch.tensor(_marginals(model, tokens, lengths), dtype=torch.float64)
    assert torch.allclose(scores.log_weights()[0], expected, atol=1e-12)
    assert torch.allclose(scores.need("log_marginal"), expected, atol=1e-12)
    gap = scores.neg_elbo() + expected
    assert (gap > 0).all()
    if family != "hmm":
        enc, bayes = model._parts(tokens, lengths), None
        exact = model_of(family)
        bayes = exact._parts(tokens, lengths)
        assert torch.allclose(gap, (enc.mean * (enc.log_enc - bayes.log_enc)).sum(-1), atol=1e-12)


def test_a_product_of_states_has_the_elbo_that_all_its_paths_have() -> None:
    """Rate and distortion of the factorised encoder of a chain, by K^T paths."""
    model = _amortised("hmm", "transformer")
    tokens, lengths = sentences(4)
    scores = model(**batch(tokens, lengths))
    mask = torch.arange(WIDTH) < lengths[:, None]
    enc = model.encoder(tokens, mask).exp()
    p = {name: value.softmax(-1) for name, value in model.state_dict().items()}
    for b, n in enumerate(lengths.tolist()):
        rate = distortion = 0.0
        for path in itertools.product(range(K), repeat=n):
            q = math.prod(enc[b, t, z].item() for t, z in enumerate(path))
            prior = p["prior.start_logits"][path[0]].item()
            prior *= math.prod(p["prior.transition_logits"][i, j].item() for i, j in itertools.pairwise(path))
            words = zip(path, tokens[b].tolist(), strict=False)
            rate += q * math.log(q / prior)
            distortion -= q * sum(math.log(p["decoder.table.logits"][z, w].item()) for z, w in words)
        assert abs(scores.rate()[b].item() - rate) < 1e-12
        assert abs(scores.distortion()[b].item() - distortion) < 1e-12


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_of_the_loss_is_that_of_the_marginal(family: str) -> None:
    """Fisher's identity: the posterior is held, and autograd through the sum over z says the same."""
    model = model_of(family)
    tokens, lengths = sentences(5)
    model(**batch(tokens, lengths)).neg_elbo().sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    if family == "hmm":
        start, transition = model.prior.log_start(), model.prior.log_transition()
        each = model.decoder.log_emission(tokens, lengths)
        state = start + each[:, 0]
        for t in range(1, WIDTH):
            step = (state[:, :, None] + transition).logsumexp(1) + each[:, t]
            state = torch.where((t < lengths)[:, None], step, state)
        (-state.logsumexp(-1).sum()).backward()
    else:
        (-(model.prior.log_prob() + model.decoder.log_prob(tokens, lengths)).logsumexp(-1).sum()).backward()
    for name, p in model.named_parameters():
        assert torch.allclose(found[name], p.grad, atol=1e-12), name


@pytest.mark.parametrize(("family", "encoder_type"), AMORTISED)
def test_a_taught_encoder_s_gradient_is_that_of_its_exact_elbo(family: str, encoder_type: str) -> None:
    """Against central differences in every kind of parameter."""
    model = _amortised(family, encoder_type)
    inputs = batch(*sentences(4))
    model(**inputs).neg_elbo().sum().backward()
    for name, parameter in model.named_parameters():
        at = int(parameter.grad.abs().argmax())
        flat, step = parameter.detach().view(-1), 1e-5
        values = []
        for sign in (1, -1):
            flat[at] += sign * step
            with torch.no_grad():
                values.append(model(**inputs).neg_elbo().sum().item())
            flat[at] -= sign * step
        expected = (values[0] - values[1]) / (2 * step)
        assert abs(parameter.grad.view(-1)[at].item() - expected) < 1e-6 * max(1.0, abs(expected)), name


def test_a_taught_bag_of_words_can_be_the_exact_posterior_of_a_mixture_of_unigrams() -> None:
    """W = ln P_k[w], b = ln P_pri: no gap is left."""
    model = model_of(encoder_type="bag_of_words")
    with torch.no_grad():
        model.encoder.weight.copy_(model.decoder.table.log_probabilities().t())
        model.encoder.bias.copy_(model.prior.log_prob())
    scores = model(**batch(*sentences(6)))
    assert torch.allclose(scores.neg_elbo(), -scores.log_weights()[0], atol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_padded_batch_is_its_sentences_one_by_one(family: str) -> None:
    model = model_of(family)
    tokens, lengths = sentences(6)
    together = model(**batch(tokens, lengths), keep_latents=True, keep_tokens=True)
    alone = [
        model(
            tokens=tokens[b : b + 1, :n],
            lengths=lengths[b : b + 1],
            index=torch.tensor([b]),
            keep_latents=True,
            keep_tokens=True,
        )
        for b, n in enumerate(lengths.tolist())
    ]
    joined = Scores.concatenate(alone)
    for name, value in together.to_dict().items():
        other = getattr(joined, name)
        assert torch.allclose(value.double(), other.double(), atol=1e-12), name
    assert torch.allclose(together.log_p_dec_token.sum(1), together.log_p_dec[0], atol=1e-12)


def test_what_is_kept_of_a_class_is_its_posterior_a_draw_and_the_likeliest() -> None:
    model = model_of()
    tokens, lengths = sentences(400)
    scores = model(**batch(tokens, lengths), keep_latents=True)
    assert torch.allclose(scores.posterior_mean.sum(-1), torch.ones(400, dtype=torch.float64))
    assert torch.equal(scores.codes[0, :, 0], scores.posterior_mean.argmax(-1))
    assert (scores.z[0].sum(-1) == 1).all()
    share, expected = scores.z[0].mean(0), scores.posterior_mean.mean(0)
    assert ((share - expected).abs() < 5 * (0.25 / 400) ** 0.5).all()
    assert torch.equal(scores.z, model(**batch(tokens, lengths), keep_latents=True).z)


@pytest.mark.parametrize("family", ["mixture_unigram", "mixture_bigram"])
def test_weights_over_classes_mean_their_mixture(family: str) -> None:
    """ln P_dec(y|z) with z the prior is ln P(y); with one class it is that class's own."""
    model = model_of(family)
    tokens, lengths = sentences(6)
    prior = model.prior.log_prob().exp().expand(6, -1)
    marginal = model.log_prob_token(tokens, lengths, prior).sum(1)
    assert torch.allclose(marginal, torch.tensor(_marginals(model, tokens, lengths), dtype=torch.float64), atol=1e-12)
    one = torch.nn.functional.one_hot(torch.tensor([1]), K).double().expand(6, -1)
    assert torch.allclose(
        model.log_prob_token(tokens, lengths, one).sum(1), model.decoder.log_prob(tokens, lengths)[:, 1], atol=1e-12
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_sentences_drawn_from_prior_and_decoder_have_the_model_s_probabilities(family: str) -> None:
    """Each sentence of one word (EOS) or two against P(y), within 5 standard errors."""
    model, count = model_of(family), 20_000
    torch.manual_seed(0)
    drawn = model.decoder.generate(latents=model.sample_prior(count, seed=1), do_sample=True)
    for words in ([EOS], [3, EOS], [4, EOS]):
        p = math.exp(_marginals(model, torch.tensor([words]), torch.tensor([len(words)]))[0])
        found = (drawn[:, : len(words)] == torch.tensor(words)).all(1).double().mean().item()
        assert abs(found - p) < 5 * math.sqrt(p * (1 - p) / count)


def test_a_prior_s_log_density_is_shared_out_over_the_sentences_while_tables_learn() -> None:
    model = model_of(prior_pseudo_count=0.5, word_pseudo_count=0.25, sentences=10)
    inputs = batch(*sentences(4))
    expected = 0.5 * model.prior.log_prob().sum() + 0.25 * model.decoder.table.log_probabilities().sum()
    assert torch.allclose(model.log_prior(), expected)
    assert model(**inputs).penalty is None  # judged, it is no nats of the text
    model.train()
    assert torch.allclose(model(**inputs).penalty, (-expected / 10).expand(4))


@pytest.mark.parametrize(("family", "encoder_type"), [("hmm", "bayes"), ("mixture_bigram", "bayes"), *AMORTISED])
def test_a_saved_model_says_the_same_to_the_bit(tmp_path: Path, family: str, encoder_type: str) -> None:
    model = _amortised(family, encoder_type, word_pseudo_count=0.1)
    model.save_pretrained(tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, LatentClassModel)
    assert again.config.to_dict()["classes"] == K
    assert all(p.dtype == torch.float64 for p in again.parameters())
    inputs = batch(*sentences(5))
    assert torch.equal(again.eval()(**inputs).neg_elbo(), model(**inputs).neg_elbo())


def test_a_sentence_of_probability_zero_has_infinite_nats_and_no_nan() -> None:
    model = model_of()
    with torch.no_grad():
        model.decoder.table.logits[:, 4] = -math.inf
        scores = model(**batch(torch.tensor([[4, 1], [3, 1]]), torch.tensor([2, 2])))
    assert scores.neg_elbo()[0] == math.inf
    assert scores.log_weights()[0, 0] == -math.inf
    assert scores.rate()[0] == 0.0
    assert scores.neg_elbo()[1].isfinite()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "mixture"}, "family must be one of"),
        ({"encoder_type": "none"}, "encoder_type must be one of"),
        ({"classes": 0}, "classes must be >= 1"),
        ({"encoder_type": "transformer"}, "has a configuration"),
        ({"family": "hmm", "encoder_type": "bag_of_words"}, "which word is where"),
        ({"word_pseudo_count": -1.0}, "pseudo-counts must be >= 0"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(change: dict, message: str) -> None:
    with pytest.raises(Exception, match=message):
        LatentClassConfig(**change)


def test_words_are_drawn_and_no_other_setting_is_taken() -> None:
    model = model_of()
    with pytest.raises(ValueError, match="num_beams"):
        model.generate(model.sample_prior(1, seed=0), num_beams=4)
