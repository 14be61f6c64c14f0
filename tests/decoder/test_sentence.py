"""The sentence decoder: z enters where it should, and writing agrees with scoring for every way of writing."""

import copy

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

import textlatent.models  # noqa: F401  (registers the decoder with the Auto classes)
from tests.oracles.enumeration import outcomes
from tests.tiny import BOS, EOS, PAD, backbone
from textlatent.decoder.sentence import SentenceDecoder, SentenceDecoderConfig

DECODERS = ["gpt2", "llama", "opt", "gpt_neox", "cohere", "gemma2", "granite", "bert"]
WAYS = [("prefix", 1), ("prefix", 3), ("add", 1), ("both", 1), ("both", 3)]
TOKENS = torch.tensor([[3, 4, 5, 6, EOS], [8, EOS, PAD, PAD, PAD], [9, 10, 3, EOS, PAD]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], dtype=torch.bool)


def decoder(kind: str = "gpt2", inject: str = "both", slots: int = 1, *, scale: float = 5.0) -> SentenceDecoder:
    """In float64, its matrices `scale` times their start: z and context are heard, no two words equally likely."""
    torch.manual_seed(0)
    config = SentenceDecoderConfig(
        backbone=backbone(kind), latent_size=3, inject=inject, slots=slots, max_tokens=8, initializer_range=0.1
    )
    made = SentenceDecoder(config).double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(scale)
    return made


def latents(count: int = 3, *, seed: int = 1) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written(model: SentenceDecoder, z: Tensor, **options: object) -> list[list[int]]:
    """What generate writes, without BOS, up to EOS."""
    rows = model.generate(latents=z, **({"do_sample": False} | options)).tolist()
    assert all(row[0] == BOS for row in rows)
    return [row[1 : row.index(EOS) + 1] if EOS in row else row[1:] for row in rows]


@torch.no_grad()
def by_hand(model: SentenceDecoder, z: Tensor, *, steps: int) -> list[int]:
    """Greedy decoding of one z by scoring every continuation, word for word."""
    words: list[int] = []
    while len(words) < steps and EOS not in words:
        candidates = torch.tensor([[*words, token] for token in range(11)])
        scores = model.log_prob_token(candidates, z.repeat(11, 1), torch.ones_like(candidates, dtype=torch.bool))
        words.append(int(scores[:, -1].argmax()))
    return words


@pytest.mark.parametrize(("inject", "slots"), WAYS)
@pytest.mark.parametrize("kind", DECODERS)
def test_log_probabilities_are_those_of_the_model_s_own_logits(kind: str, inject: str, slots: int) -> None:
    """Slots of z, BOS and the words, z added to each token: made here by hand and given to the backbone whole."""
    model, z = decoder(kind, inject, slots), latents()
    with torch.no_grad():
        before = torch.cat([torch.full((3, 1), BOS), TOKENS[:, :-1]], 1)
        embeds = model.backbone.get_input_embeddings()(before)
        if inject != "prefix":
            embeds = embeds + (z @ model.to_every.weight.T + model.to_every.bias)[:, None]
        if inject != "add":
            slot = (z @ model.to_slots.weight.T + model.to_slots.bias).view(3, slots, -1)
            embeds = torch.cat([slot, embeds], 1)
        logits = model.backbone(inputs_embeds=embeds).logits[:, -5:]
        expected = logits.log_softmax(-1).gather(2, TOKENS[:, :, None]).squeeze(2) * MASK
        token = model.log_prob_token(TOKENS, z, MASK)
        torch.testing.assert_close(token, expected, rtol=0, atol=1e-9)
        torch.testing.assert_close(model(before, z).logits, logits, rtol=0, atol=1e-9)
    assert token.dtype == torch.float64
    assert not token[~MASK].any()


@pytest.mark.parametrize(("inject", "slots"), WAYS)
def test_z_is_heard_in_every_position_and_so_is_its_gradient(inject: str, slots: int) -> None:
    """ln P_dec(s|z) is smooth in z (THEORY T4): against finite differences, and nowhere zero."""
    model, z = decoder("gpt2", inject, slots), latents().requires_grad_()
    token = model.log_prob_token(TOKENS, z, MASK)
    for place in range(5):
        (slope,) = torch.autograd.grad(token[0, place], z, retain_graph=True)
        assert slope[0].abs().max() > 1e-4
        assert not slope[1:].any()
    assert torch.autograd.gradcheck(lambda x: model.log_prob_token(TOKENS, x, MASK).sum(1), z, eps=1e-6, atol=1e-6)


