"""The sentence VAE: its terms by their definitions, and all that must change nothing."""

import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor

from tests.tiny import EOS, PAD, SENTENCES, backbone, batch, vae
from textlatent.models import SentenceVAE, SentenceVAEConfig
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.nats.noise import LATENT, PRIOR_DRAW, normal
from textlatent.scores import Scores

ENCODERS = ["bert", "roberta", "distilbert", "t5", "gpt2"]
DECODERS = ["gpt2", "llama", "opt", "gpt_neox", "cohere", "gemma2", "granite", "bert"]
PAIRS = [*((encoder, "gpt2") for encoder in ENCODERS), *(("bert", decoder) for decoder in DECODERS[1:])]
# A family that makes its rotary angles in float32 still answers equal questions equally: 1e-9 holds for all.
TOLERANCE = 1e-9


@torch.no_grad()
def score(model: SentenceVAE, rows: dict[str, Tensor], **options: object) -> Scores:
    return model(**rows, samples=2, keep_latents=True, keep_tokens=True, **options)


def assert_same(one: Scores, other: Scores) -> None:
    """Every field equal to 1e-9, token rows up to their padding."""
    left, right = one.to_dict(), other.to_dict()
    assert left.keys() == right.keys()
    for name in left:
        a, b = left[name], right[name]
        if name == "log_p_dec_token":
            width = min(a.shape[1], b.shape[1])
            assert not a[:, width:].any()
            assert not b[:, width:].any()
            a, b = a[:, :width], b[:, :width]
        torch.testing.assert_close(a, b, rtol=0, atol=TOLERANCE, msg=lambda text, name=name: f"{name}: {text}")


def test_the_terms_are_their_definitions() -> None:
    """z = mu + sigma eps; the three log-probabilities of that z; KL in closed form; tokens counted with EOS."""
    model = vae(prior="learned")
    with torch.no_grad():
        model.prior.mean.copy_(torch.tensor([0.3, -0.2, 0.1]))
        model.prior.log_variance.copy_(torch.tensor([-0.5, 0.2, 0.0]))
        rows = batch(SENTENCES)
        scores = score(model, rows, seed=5, epoch=2, first_sample=3)
        enc, pri = model.posterior(rows["tokens"], rows["lengths"]), model.prior()
    noise = normal(
        rows["index"], seed=5, epoch=2, shape=(3,), stream=LATENT, samples=2, first_sample=3, dtype=torch.float32
    )
    z = enc.mean + enc.std * noise.double()
    mask = torch.arange(6) < rows["lengths"][:, None]
    with torch.no_grad():
        dec = torch.stack([model.decoder.log_prob_token(rows["tokens"], each, mask) for each in z])
    expected = {
        "log_p_enc": enc.log_prob(z),
        "log_p_pri": pri.log_prob(z),
        "log_p_dec": dec.sum(2),
        "kl": kl_per_dimension(enc, pri),
        "z": z[:1],
        "log_p_dec_token": dec[0],
        "posterior_mean": enc.mean,
        "posterior_log_variance": enc.log_variance,
        "prior_mean": pri.mean,
        "prior_log_variance": pri.log_variance,
    }
    for name, value in expected.items():
        torch.testing.assert_close(getattr(scores, name), value, rtol=0, atol=1e-12)
    assert scores.tokens.tolist() == [6, 2, 1, 4, 5, 3]
    assert all(scores.to_dict()[name].dtype == torch.float64 for name in ("log_p_enc", "log_p_pri", "log_p_dec", "kl"))


