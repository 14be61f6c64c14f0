"""Probes on features and sentences whose answer is known: separable, independent, Gaussian with a known optimum."""

import math

import pytest
import torch

from textlatent.diagnostics.probe import Judged, judge, majority, more_accurate, probe_texts, probe_vectors

SIZES = (600, 200, 400)


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def classes_of(size: int, *, seed: int, shares: tuple[float, ...] = (0.6, 0.3, 0.1)) -> torch.Tensor:
    return torch.multinomial(torch.tensor(shares), size, True, generator=torch.Generator().manual_seed(seed))


LABELS = [classes_of(size, seed=seed) for seed, size in enumerate(SIZES)]


def on_vectors(inputs: list[torch.Tensor], labels: list[torch.Tensor], classes: int = 3) -> Judged:
    (a, b, c), (x, y, z) = inputs, labels
    return probe_vectors(a, x, b, y, c, z, classes=classes)


def on_texts(inputs: list[list[str]], labels: list[torch.Tensor], classes: int = 3) -> Judged:
    (a, b, c), (x, y, z) = inputs, labels
    return probe_texts(a, x, b, y, c, z, classes=classes)


def test_the_judge_by_hand() -> None:
    """Four sentences of classes 0 0 1 1, named 0 1 1 1: F1 is 2/3 for class 0 and 4/5 for class 1."""
    p = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]], dtype=torch.float64)
    found = judge(p.log(), torch.tensor([0, 0, 1, 1]), strength=2.0)
    assert found.correct.tolist() == [1, 0, 1, 1]
    assert found.accuracy.value == 0.75
    assert found.accuracy.se == pytest.approx(math.sqrt(0.75 * 0.25 / 3))
    assert found.macro_f1.value == pytest.approx((2 / 3 + 4 / 5) / 2)
    # without each sentence: (0 + 4/5) / 2, (1 + 1) / 2, twice (2/3 + 2/3) / 2
    left_out = torch.tensor([0.4, 1.0, 2 / 3, 2 / 3], dtype=torch.float64)
    assert found.macro_f1.se == pytest.approx(math.sqrt(3 / 4 * (left_out - left_out.mean()).square().sum()))
    assert found.label_nats.value == pytest.approx(-math.log(0.9 * 0.4 * 0.8 * 0.7) / 4)
    assert found.strength == 2.0


def test_macro_f1_is_scikit_learn_s() -> None:
    from sklearn.metrics import f1_score

    truth = LABELS[2]
    log_p = noise(len(truth), 3, seed=3).log_softmax(1)
    expected = f1_score(truth.numpy(), log_p.argmax(1).numpy(), average="macro")
    assert judge(log_p, truth).macro_f1.value == pytest.approx(expected, rel=1e-12)


def test_a_paired_difference_is_mcnemar_s() -> None:
    """3 and 1 of N = 10 sentences are named rightly by one alone: the sum's variance is 3 + 1 - (3 - 1)^2 / N."""
    label = torch.zeros(10, dtype=torch.long)
    right, wrong = torch.tensor([0.9, 0.1]).double().log(), torch.tensor([0.1, 0.9]).double().log()
    one = judge(torch.stack([right] * 9 + [wrong]), label)
    other = judge(torch.stack([right] * 6 + [wrong] * 3 + [right]), label)
    found = more_accurate(one, other)
    assert found.value == pytest.approx(0.2)
    assert found.se == pytest.approx(math.sqrt((4 - 4 / 10) / 9 / 10))


def test_the_majority_has_seen_labels_alone() -> None:
    found = majority(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1, 2]), classes=3)
    assert found.accuracy.value == 0.25
    assert found.label_nats.value == pytest.approx(-math.log(3 / 6 * 2 / 6 * 2 / 6 * 1 / 6) / 4)
    assert found.strength is None


def test_separable_vectors_are_told_apart() -> None:
    """Each class a corner, the noise a tenth of the distance, one dimension constant and one of another unit."""
    inputs = []
    for seed, label in enumerate(LABELS):
        corner = torch.nn.functional.one_hot(label, 3) * 10 + noise(len(label), 3, seed=seed)
        inputs.append(torch.cat([corner * torch.tensor([1.0, 1e-6, 1e6]), torch.ones(len(label), 1)], 1))
    found = on_vectors(inputs, LABELS)
    assert (found.accuracy.value, found.macro_f1.value) == (1.0, 1.0)
    assert 0 < found.label_nats.value < 0.01


