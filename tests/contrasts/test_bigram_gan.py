"""Oracle: every sentence, the intervals of T13 written out, and frequencies of what is written."""

import pytest
import torch

from tests.contrasts.players import gan, sentences
from textlatent.contrasts.bigram_gan import BigramGAN, BigramGANConfig, word_from_noise
from textlatent.decoder.table import Bigram


def test_a_word_is_the_interval_its_noise_falls_into() -> None:
    p = torch.tensor([0.25, 0.0, 0.5, 0.25, 0.0], dtype=torch.float64)
    noise = torch.tensor([0.0, 0.25 - 1e-16, 0.25, 0.5, 0.75 - 1e-16, 0.75, 1.0 - 1e-16], dtype=torch.float64)
    assert word_from_noise(p, noise).tolist() == [0, 0, 2, 2, 2, 3, 3]
    assert word_from_noise(p.expand(7, -1), noise).tolist() == [0, 0, 2, 2, 2, 3, 3]


def test_no_word_of_probability_zero_is_drawn_at_either_end() -> None:
    p = torch.tensor([0.0, 1.0, 0.0])
    assert word_from_noise(p, torch.tensor([0.0, 1.0 - 2**-53], dtype=torch.float64)).tolist() == [1, 1]
    third = torch.full((3,), 1 / 3, dtype=torch.float32)  # their float32 sum need not be 1
    assert word_from_noise(third, torch.tensor([1.0 - 2**-53], dtype=torch.float64)).item() == 2


@pytest.mark.parametrize("vocabulary", [1, 2, 3, 7, 8, 33])
def test_what_is_written_is_what_the_table_draws(vocabulary: int) -> None:
    """Also where words have no probability, and at the very ends of [0, 1) and of the intervals."""
    model = gan(vocabulary, 5, eos=0, seed=vocabulary)
    if vocabulary > 3:
        with torch.no_grad():
            model.generator.transition_logits[:, [1, vocabulary - 1]] = -torch.inf
            model.generator.start_logits[[0, vocabulary - 1]] = -torch.inf
    noise = torch.rand(3000, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise[:50, 0], noise[50:100, 0] = 0.0, 1.0 - 2**-53
    ends = model.generator.log_start().exp().cumsum(-1).detach()
    noise[100 : 100 + vocabulary, 0] = ends.clamp_max(1.0 - 2**-53)
    assert torch.equal(model.write(noise), model.generator.sample(noise, eos=0, pad=0)[0])


@pytest.mark.parametrize("eos", [0, 2])
def test_the_tables_are_a_distribution_over_sentences_of_t_words(eos: int) -> None:
    model = gan(3, 4, eos=eos)
    assert float(sentences(model)[1].sum()) == pytest.approx(1.0, abs=1e-14)


def test_frequencies_are_the_tables() -> None:
    """Chi-square of whole sentences, and of each table's rows, at 0.999."""
    model, count = gan(3, 3, eos=0, seed=5), 200_000
    torch.manual_seed(0)
    written = model.write(torch.rand(count, 3, dtype=torch.float64))
    words, probability = sentences(model)
    place = {tuple(row): i for i, row in enumerate(words.tolist())}
    found = torch.bincount(torch.tensor([place[tuple(row)] for row in written.tolist()]), minlength=len(words)).double()
    assert _chi_square(found, probability) < _QUANTILE[len(words) - 1]
    start = model.generator.log_start().exp().detach()
    assert _chi_square(torch.bincount(written[:, 0], minlength=3).double(), start) < _QUANTILE[2]
    rows = model.generator.log_transition().exp().detach()
    for i in (1, 2):  # EOS is absorbing
        after = written[:, 1:][written[:, :-1] == i]
        assert _chi_square(torch.bincount(after, minlength=3).double(), rows[i]) < _QUANTILE[2]
    assert bool((written[:, 1:][written[:, :-1] == 0] == 0).all())


_QUANTILE = {2: 13.82, 14: 36.12}
"""Of chi-square at 0.999, by degrees of freedom."""


def _chi_square(found: torch.Tensor, probability: torch.Tensor) -> float:
    expected = found.sum() * probability
    return float(((found - expected).square() / expected).sum())


def test_scores_hold_ln_p_and_nothing_of_a_latent() -> None:
    model = gan(4, 5, eos=2)
    tokens, lengths = torch.tensor([[3, 1, 2, 0], [1, 2, 0, 0]]), torch.tensor([3, 2])
    scores = model(tokens, lengths, torch.arange(2), samples=3, keep_tokens=True, seed=1, keep_latents=True)
    log_p, log_q = model.generator.log_start(), model.generator.log_transition()
    wanted = torch.stack([log_p[3] + log_q[3, 1] + log_q[1, 2], log_p[1] + log_q[1, 2]])
    torch.testing.assert_close(scores.need("log_p_dec"), wanted.expand(3, -1), rtol=0, atol=1e-14)
    assert set(scores.to_dict()) == {"log_p_dec", "log_p_dec_token", "tokens", "index"}
    assert not scores.has_rate


def test_a_sentence_is_presented_with_its_end_to_the_last_place() -> None:
    model = gan(4, 5, eos=2)
    tokens, lengths = torch.tensor([[3, 1, 2, 0], [1, 2, 0, 0]]), torch.tensor([3, 2])
    assert model.present(tokens, lengths).tolist() == [[3, 1, 2, 2, 2], [1, 2, 2, 2, 2]]
    wide = torch.cat([tokens, torch.zeros(2, 4, dtype=torch.long)], 1)
    assert model.present(wide, lengths).tolist() == [[3, 1, 2, 2, 2], [1, 2, 2, 2, 2]]
    with pytest.raises(ValueError, match="a sentence has 6 words with EOS, over the 5"):
        model.present(torch.ones(1, 6, dtype=torch.long), torch.tensor([6]))


@pytest.mark.parametrize("reader", [False, True])
def test_saved_and_loaded(tmp_path, reader: bool) -> None:
    model = gan(4, 5, eos=2, reader=reader)
    model.baseline.fill_(0.25)
    model.save_pretrained(tmp_path)
    again = BigramGAN.from_pretrained(tmp_path)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
    assert isinstance(again.generator, Bigram)
    words = torch.tensor([[3, 1, 2, 2, 2]])
    torch.testing.assert_close(model.discriminator(words), again.eval().discriminator(words), rtol=0, atol=1e-6)


def test_configurations_that_cannot_be() -> None:
    with pytest.raises(Exception, match="discriminator must be table or transformer"):
        BigramGANConfig(discriminator="oracle")
    with pytest.raises(Exception, match="needs a backbone"):
        BigramGANConfig(discriminator="transformer")
    with pytest.raises(Exception, match="eos_token_id a word"):
        BigramGANConfig(vocab_size=2, eos_token_id=5)