def test_a_sentence_s_nats_are_the_sum_of_its_own_tokens() -> None:
    """EOS is scored, padding is not (its column is 0), and BOS has no column."""
    scores = score(vae(), batch(SENTENCES, width=9))
    token = scores.log_p_dec_token
    assert token.shape == (6, 9)
    scored = torch.arange(9) < scores.tokens[:, None]
    assert (token[scored] < 0).all()
    assert not token[~scored].any()
    torch.testing.assert_close(token.sum(1), scores.log_p_dec[0], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_scores_do_not_depend_on_the_batch(encoder: str, decoder: str) -> None:
    """Not on padding width, order, or company, to 1e-9; permuting a batch permutes its scores."""
    model = vae(encoder=encoder, decoder=decoder)
    rows = batch(SENTENCES)
    whole = score(model, rows)
    assert_same(score(model, batch(SENTENCES, width=10)), whole)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    permuted = {name: tensor[order] for name, tensor in rows.items()}
    assert_same(score(model, permuted), whole.select(order))
    alone = [score(model, batch([row], first=number)) for number, row in enumerate(SENTENCES)]
    assert_same(Scores.concatenate(alone), whole)


def test_another_sentence_in_the_batch_is_not_heard() -> None:
    """Five sentences keep every digit to 1e-9 when the sixth is replaced."""
    model = vae()
    changed = [*SENTENCES[:2], [10, 9, 8, 7, 6, EOS], *SENTENCES[3:]]
    keep = torch.tensor([0, 1, 3, 4, 5])
    one, other = score(model, batch(SENTENCES)), score(model, batch(changed))
    assert_same(one.select(keep), other.select(keep))
    assert (one.select(torch.tensor([2])).log_p_dec - other.select(torch.tensor([2])).log_p_dec).abs().max() > 0.1


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_future_token_never_changes_an_earlier_one(decoder: str) -> None:
    """With z given, ln P(y_t | y_<t, z) is the same whatever follows, and what follows does matter to itself."""
    model = vae(decoder=decoder)
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)[:1].repeat(2, 1)
    tokens = torch.tensor([[3, 4, 5, 6, 7, 8], [3, 4, 5, 9, 10, EOS]])
    with torch.no_grad():
        token = model.decoder.log_prob_token(tokens, z, torch.ones(2, 6, dtype=torch.bool))
        logits = model.decoder(tokens, z).logits
    torch.testing.assert_close(token[0, :3], token[1, :3], rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(logits[0, :3], logits[1, :3], rtol=0, atol=TOLERANCE)
    assert (token[0, 3:] - token[1, 3:]).abs().min() > 1e-6
    assert (logits[0, 3:] - logits[1, 3:]).abs().max() > 1e-3


@pytest.mark.parametrize(("encoder", "decoder"), [(encoder, "llama") for encoder in ENCODERS] + [("bert", "gpt_neox")])
def test_padding_may_be_nan(encoder: str, decoder: str) -> None:
    """A NaN in the embedding of padding reaches nothing, forwards or backwards (untied: as a word it has no name)."""
    model = vae(encoder=encoder, decoder=decoder)
    clean = score(model, batch(SENTENCES))
    with torch.no_grad():
        model.encoder.backbone.get_input_embeddings().weight[PAD] = math.nan
        model.decoder.get_input_embeddings().weight[PAD] = math.nan
    assert_same(score(model, batch(SENTENCES, width=9)), clean)
    model.loss(**batch(SENTENCES)).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_chunks_of_samples_are_the_samples() -> None:
    model = vae()
    with torch.no_grad():
        whole = model(**batch(SENTENCES), samples=5).log_weights()
        chunks = [model(**batch(SENTENCES), samples=n, first_sample=k).log_weights() for k, n in ((0, 2), (2, 3))]
    torch.testing.assert_close(torch.cat(chunks), whole, rtol=0, atol=TOLERANCE)


def test_loss_is_the_mean_negative_elbo_and_every_parameter_hears_it() -> None:
    """Every parameter of the three parts has a gradient; the learned prior's too."""
    model = vae(prior="learned")
    loss = model.loss(**batch(SENTENCES))
    torch.testing.assert_close(loss, model(**batch(SENTENCES)).neg_elbo().mean(), rtol=0, atol=0)
    loss.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    # A key's bias adds the same to all of a query's scores: softmax cannot hear it.
    assert [name for name in silent if not name.endswith("key.bias")] == []


def test_the_gradient_is_that_of_the_numbers() -> None:
    """Directional derivative of the loss against central differences in float64 (error ~ h^2 = 1e-10)."""
    model = vae(prior="learned")
    rows = batch(SENTENCES)
    parameters = list(model.parameters())
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
    model.loss(**rows).backward()
    slope = sum((p.grad * d).sum() for p, d in zip(parameters, direction, strict=True) if p.grad is not None)

    def moved(step: float) -> Tensor:
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(d, alpha=step)
            loss = model.loss(**rows)
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(d, alpha=step)
        return loss

    h = 1e-5
    torch.testing.assert_close((moved(h) - moved(-h)) / (2 * h), slope, rtol=1e-6, atol=1e-6)


def test_standardising_changes_no_nat_and_no_logit() -> None:
    """THEORY T5, for a prior far from N(0, I), to 1e-10 in float64; the densities of z move by sum ln sigma_p."""
    for inject, slots in (("prefix", 2), ("add", 1), ("both", 1)):
        model = vae(prior="learned", inject=inject, slots=slots)
        with torch.no_grad():
            model.prior.mean.copy_(torch.tensor([1.0, -2.0, 0.5]))
            model.prior.log_variance.copy_(torch.tensor([-1.5, 0.7, 1.2]))
            model.encoder.head.bias.normal_()
        other = model.standardise()
        one, two = score(model, batch(SENTENCES)), score(other, batch(SENTENCES))
        for name in ("kl", "log_p_dec", "log_p_dec_token"):
            torch.testing.assert_close(getattr(two, name), getattr(one, name), rtol=0, atol=1e-10)
        torch.testing.assert_close(two.log_weights(), one.log_weights(), rtol=0, atol=1e-10)
        shift = 0.5 * model.prior.log_variance.detach().sum()
        torch.testing.assert_close(two.log_p_enc, one.log_p_enc + shift, rtol=0, atol=1e-10)
        torch.testing.assert_close(two.log_p_pri, one.log_p_pri + shift, rtol=0, atol=1e-10)
        z = torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        tokens = torch.tensor([[1, 3, 4, 5]] * 4)
        with torch.no_grad():
            moved = (z - model.prior.mean) / (0.5 * model.prior.log_variance).exp()
            torch.testing.assert_close(
                other.decoder(tokens, moved).logits, model.decoder(tokens, z).logits, rtol=0, atol=1e-10
            )
        assert other.config.prior == "standard"
        assert model.config.prior == "learned"
        assert other.prior() == other.prior()
        assert not other.prior().mean.any()
        assert not other.training


def test_a_standard_prior_cannot_be_standardised() -> None:
    with pytest.raises(ValueError, match="N\\(0, I\\) already"):
        vae().standardise()


@pytest.mark.parametrize("prior", ["standard", "learned"])
@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_number_is_finite_from_the_start(encoder: str, decoder: str, prior: str) -> None:
    model = vae(encoder=encoder, decoder=decoder, prior=prior, scale=1.0, dtype=torch.float32)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values() if tensor.is_floating_point())
    assert kl_per_dimension(model.prior(), DiagonalGaussian(torch.zeros(3), torch.zeros(3))).sum() == 0


