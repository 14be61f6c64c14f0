"""I(z; class): both bounds by definition, the slow jackknife, by hand, at their limits, and what is refused."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from textlatent.nats.classes import class_information


def draw(count: int, size: int, classes: int, *, seed: int = 0, std: float = 0.5, hard: bool = False) -> list[Tensor]:
    """Posteriors of `count` random sentences, one z of each, and beliefs (or labels) that depend on the mean."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal((count, size))
    log_variance = 2 * math.log(std) + 0.3 * rng.standard_normal((count, size))
    z = mean + np.exp(0.5 * log_variance) * rng.standard_normal((count, size))
    logits = mean @ rng.standard_normal((size, classes)) * 2
    beliefs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    if hard:
        beliefs = np.eye(classes)[[rng.choice(classes, p=row) for row in beliefs]]
    return [torch.from_numpy(x) for x in (mean, log_variance, z, beliefs)]


def direct(mean: Tensor, log_variance: Tensor, z: Tensor, beliefs: Tensor) -> dict[str, float]:
    """Both bounds and I(y; class) by their definitions, sentence by sentence, in numpy (the oracle)."""
    m, v, x, b = mean.numpy(), np.exp(log_variance.numpy()), z.numpy(), beliefs.numpy()
    count, classes = b.shape
    lower = upper = known = 0.0
    for i in range(count):
        density = -0.5 * ((x[i] - m) ** 2 / v + np.log(v)).sum(1)
        weight = np.exp(density - density.max())
        seen = (weight[:, None] * b).sum(0) / weight.sum()
        density[i] = -math.inf
        weight = np.exp(density - density.max())
        unseen = (weight[:, None] * b).sum(0) / weight.sum()
        unseen = ((count - 1) * unseen + 1 / classes) / count
        for c in range(classes):
            if b[i, c] > 0:
                upper += b[i, c] * math.log(seen[c]) / count
                lower += b[i, c] * math.log(unseen[c]) / count
                known += b[i, c] * math.log(b[i, c]) / count
    prior = b.mean(0)
    entropy = -sum(p * math.log(p) for p in prior if p > 0)
    return {"lower": entropy + lower, "upper": entropy + upper, "text": entropy + known}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("std", [1.5, 0.3, 0.01])
@pytest.mark.parametrize("count", [3, 9])
def test_the_bounds_and_their_errors_are_the_definition(count: int, std: float, hard: bool) -> None:
    """The error by leaving each sentence out and starting anew."""
    rows = draw(count, 2, 3, std=std, hard=hard, seed=4)
    information = class_information(*rows, chunk=4)
    kept = [[row for row in range(count) if row != k] for k in range(count)]
    without = [direct(*(x[r] for x in rows)) for r in kept]
    for name, value in direct(*rows).items():
        estimate = getattr(information, name)
        assert estimate.value == pytest.approx(value, abs=1e-9), name
        left = np.array([w[name] for w in without])
        assert estimate.se == pytest.approx(math.sqrt((count - 1) * left.var()), abs=1e-9), name


def test_two_far_classes_by_hand() -> None:
    """Two sentences of each of two classes, classes 1e3 apart: z tells the class, whose entropy is ln 2."""
    mean = torch.tensor([[0.0], [0.0], [1e3], [1e3]], dtype=torch.float64)
    labels = torch.eye(2, dtype=torch.float64)[[0, 0, 1, 1]]
    information = class_information(mean, torch.zeros_like(mean), mean, labels)
    assert information.upper.value == pytest.approx(math.log(2), abs=1e-12)
    assert information.text.value == pytest.approx(math.log(2), abs=1e-12)
    # Of the others one is of the class, and one half of the sentence that is added: 3.5 of 4.
    assert information.lower.value == pytest.approx(math.log(2) + math.log(3.5 / 4), abs=1e-12)


def test_a_label_with_one_sentence_costs_no_more_than_ln_n_c() -> None:
    mean = 1e3 * torch.arange(5, dtype=torch.float64)[:, None]
    labels = torch.eye(5, dtype=torch.float64)
    information = class_information(mean, torch.zeros_like(mean), mean, labels)
    assert information.lower.value == pytest.approx(math.log(5) - math.log(25), abs=1e-12)
    assert information.upper.value == pytest.approx(math.log(5), abs=1e-12)


