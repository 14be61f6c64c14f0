"""The record: its sums by hand, and that nothing is lost when it is cut, joined, moved, saved and loaded."""

import math
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError
from safetensors.torch import save_file

from textlatent.scores import Scores

LOG = math.log
# Two samples of two sentences; probabilities a person can multiply.
ENC = torch.tensor([[LOG(1 / 2), LOG(1 / 4)], [LOG(1 / 8), LOG(1 / 4)]], dtype=torch.float64)
PRI = torch.tensor([[LOG(1 / 8), LOG(1 / 4)], [LOG(1 / 8), LOG(1 / 2)]], dtype=torch.float64)
DEC = torch.tensor([[LOG(1 / 3), LOG(1 / 9)], [LOG(1 / 27), LOG(1 / 9)]], dtype=torch.float64)


def full(sentences: int = 4, *, first: int = 0, width: int = 5, samples: int = 3) -> Scores:
    """A record with every field filled."""
    generator = torch.Generator().manual_seed(first)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = torch.arange(first, first + sentences)
    return Scores(
        log_p_enc=draw(samples, sentences),
        log_p_pri=draw(samples, sentences),
        log_p_dec=draw(samples, sentences),
        kl=draw(sentences, 2),
        z=draw(1, sentences, 2),
        codes=torch.arange(sentences * 2).view(1, sentences, 2),
        log_p_dec_token=draw(sentences, width),
        posterior_mean=draw(sentences, 2),
        posterior_log_variance=draw(sentences, 2),
        prior_mean=torch.tensor([1.0, 2.0]),
        prior_log_variance=torch.tensor([3.0, 4.0]),
        tokens=rows + 2,
        words=rows + 1,
        characters=rows * 5,
        index=rows,
        label=rows % 2,
        penalty=draw(sentences),
        log_marginal=draw(sentences),
    )


def assert_equal(one: Scores, other: Scores) -> None:
    left, right = one.to_dict(), other.to_dict()
    assert left.keys() == right.keys()
    for name in left:
        assert torch.equal(left[name], right[name]), name
        assert left[name].dtype == right[name].dtype, name


def test_rate_distortion_and_weights_by_hand() -> None:
    """Without a closed form the rate is the samples' mean: of ln 4 and 0; of 0 and -ln 2."""
    scores = Scores(log_p_enc=ENC, log_p_pri=PRI, log_p_dec=DEC)
    torch.testing.assert_close(scores.rate(), torch.tensor([LOG(4) / 2, -LOG(2) / 2], dtype=torch.float64))
    torch.testing.assert_close(scores.distortion(), torch.tensor([2 * LOG(3), 2 * LOG(3)], dtype=torch.float64))
    torch.testing.assert_close(scores.neg_elbo(), scores.rate() + scores.distortion())
    weights = torch.tensor([[1 / 12, 1 / 9], [1 / 27, 2 / 9]], dtype=torch.float64)
    torch.testing.assert_close(scores.log_weights().exp(), weights)


def test_the_closed_form_of_the_rate_goes_before_its_samples() -> None:
    kl = torch.tensor([[0.5, 0.25], [1.0, 0.0]])
    scores = Scores(log_p_enc=ENC, log_p_pri=PRI, log_p_dec=DEC, kl=kl)
    assert scores.rate().tolist() == [0.75, 1.0]
    assert scores.select(torch.tensor([1])).neg_elbo().item() == pytest.approx(1.0 + 2 * LOG(3))


def test_a_penalty_is_in_no_sum_of_nats() -> None:
    scores = Scores(log_p_enc=ENC, log_p_pri=PRI, log_p_dec=DEC)
    with_penalty = Scores.from_dict(scores.to_dict() | {"penalty": torch.tensor([100.0, 100.0])})
    assert torch.equal(with_penalty.neg_elbo(), scores.neg_elbo())


@pytest.mark.parametrize("missing", ["log_p_enc", "log_p_pri", "log_p_dec"])
def test_a_blank_is_said_not_guessed(missing: str) -> None:
    held = {"log_p_enc": ENC, "log_p_pri": PRI, "log_p_dec": DEC}
    del held[missing]
    with pytest.raises(ValueError, match=f"these Scores hold no {missing}; ask the model for it"):
        Scores.from_dict(held).log_weights()


def test_a_dict_and_back() -> None:
    scores = full()
    assert len(scores.to_dict()) == len(fields(Scores)), "the test's record must fill every field"
    assert_equal(Scores.from_dict(scores.to_dict()), scores)
    assert list(Scores(kl=torch.zeros(2, 1)).to_dict()) == ["kl"]