def test_what_cannot_be_built_is_refused() -> None:
    """A configuration's faults come in the class that transformers gives them."""
    with pytest.raises(
        StrictDataclassClassValidationError, match="prior must be one of standard, learned, mixture, vamp, got 'flat'"
    ):
        vae(prior="flat")
    with pytest.raises(ValueError, match="pooling must be one of mean, max, first, last, got 'sum'"):
        vae(pooling="sum")
    with pytest.raises(StrictDataclassClassValidationError, match="the decoder expects 4 dimensions of z, got 3"):
        SentenceVAEConfig(decoder={"backbone": backbone("gpt2"), "latent_size": 4}, latent_size=3)


def test_no_latent_is_a_language_model() -> None:
    """D = 0: rate 0, no encoder to learn, and the distortion is the backbone's own cross-entropy."""
    model, rows = vae(latent_size=0), batch(SENTENCES)
    scores = score(model, rows)
    assert torch.equal(scores.rate(), torch.zeros(len(rows["lengths"]), dtype=torch.float64))
    assert scores.need("log_p_enc").abs().max() == 0
    assert scores.need("log_p_pri").abs().max() == 0
    assert not list(model.encoder.parameters())
    assert not list(model.prior.parameters())
    for row, length in enumerate(rows["lengths"]):
        sentence = rows["tokens"][row : row + 1, :length]
        before = torch.cat([sentence.new_full((1, 1), model.config.decoder.bos_token_id), sentence[:, :-1]], 1)
        logits = model.decoder.backbone(input_ids=before).logits
        nll = torch.nn.functional.cross_entropy(logits[0], sentence[0], reduction="sum")
        torch.testing.assert_close(scores.distortion()[row], nll)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_a_mixture_s_rate_is_sampled(prior: str) -> None:
    """No closed form and no factorised parameters; the densities are there, asked for or not."""
    model, rows = vae(prior=prior, components=4), batch(SENTENCES)
    with torch.no_grad():
        scores = model(**rows, samples=2, keep_latents=True, densities=False)
        density = model.prior_distribution().log_prob(scores.z[0])
    assert scores.kl is None
    assert scores.prior_mean is None
    assert scores.prior_log_variance is None
    torch.testing.assert_close(scores.log_p_pri[0], density, rtol=0, atol=1e-12)
    torch.testing.assert_close(scores.rate(), (scores.log_p_enc - scores.log_p_pri).mean(0), rtol=0, atol=0)


