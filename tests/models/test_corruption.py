"""Words hidden while training, from the decoder and from the encoder: which, how many, and what hears of it."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch import Tensor

from tests.tiny import BOS, SENTENCES, batch, vae
from textlatent.models import SentenceVAE
from textlatent.nats.noise import DENOISING, WORD_DROPOUT, chosen
from textlatent.scores import Scores

UNK = 10


def training(**settings: object) -> SentenceVAE:
    """A model whose backbones have no dropout, so that hidden words are all that training changes."""
    return vae(unknown=UNK, **settings).train()


def score(model: SentenceVAE, rows: dict[str, Tensor], **options: object) -> Scores:
    with torch.no_grad():
        return model(**rows, seed=3, epoch=2, keep_latents=True, keep_tokens=True, **options)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_the_decoder_reads_the_unknown_token_and_scores_the_word(share: float) -> None:
    """Against the backbone given BOS and the words with the hidden ones replaced by hand, sentence by sentence."""
    model, rows = training(word_dropout=share, inject="add"), batch(SENTENCES)
    scores = score(model, rows)
    hidden = chosen(rows["index"], share=share, seed=3, epoch=2, width=6, stream=WORD_DROPOUT)
    assert 0 < int(hidden.sum()) < hidden.numel()
    for row, sentence in enumerate(SENTENCES):
        words = torch.tensor(sentence)
        read = torch.where(hidden[row, : len(words)], UNK, words)
        before = torch.cat([torch.tensor([BOS]), read[:-1]])
        with torch.no_grad():
            embeds = model.decoder.get_input_embeddings()(before) + model.decoder.to_every(scores.z[0, row])
            logits = model.decoder.backbone(inputs_embeds=embeds[None]).logits[0]
        expected = logits.log_softmax(-1).gather(1, words[:, None]).squeeze(1)
        torch.testing.assert_close(scores.log_p_dec_token[row, : len(words)], expected, rtol=0, atol=1e-10)


def test_the_encoder_reads_the_unknown_token_and_the_end() -> None:
    """The posterior is that of the sentence with the hidden words replaced by hand; EOS is never hidden."""
    model, rows = training(denoising=0.6), batch(SENTENCES)
    scores = score(model, rows)
    hidden = chosen(rows["index"], share=0.6, seed=3, epoch=2, width=6, stream=DENOISING)
    corrupted = [
        [UNK if hidden[row, place] else word for place, word in enumerate(sentence[:-1])] + sentence[-1:]
        for row, sentence in enumerate(SENTENCES)
    ]
    assert corrupted != SENTENCES
    with torch.no_grad():
        expected = model.posterior(batch(corrupted)["tokens"], rows["lengths"])
    torch.testing.assert_close(scores.posterior_mean, expected.mean, rtol=0, atol=1e-12)
    with torch.no_grad():
        dec = model.log_prob_token(rows["tokens"], rows["lengths"], scores.z[0])
    torch.testing.assert_close(scores.log_p_dec_token, dec, rtol=0, atol=1e-12)


BOTH = {"word_dropout": 0.5, "denoising": 0.5}


def test_evaluation_hides_nothing() -> None:
    model, plain = vae(unknown=UNK, **BOTH), vae()
    one, other = score(model, batch(SENTENCES)), score(plain, batch(SENTENCES))
    assert all(torch.equal(one.to_dict()[name], other.to_dict()[name]) for name in other.to_dict())


def test_what_is_hidden_belongs_to_the_sentence() -> None:
    """Padding, order and company change nothing; seed, epoch and the two streams do."""
    model, rows = training(**BOTH), batch(SENTENCES)
    whole = score(model, rows)
    wide = score(model, batch(SENTENCES, width=9))
    torch.testing.assert_close(wide.log_p_dec, whole.log_p_dec, rtol=0, atol=1e-9)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    permuted = score(model, {name: tensor[order] for name, tensor in rows.items()})
    torch.testing.assert_close(permuted.log_p_dec, whole.log_p_dec[:, order], rtol=0, atol=1e-9)
    with torch.no_grad():
        later = model(**rows, seed=3, epoch=3)
    assert (later.log_p_dec - whole.log_p_dec).abs().max() > 1e-3
    index = torch.arange(50)
    throws = [chosen(index, share=0.5, seed=0, epoch=1, width=8, stream=s) for s in (WORD_DROPOUT, DENOISING)]
    assert 0.4 < (throws[0] == throws[1]).double().mean() < 0.6


def test_all_draws_of_z_explain_one_reading() -> None:
    """Else the importance weights of a sentence would be those of several models."""
    model, rows = training(word_dropout=0.5, inject="add"), batch(SENTENCES)
    with torch.no_grad():
        model.decoder.to_every.weight.zero_()
        scores = model(**rows, seed=3, epoch=2, samples=4)
    torch.testing.assert_close(scores.log_p_dec, scores.log_p_dec[:1].expand(4, -1), rtol=0, atol=1e-12)


def test_the_share_is_the_share() -> None:
    """Of 40,000 words within 4 standard errors; none and all at the ends."""
    index = torch.arange(2000)
    for share in (0.0, 0.3, 1.0):
        found = chosen(index, share=share, seed=1, epoch=1, width=20, stream=WORD_DROPOUT).double().mean().item()
        assert abs(found - share) <= 4 * (share * (1 - share) / 40_000) ** 0.5


@pytest.mark.parametrize("name", ["word_dropout", "denoising"])
def test_what_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(StrictDataclassClassValidationError, match=f"{name} must be between 0 and 1, got 1.5"):
        vae(unknown=UNK, **{name: 1.5})
    with pytest.raises(StrictDataclassClassValidationError, match=f"{name} writes the unknown token over words, and"):
        vae(**{name: 0.5})