def test_a_sentence_that_is_lost_among_its_neighbours_keeps_its_share() -> None:
    """Two others are e^50 times likelier at z_0 than sentence 0: what it says of its class drowns in their digits."""
    mean, log_variance = torch.zeros(5, 10, dtype=torch.float64), torch.zeros(5, 10, dtype=torch.float64)
    log_variance[1:3], mean[3:] = -10.0, 40.0
    labels = torch.eye(2, dtype=torch.float64)[[1, 0, 1, 0, 1]]
    rows = (mean, log_variance, mean, labels)
    information = class_information(*rows)
    without = [direct(*(x[[row for row in range(5) if row != k]] for x in rows)) for k in range(5)]
    for name in ("lower", "upper"):
        left = np.array([w[name] for w in without])
        assert getattr(information, name).se == pytest.approx(math.sqrt(4 * left.var()), abs=1e-9), name


@pytest.mark.parametrize("seed", range(20))
def test_data_processing_holds_to_the_digit(seed: int) -> None:
    rows = draw(30, 2, 4, seed=seed, std=(0.01, 0.3, 2.0)[seed % 3], hard=seed % 2 == 0)
    information = class_information(*rows)
    assert information.lower.value <= information.text.value + 1e-12
    assert information.upper.value <= information.text.value + 1e-12


def test_a_collapsed_posterior_knows_no_class() -> None:
    rows = draw(40, 3, 4)
    rows[0], rows[1] = torch.zeros_like(rows[0]), torch.zeros_like(rows[1])
    rows[2] = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    information = class_information(*rows)
    assert information.upper.value == pytest.approx(0.0, abs=1e-12)
    assert -0.1 < information.lower.value < 0
    assert information.text.value > 0.3


def test_the_errors_are_the_spread_over_repeated_draws() -> None:
    repeats = 300
    found = []
    for seed in range(repeats):  # the same maps from sentence to belief in every corpus
        generator = torch.Generator().manual_seed(seed)
        mean, noise = torch.randn(2, 60, 1, generator=generator, dtype=torch.float64)
        beliefs = torch.cat([torch.sigmoid(2 * mean), torch.sigmoid(-2 * mean)], 1)
        found.append(class_information(mean, torch.full_like(mean, 2 * math.log(0.5)), mean + 0.5 * noise, beliefs))
    for name in ("lower", "upper", "text"):
        spread = np.std([getattr(f, name).value for f in found], ddof=1)
        error = math.sqrt(np.mean([getattr(f, name).se ** 2 for f in found]))
        slack = 4 / math.sqrt(2 * repeats)  # the spread's own error; the jackknife may only err upwards
        assert (1 - slack) * spread < error < (1.1 + slack) * spread, name


def test_chunks_and_the_order_of_the_sentences_are_of_no_importance() -> None:
    rows = draw(31, 3, 4)
    order = torch.randperm(31, generator=torch.Generator().manual_seed(1))
    one, other = class_information(*rows), class_information(*(x[order] for x in rows), chunk=5)
    for name in ("lower", "upper", "text"):
        assert getattr(one, name).value == pytest.approx(getattr(other, name).value, abs=1e-12)
        assert getattr(one, name).se == pytest.approx(getattr(other, name).se, abs=1e-12)


def test_faults_are_named() -> None:
    rows = draw(5, 2, 3)
    with pytest.raises(ValueError, match="at least 3, got 2"):
        class_information(*(x[:2] for x in rows))
    with pytest.raises(ValueError, match="each row of beliefs must be >= 0 and sum to 1, got 5 rows"):
        class_information(*rows[:3], 2 * rows[3])
    for at, name in enumerate(("mean", "log_variance", "z", "beliefs")):
        broken = [x.clone() for x in rows]
        broken[at][3, 1] = math.nan
        with pytest.raises(ValueError, match=f"{name} must be finite, got 1 entries"):
            class_information(*broken)