@pytest.mark.parametrize(("inject", "slots"), WAYS)
@pytest.mark.parametrize("kind", DECODERS)
def test_greedy_writing_with_any_cache_is_scoring_word_by_word(kind: str, inject: str, slots: int) -> None:
    model, z = decoder(kind, inject, slots, scale=7.0), latents(5)
    expected = [by_hand(model, row[None], steps=8) for row in z]
    assert len({tuple(row) for row in expected}) > 1, "z changes nothing: this test would prove nothing"
    assert written(model, z) == expected
    assert written(model, z, use_cache=False) == expected
    assert written(model, z, cache_implementation="static") == expected


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2"])
def test_beams_as_wide_as_the_vocabulary_find_the_likeliest_of_all(kind: str) -> None:
    """Against every outcome of two steps, scored (no length penalty): the best two of them."""
    model, z = decoder(kind), latents(2)
    tokens, lengths = outcomes(11, 2)
    mask = torch.arange(2) < lengths[:, None]
    options = {"num_beams": 11, "max_new_tokens": 2, "length_penalty": 0.0, "num_return_sequences": 2}
    found = written(model, z, **options)
    for row in range(2):
        with torch.no_grad():
            nats = model.log_prob_token(tokens, z[row : row + 1].repeat(len(tokens), 1), mask).sum(1)
        best = nats.topk(2).indices.tolist()
        assert found[2 * row : 2 * row + 2] == [tokens[i, : lengths[i]].tolist() for i in best]


def test_several_sequences_of_one_z_stand_together() -> None:
    model, z = decoder(), latents(3)
    greedy = written(model, z)
    several = written(model, z, do_sample=True, top_k=1, num_return_sequences=2)
    assert several == [greedy[0], greedy[0], greedy[1], greedy[1], greedy[2], greedy[2]]


def test_sampling_draws_from_the_distribution_that_scores() -> None:
    """4,000 first words given one z: every word's frequency within 4 standard errors of its probability."""
    model, z = decoder(scale=3.0), latents(1)
    with torch.no_grad():
        every = torch.arange(11)[:, None]
        prob = model.log_prob_token(every, z.repeat(11, 1), torch.ones(11, 1, dtype=torch.bool)).exp().squeeze(1)
    assert prob.sum() == pytest.approx(1.0, abs=1e-12)
    torch.manual_seed(0)
    drawn = model.generate(latents=z.repeat(4000, 1), do_sample=True, max_new_tokens=1)[:, 1]
    share = torch.bincount(drawn, minlength=11).double() / 4000
    assert ((share - prob).abs() < 4 * (prob * (1 - prob) / 4000).sqrt()).all()