def test_independent_vectors_give_the_majority() -> None:
    found = on_vectors([noise(size, 5, seed=10 + size) for size in SIZES], LABELS)
    baseline = majority(LABELS[0], LABELS[2], classes=3)
    difference = more_accurate(found, baseline)
    assert abs(difference.value) <= 3 * max(difference.se, 1e-12)
    assert found.label_nats.value == pytest.approx(baseline.label_nats.value, abs=3 * baseline.label_nats.se)


def test_two_gaussians_give_what_the_best_linear_rule_gives() -> None:
    """N(-1, 1) and N(+1, 1), equally likely: the accuracy is Phi(1), the nats E ln(1 + exp(-2 x)), x ~ N(1, 1)."""
    labels = [classes_of(size, seed=20 + size, shares=(0.5, 0.5)) for size in (4000, 1000, 4000)]
    inputs = [(2.0 * label[:, None] - 1) + noise(len(label), 1, seed=len(label) + i) for i, label in enumerate(labels)]
    found = on_vectors(inputs, labels, classes=2)
    grid = torch.linspace(-9, 11, 20_001, dtype=torch.float64)
    density = torch.exp(-0.5 * (grid - 1).square()) / math.sqrt(2 * math.pi)
    nats = torch.trapezoid(density * torch.nn.functional.softplus(-2 * grid), grid).item()
    accuracy = 0.5 * math.erfc(-1 / math.sqrt(2))
    assert found.accuracy.value == pytest.approx(accuracy, abs=3 * found.accuracy.se)
    assert found.label_nats.value == pytest.approx(nats, abs=3 * found.label_nats.se)


def sentences(labels: torch.Tensor, *, telling: bool, seed: int) -> list[str]:
    """Filler words, among them one that names the class where they are telling."""
    fillers = torch.randint(0, 20, (len(labels), 6), generator=torch.Generator().manual_seed(seed)).tolist()
    names = ["Cat", "dog!", "emu"]
    return [
        " ".join([*(f"w{i}" for i in row), names[c] if telling else "thing"])
        for row, c in zip(fillers, labels.tolist(), strict=True)
    ]


def test_telling_words_are_found_and_filler_is_the_majority() -> None:
    telling = on_texts([sentences(label, telling=True, seed=i) for i, label in enumerate(LABELS)], LABELS)
    assert telling.accuracy.value == 1.0
    filler = on_texts([sentences(label, telling=False, seed=i) for i, label in enumerate(LABELS)], LABELS)
    difference = more_accurate(filler, majority(LABELS[0], LABELS[2], classes=3))
    assert abs(difference.value) <= 3 * max(difference.se, 1e-12)


def test_words_of_the_test_alone_and_empty_sentences_are_no_fault() -> None:
    label = torch.tensor([0, 1])
    found = probe_texts(["yes", "no"], label, ["YES", "no"], label, ["unheard", ""], label, classes=2)
    assert found.label_nats.value == pytest.approx(math.log(2), abs=1e-6)


def test_the_validation_split_chooses_the_ridge() -> None:
    """Eleven sentences in ten dimensions of noise: a weak ridge fits the noise, and is not taken."""
    labels = [classes_of(size, seed=size, shares=(0.5, 0.5)) for size in (11, 200, 200)]
    inputs = [noise(len(label), 10, seed=len(label) + 7 * i) for i, label in enumerate(labels)]
    (a, b, c), (x, y, z) = inputs, labels
    chosen = probe_vectors(a, x, b, y, c, z, classes=2)
    weak = probe_vectors(a, x, b, y, c, z, classes=2, strengths=[100.0])
    assert chosen.strength is not None
    assert chosen.strength < 1 < weak.label_nats.value / chosen.label_nats.value


def test_faults() -> None:
    label, none = torch.tensor([0, 1]), torch.zeros(0, dtype=torch.long)
    x = torch.eye(2)
    with pytest.raises(ValueError, match="no training sentence is of class 2; train on more sentences"):
        probe_vectors(x, label, x, label, x, label, classes=3)
    with pytest.raises(ValueError, match="no training sentence holds a word"):
        probe_texts(["", " "], label, ["a", "b"], label, ["a", "b"], label, classes=2)
    with pytest.raises(ValueError, match="strengths must hold at least one number"):
        probe_vectors(x, label, x, label, x, label, classes=2, strengths=[])
    with pytest.raises(ValueError, match="a mean needs at least one value"):
        judge(torch.zeros(0, 2), none)