def test_a_mixture_of_one_is_the_learned_gaussian_but_for_sampling() -> None:
    """Every density to 1e-12; the rate is the mean of samples whose expectation is the closed form."""
    one, learned = vae(prior="mixture", components=1), vae(prior="learned")
    for model in (one, learned):
        with torch.no_grad():
            model.prior.mean.copy_(torch.tensor([0.3, -0.2, 0.1]))
            model.prior.log_variance.copy_(torch.tensor([-0.5, 0.2, 0.0]))
    learned.encoder.load_state_dict(one.encoder.state_dict())
    learned.decoder.load_state_dict(one.decoder.state_dict())
    rows = batch(SENTENCES)
    with torch.no_grad():
        ours, theirs = (model(**rows, samples=2000, keep_latents=True) for model in (one, learned))
    for name in ("log_p_enc", "log_p_pri", "log_p_dec"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), rtol=0, atol=1e-12)
    error = (ours.log_p_enc - ours.log_p_pri).std(0) / 2000**0.5
    assert ((ours.rate() - theirs.rate()).abs() < 4 * error).all()


def test_a_vamp_prior_is_made_of_this_encoder_s_posteriors() -> None:
    """Pseudo-inputs that are the embeddings of sentences: the prior is the aggregate of those sentences' posteriors."""
    model = vae(prior="vamp", components=2, pseudo_tokens=4)
    sentences = [[3, 4, 5, EOS], [9, 10, 3, EOS]]
    rows = batch(sentences)
    with torch.no_grad():
        model.prior.inputs.copy_(model.encoder.backbone.get_input_embeddings()(rows["tokens"]))
        posterior = model.posterior(rows["tokens"], rows["lengths"])
        z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        by_hand = torch.logsumexp(posterior.log_prob(z[:, None]), 1) - math.log(2)
        torch.testing.assert_close(model.prior_distribution().log_prob(z), by_hand, rtol=0, atol=1e-12)
        torch.testing.assert_close(model.prior_distribution().mean, posterior.mean.mean(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_parameter_of_a_mixture_hears_the_loss(encoder: str, prior: str) -> None:
    model = vae(prior=prior, components=3, encoder=encoder)
    model.loss(**batch(SENTENCES)).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.prior.parameters())


@pytest.mark.parametrize("prior", ["standard", "learned", "mixture", "vamp"])
def test_a_draw_of_the_prior_is_a_function_of_its_number(prior: str) -> None:
    """However many are asked for, and whichever; 20,000 of them have the prior's mean and variance."""
    model = vae(prior=prior, components=3 if prior in ("mixture", "vamp") else None)
    with torch.no_grad():
        for parameter in model.prior.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(2))
        distribution = model.prior_distribution()
    z = model.sample_prior(20_000, seed=4)
    assert torch.equal(model.sample_prior(torch.tensor([7, 3]), seed=4), z[[7, 3]])
    assert not torch.equal(model.sample_prior(5, seed=5), z[:5])
    error = distribution.std / 20_000**0.5
    assert ((z.mean(0) - distribution.mean).abs() < 4 * error).all()
    fourth = (z - z.mean(0)).pow(4).mean(0)
    error = ((fourth - z.var(0).square()) / 20_000).sqrt()
    assert ((z.var(0) - distribution.std.square()).abs() < 4 * error).all()


