"""neighbours: by hand in two dimensions, then a run's against brute force over its training split."""

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.folder import Run
from textlatent.run.neighbours import distances, nearest, neighbours

SENTENCE = "the clever painter painted his portrait ."


def test_distances_by_hand() -> None:
    """From N(0, I) to means (3, 4), variance 1, and (0, 0), variance e^2: sqrt 25 and 0; 25 and e^2 + e^-2 - 2."""
    one = DiagonalGaussian(torch.zeros(2), torch.zeros(2))
    others = DiagonalGaussian(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [2.0, 2.0]]))
    assert distances(one, others).tolist() == [5.0, 0.0]
    wide = torch.tensor(2.0, dtype=torch.float64).cosh().item() * 2 - 2
    assert distances(one, others, distance="kl").tolist() == pytest.approx([25.0, wide])


def test_kl_is_that_of_torch_both_ways() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 6, 3, dtype=torch.float64, generator=generator)
    found = distances(DiagonalGaussian(mean[0], log_variance[0]), DiagonalGaussian(mean, log_variance), distance="kl")
    each = [Independent(Normal(m, (v / 2).exp()), 1) for m, v in zip(mean, log_variance, strict=True)]
    expected = [(kl_divergence(each[0], other) + kl_divergence(other, each[0])).item() for other in each]
    assert found.tolist() == pytest.approx(expected, abs=1e-12)


def test_nearest_keeps_the_order_of_equals() -> None:
    assert nearest(torch.tensor([2.0, 1.0, 3.0, 1.0, 1.0]), 4).tolist() == [1, 3, 4, 0]
    assert nearest(torch.tensor([2.0, 1.0]), 9).tolist() == [1, 0]


@pytest.mark.parametrize("distance", ["mean", "kl"])
def test_a_run_s_are_those_of_brute_force(trained: Run, distance: str) -> None:
    """One pair at a time, in units of the learned prior (its scale is not 1), each sentence once."""
    model, split = trained.model_at("final"), trained.split("train")
    prior, texts = model.prior_distribution(), split.texts(range(len(split)))
    everyone = model.encode([SENTENCE, *texts])
    place = {}
    for i, text in enumerate(texts, start=1):
        if distance == "mean":
            away = ((everyone.mean[i] - everyone.mean[0]) / prior.std).double().norm().item()
        else:
            pair = [Independent(Normal(everyone.mean[j].double(), everyone.std[j].double()), 1) for j in (0, i)]
            away = (kl_divergence(*pair) + kl_divergence(*reversed(pair))).item()
        place.setdefault(text, (away, split.dataset[i - 1]["row"], trained.corpus.label_names[split.label[i - 1]]))
    expected = sorted((away, text, row, label) for text, (away, row, label) in place.items())[:7]
    found = neighbours(trained, SENTENCE, count=7, distance=distance)
    assert [(n.sentence, n.row, n.label) for n in found] == [(text, row, label) for _, text, row, label in expected]
    assert [n.distance for n in found] == pytest.approx([away for away, *_ in expected], rel=1e-3, abs=1e-6)
    assert (prior.std - 1).abs().max() > 0.01


def test_a_sentence_of_the_split_is_its_own_neighbour_and_another_split_can_be_searched(trained: Run) -> None:
    split = trained.split("valid")
    own = split.texts([3])[0]
    found = neighbours(str(trained.folder), own, count=1000, split="valid", checkpoint="step-20")
    assert found[0].sentence == own
    assert found[0].distance == pytest.approx(0, abs=1e-5)
    assert sorted(n.sentence for n in found) == sorted(set(split.texts(range(len(split)))))


def test_faults(trained: Run) -> None:
    with pytest.raises(ValueError, match="distance must be one of mean, kl, got 'cosine'"):
        neighbours(trained, SENTENCE, distance="cosine")
    with pytest.raises(ValueError, match="count must be >= 1, got 0"):
        neighbours(trained, SENTENCE, count=0)
