"""sample: draws of the prior, decoded; the same for the same seed."""

import pytest
import torch

from textlatent.nats.noise import PRIOR_DRAW, normal
from textlatent.run.folder import Run
from textlatent.run.sample import sample


def test_a_seed_says_which(trained: Run) -> None:
    one, other = sample(trained, 6, seed=1), sample(str(trained.folder), 6, seed=1)
    assert one == other
    assert len(one) == 6
    assert len(set(one)) > 1
    assert one != sample(trained, 6, seed=2)


def test_the_random_numbers_of_others_do_not_matter(trained: Run) -> None:
    one = sample(trained, 3, seed=1)
    torch.rand(17)
    assert sample(trained, 3, seed=1) == one


def test_z_comes_from_the_prior_and_is_the_same_for_any_count(trained: Run) -> None:
    """Searched for instead of drawn, the words are a function of z: here of mean_p + std_p * noise."""
    model = trained.model_at("final")
    prior = model.prior()
    noise = normal(torch.arange(4), seed=3, shape=(4,), stream=PRIOR_DRAW)[0]
    expected = model.decode(prior.mean + prior.std * noise, do_sample=False)
    assert sample(trained, 4, seed=3, do_sample=False) == expected
    assert sample(trained, 2, seed=3, do_sample=False) == expected[:2]
    assert not torch.equal(prior.mean, torch.zeros(4)), "the prior has learned something"


def test_settings_reach_generate(trained: Run) -> None:
    assert all(len(text.split()) <= 2 for text in sample(trained, 4, max_new_tokens=2))
    beams = sample(trained, 3, num_beams=3)
    assert beams == sample(trained, 3, num_beams=3, do_sample=False)
    cold = sample(trained, 3, temperature=1e-4)
    assert cold == sample(trained, 3, do_sample=False), "the limit of a falling temperature is the likeliest word"


def test_words_are_drawn_beside_beams_where_a_setting_asks_for_it(trained: Run) -> None:
    hot = {"num_beams": 2, "temperature": 50.0}
    assert sample(trained, 4, seed=1, **hot) != sample(trained, 4, seed=1, num_beams=2)
    assert sample(trained, 4, seed=1, **hot) == sample(trained, 4, seed=1, **hot)


def test_a_checkpoint_by_name(trained: Run) -> None:
    assert sample(trained, 4, checkpoint="step-20") != sample(trained, 4, checkpoint="step-40")


def test_faults(trained: Run) -> None:
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        sample(trained, 0)
    with pytest.raises(ValueError, match="has no checkpoint 'newest'; it has"):
        sample(trained, 1, checkpoint="newest")