@pytest.mark.parametrize("name", [field.name for field in fields(Scores)])
def test_its_length_is_the_number_of_sentences_whichever_field_is_there(name: str) -> None:
    """A prior alone belongs to no sentence."""
    alone = Scores.from_dict({name: full(sentences=4).to_dict()[name]})
    assert len(alone) == (0 if name.startswith("prior_") else 4)


def test_select_takes_sentences_by_place_or_mask() -> None:
    scores, rows = full(), torch.tensor([2, 0])
    chosen = scores.select(rows)
    for name, tensor in chosen.to_dict().items():
        whole = scores.to_dict()[name]
        by_sample = name in ("log_p_enc", "log_p_pri", "log_p_dec", "z", "codes")
        shared = name.startswith("prior_")
        assert torch.equal(tensor, whole if shared else whole[:, rows] if by_sample else whole[rows]), name
    assert_equal(scores.select(torch.tensor([True, False, True, False])), scores.select(torch.tensor([0, 2])))
    assert len(scores.select(torch.tensor([False] * 4))) == 0


def test_cut_and_joined_it_is_itself() -> None:
    scores = full()
    parts = [scores.select(torch.tensor([row])) for row in range(4)]
    assert_equal(Scores.concatenate(parts), scores)
    assert_equal(Scores.concatenate([scores]), scores)


def test_joined_token_rows_are_padded_with_nothing() -> None:
    narrow, wide = full(2, width=3), full(2, first=2, width=6)
    token = Scores.concatenate([narrow, wide]).log_p_dec_token
    assert token.shape == (4, 6)
    assert torch.equal(token[:2, :3], narrow.log_p_dec_token)
    assert not token[:2, 3:].any()


def test_what_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="nothing to concatenate"):
        Scores.concatenate([])
    with pytest.raises(ValueError, match="fill different fields"):
        Scores.concatenate([full(), Scores(kl=torch.zeros(2, 2))])


def test_saved_and_loaded_to_the_bit(tmp_path: object) -> None:
    """Also views of one memory, and numbers that JSON could not hold."""
    memory = torch.randn(3, 4, dtype=torch.float64)
    memory[0, 0], memory[1, 1] = math.inf, math.nan
    scores = Scores.from_dict(full().to_dict() | {"log_p_enc": memory, "log_p_pri": memory})
    about = {"seed": 3, "corpus": "ä\u2581", "ladder": [1, 10]}
    scores.save(tmp_path / "scores.safetensors", about=about)
    loaded, said = Scores.load(tmp_path / "scores.safetensors")
    assert said == about
    left, right = scores.to_dict(), loaded.to_dict()
    assert left.keys() == right.keys()
    for name in left:
        torch.testing.assert_close(right[name], left[name], rtol=0, atol=0, equal_nan=True)
    scores.save(tmp_path / "bare.safetensors")
    assert Scores.load(tmp_path / "bare.safetensors")[1] == {}


def test_a_file_of_before_a_field_was_there_is_read(tmp_path: Path) -> None:
    """Written by safetensors itself, without log_marginal: the field is blank, and said to be."""
    tensors = full().to_dict()
    del tensors["log_marginal"]
    save_file(tensors, str(tmp_path / "scores.safetensors"), metadata={"about": "{}"})
    loaded, _ = Scores.load(tmp_path / "scores.safetensors")
    assert loaded.log_marginal is None
    assert_equal(loaded, Scores.from_dict(tensors))
    with pytest.raises(ValueError, match="these Scores hold no log_marginal"):
        loaded.need("log_marginal")


def test_detached_it_has_no_graph() -> None:
    kl = torch.zeros(2, 1, requires_grad=True)
    assert not Scores(kl=kl * 2).detach().kl.requires_grad
    assert Scores(kl=kl * 2).to("cpu").kl.requires_grad


def test_samples_and_sentences_are_not_mixed_up() -> None:
    """The shape checker sees that the weights of 3 sentences are not those of 2."""
    with pytest.raises(TypeCheckError):
        Scores(log_p_enc=ENC, log_p_pri=PRI, log_p_dec=DEC[:, :1]).log_weights()


def test_a_rate_is_defined_by_a_density_or_a_closed_form() -> None:
    row = torch.zeros(1, 2)
    assert Scores(kl=torch.zeros(2, 3)).has_rate
    assert Scores(log_p_enc=row, log_p_pri=row).has_rate
    assert not Scores(log_p_pri=row, log_p_dec=row).has_rate