@pytest.mark.parametrize("cache", [{}, {"use_cache": False}, {"cache_implementation": "static"}])
@pytest.mark.parametrize(("inject", "slots"), WAYS)
@pytest.mark.parametrize("kind", ["gpt2", "llama", "opt", "cohere"])
def test_padding_before_a_prompt_changes_nothing(kind: str, inject: str, slots: int, cache: dict) -> None:
    """The scores of every step, prompts of 1 to 3 words in one batch against each alone."""
    model, z = decoder(kind, inject, slots), latents(3)
    prompts = [[BOS, 3, 4, 5], [BOS, 6, 7], [BOS, 8]]
    padded = torch.tensor([[PAD] * (4 - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (4 - len(row)) + [1] * len(row) for row in prompts])
    options = {"do_sample": False, "max_new_tokens": 5, "output_logits": True, "return_dict_in_generate": True}
    together = model.generate(padded, attention_mask=mask, latents=z, **options, **cache)
    for row, prompt in enumerate(prompts):
        alone = model.generate(torch.tensor([prompt]), latents=z[row : row + 1], **options)
        steps = len(alone.logits)
        assert together.sequences[row, 4 : 4 + steps].tolist() == alone.sequences[0, len(prompt) :].tolist()
        for ours, theirs in zip(together.logits, alone.logits, strict=False):
            torch.testing.assert_close(ours[row], theirs[0], rtol=0, atol=1e-5)  # generate keeps scores in float32


def test_a_prompt_continues_as_greedy_decoding_would_have() -> None:
    model, z = decoder(), latents(1)
    whole = model.generate(latents=z, do_sample=False)
    continued = model.generate(whole[:, :4], latents=z, do_sample=False, max_new_tokens=whole.shape[1] - 4)
    assert torch.equal(continued, whole)


def test_writing_stops_at_max_tokens() -> None:
    """Eight tokens at most, and after EOS only padding."""
    model = decoder()
    rows = model.generate(latents=latents(200, seed=3), do_sample=True)
    assert rows.shape[1] == 9
    ended = (rows == EOS).int().cumsum(1)
    assert ended.max() == 1
    assert ((rows == PAD) | (ended == 0) | (rows == EOS))[:, 1:].all()
    assert 0 < ended[:, -1].sum() < 200


def test_rescale_takes_the_new_coordinates() -> None:
    """W z + b = (W std) z' + (W mean + b) for z' = (z - mean) / std (THEORY T5)."""
    for inject, slots in WAYS:
        model, z = decoder("gpt2", inject, slots), latents()
        mean, std = latents(1, seed=5)[0], latents(1, seed=6)[0].exp()
        other = copy.deepcopy(model)
        other.rescale(mean, std)
        with torch.no_grad():
            expected = model.log_prob_token(TOKENS, z, MASK)
            torch.testing.assert_close(
                other.log_prob_token(TOKENS, (z - mean) / std, MASK), expected, rtol=0, atol=1e-10
            )


@pytest.mark.parametrize("kind", ["gpt2", "llama", "bert"])
def test_saved_and_loaded_it_is_the_same_decoder(kind: str, tmp_path: object) -> None:
    model = decoder(kind, "both", 2)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float64).eval()
    assert isinstance(loaded, SentenceDecoder)
    assert isinstance(AutoConfig.from_pretrained(tmp_path), SentenceDecoderConfig)
    for name in ("inject", "slots", "latent_size", "max_tokens", "bos_token_id", "eos_token_id", "pad_token_id"):
        assert getattr(loaded.config, name) == getattr(model.config, name)
    assert loaded.generation_config.max_new_tokens == 8
    with torch.no_grad():
        ours, theirs = (each.log_prob_token(TOKENS, latents(), MASK) for each in (model, loaded))
    assert torch.equal(ours, theirs)
    tied = [each.get_input_embeddings().weight is each.get_output_embeddings().weight for each in (model, loaded)]
    assert tied[0] == tied[1] == (kind != "llama")


def test_the_decoder_s_backbone_looks_back_only_and_the_encoder_s_configuration_stays() -> None:
    """One configuration may be given to both parts."""
    shared = backbone("bert")
    assert decoder("bert").config.backbone.is_decoder
    assert SentenceDecoderConfig(backbone=shared).backbone.is_decoder
    assert not shared.is_decoder


def test_faults_of_a_configuration() -> None:
    faulty = {
        "inject must be one of prefix, add, both, got 'sideways'": {"inject": "sideways"},
        "slots must be >= 1 to inject z as a prefix, got 0; use inject: add": {"slots": 0},
        "needs bos_token_id and eos_token_id, got None and 2": {"backbone": backbone("bert", bos_token_id=None)},
    }
    for message, settings in faulty.items():
        with pytest.raises(StrictDataclassClassValidationError, match=message):
            SentenceDecoderConfig(**({"backbone": backbone("gpt2")} | settings))
    assert SentenceDecoderConfig(backbone=backbone("gpt2"), inject="add", slots=0).prefix == 0


def test_faults_of_writing() -> None:
    with pytest.raises(ValueError, match="generate needs latents=z, one row per sentence"):
        decoder().generate(torch.tensor([[BOS]]), do_sample=False)
    with pytest.raises(ValueError, match="keeps a state instead; take gpt2"):
        decoder("mamba")
    bloom = decoder("bloom")
    prompt, mask = torch.tensor([[PAD, BOS], [BOS, 3]]), torch.tensor([[0, 1], [1, 1]])
    with pytest.raises(ValueError, match="bloom takes no position_ids, so padding before a prompt would be counted"):
        bloom.generate(prompt, attention_mask=mask, latents=latents(2))