def test_a_standard_prior_draws_as_ever() -> None:
    """The inverse distribution function of the counter-based numbers, nothing between."""
    expected = normal(torch.arange(4), seed=1, shape=(3,), stream=PRIOR_DRAW)[0].double()
    assert torch.equal(vae().sample_prior(4, seed=1), expected)


def test_a_mixture_cannot_be_standardised() -> None:
    with pytest.raises(ValueError, match="no change of coordinates makes a vamp prior N\\(0, I\\)"):
        vae(prior="vamp", components=2).standardise()


@pytest.mark.parametrize("prior", ["learned", "mixture", "vamp"])
def test_over_no_dimensions_every_prior_is_the_same(prior: str) -> None:
    model = vae(prior=prior, latent_size=0)
    assert not list(model.prior.parameters())
    assert not model(**batch(SENTENCES)).rate().any()


def test_normalised_means_are_refused_under_a_prior_that_learns() -> None:
    with pytest.raises(StrictDataclassClassValidationError, match="a prior that learns would follow the means"):
        vae(prior="learned", batch_norm=0.5)


def test_normalised_means_are_calibrated() -> None:
    """On those very sentences: a rate of D gamma^2 / 2 in the means alone; without them there is nothing to do."""
    model, rows = vae(batch_norm=0.5).train(), batch(SENTENCES)
    assert model.calibrates
    model.calibrate([(rows["tokens"][:4], rows["lengths"][:4]), (rows["tokens"][4:], rows["lengths"][4:])])
    assert model.training
    scores = score(model.eval(), rows)
    torch.testing.assert_close(
        0.5 * scores.posterior_mean.square().mean(0), torch.full((3,), 0.125).double(), rtol=1e-5, atol=0
    )
    assert scores.rate().mean() > 3 * 0.125 * 0.999
    plain = vae()
    assert not plain.calibrates
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    plain.calibrate([(rows["tokens"], rows["lengths"])])
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())


def test_the_rate_of_normalised_means_is_not_the_encoder_s_to_lower() -> None:
    """Its gradient reaches the shift and the variance's half of the head; the distortion's reaches the mean's half."""
    model, rows = vae(batch_norm=0.5), batch(SENTENCES)
    model(**rows).rate().sum().backward()
    head = model.encoder.head.weight.grad
    assert not head[:3].any()
    assert head[3:].any()
    assert model.encoder.norm.shift.grad.any()
    model.zero_grad()
    model(**rows).distortion().sum().backward()
    assert model.encoder.head.weight.grad[:3].any()
