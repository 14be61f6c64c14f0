"""I(z; class) on languages whose I(y; class) is exact: never above it, equal to it for the exact posterior.

"The exact posterior" can be two encoders. One sends the belief b(y) = P(class|y) itself through z: b is a sufficient
statistic, P(class|b(y)) = E[P(class|y) | b(y)] = b(y), so I(b; class) = I(y; class). The other draws z ~ b(y), a class,
as a latent-class model's E-step does: then I(y; z) = E KL(b(y) || P(class)) = I(y; class), its rate against P(class),
while I(z; class) is that of two draws from one belief: less, unless the text tells the class for certain.
"""

import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.oracles.classes import TINY, world
from textlatent.corpus.toy_english import english
from textlatent.nats.bounds import information_bounds
from textlatent.nats.classes import class_information

SEEDS, COUNT = 100, 100
ENCODERS = {
    "everything": ("sentence", 0.02),
    "belief": ("belief", 0.02),
    "something": ("sentence", 0.7),
    "a little": ("belief", 3.0),
    "tense": ("tense", 0.05),
    "nothing": ("nothing", 1.0),
}
encoder = pytest.mark.parametrize("name", ENCODERS)


@functools.cache
def repeats(name: str) -> list:
    place = world(*ENCODERS[name])
    return [class_information(*place.draw(COUNT, seed=seed)[0]) for seed in range(SEEDS)]


# The oracle itself.


def test_the_tiny_world_is_the_language() -> None:
    place = world("nothing", 1.0)
    assert place.probability.sum() == pytest.approx(1.0, abs=1e-12)
    assert place.information_of_text() == pytest.approx(TINY.information("topic"), abs=1e-12)
    assert 0.3 < place.information_of_text() < TINY.entropy_of_class("topic") - 0.2, "the text must leave a doubt"


def test_what_the_integral_must_be() -> None:
    """All of I(y; class) for a code of the sentence or of the belief, nothing for a code of the tense or of nothing."""
    truth = {name: world(*code).information_of_latent() for name, code in ENCODERS.items()}
    text = world("nothing", 1.0).information_of_text()
    assert truth["everything"] == pytest.approx(text, abs=1e-6)
    assert truth["belief"] == pytest.approx(text, abs=1e-6)
    assert truth["tense"] == pytest.approx(0.0, abs=1e-6)
    assert truth["nothing"] == pytest.approx(0.0, abs=1e-6)
    assert 0.05 < truth["a little"] < truth["something"] < text - 0.1


# The estimate.


@encoder
def test_it_never_exceeds_what_the_text_tells(name: str) -> None:
    """By no more than 3 standard errors, of 100 corpora, with exact beliefs; nor does it exceed their own ceiling."""
    text = world(*ENCODERS[name]).information_of_text()
    above = 0
    for found in repeats(name):
        for side in (found.lower, found.upper):
            assert side.value <= found.text.value + 1e-12
            above += side.value > text + 3 * max(side.se, found.text.se)
    assert above <= 2  # 3 of 100 beyond 3 standard errors are 1 chance in 2,500


@encoder
def test_it_never_exceeds_it_with_labels_alone(name: str) -> None:
    """The lower bound: its classifier has not seen the label it is judged by."""
    place = world(*ENCODERS[name])
    rows = [place.draw(COUNT, seed=seed) for seed in range(SEEDS)]
    found = [class_information(*posteriors[:3], labels).lower for posteriors, labels in rows]
    assert sum(lower.value > place.information_of_text() + 3 * lower.se for lower in found) <= 2
    values = np.array([lower.value for lower in found])
    assert values.mean() < place.information_of_latent() + 3 * values.std() / math.sqrt(SEEDS)


def test_labels_that_judge_themselves_exceed_it() -> None:
    """What the two tests above must catch: each sentence in its own class's mixture, where z knows the sentence.

    Nearly all sentences of the toy English are different ones, so that each z finds its own label and no other.
    """
    rows, topics = topic_rows("everything", 0.01)
    found = class_information(*rows[:3], topics)
    assert found.upper.value > english().information("topic") + 3 * found.upper.se
    assert found.lower.value < english().information("topic")


@encoder
def test_the_bounds_enclose_the_integral(name: str) -> None:
    """On average over corpora; H(class) itself is low by (C - 1) / 2N."""
    truth = world(*ENCODERS[name]).information_of_latent()
    lower, upper = (np.array([getattr(found, side).value for found in repeats(name)]) for side in ("lower", "upper"))
    slack = 3 / math.sqrt(SEEDS)
    assert lower.mean() < truth + slack * lower.std() + 1e-12
    assert upper.mean() > truth - slack * upper.std() - (len(TINY.factors["topic"]) - 1) / (2 * COUNT)


@encoder
def test_the_intervals_cover_the_integral(name: str) -> None:
    truth = world(*ENCODERS[name]).information_of_latent()
    covered = sum(
        f.lower.value - 1.96 * f.lower.se <= truth <= f.upper.value + 1.96 * f.upper.se + 1e-12 for f in repeats(name)
    )
    assert covered >= 90


def test_the_exact_posterior_s_belief_is_worth_the_whole_text() -> None:
    """Within 3 standard errors, from both sides, and though z has forgotten which sentence it was."""
    place = world("belief", 0.02)
    posteriors, _ = place.draw(1500, seed=1)
    found = class_information(*posteriors)
    for side in (found.lower, found.upper):
        assert abs(side.value - place.information_of_text()) < 3 * side.se
    assert information_bounds(*posteriors[:3]).upper.value < TINY.entropy() - 0.5


def test_a_class_drawn_from_the_exact_posterior_by_enumeration() -> None:
    """z ~ P(class|y): I(y; z) is I(y; class) to the digit, I(z; class) less."""
    place = world("nothing", 1.0)
    p, b = place.probability, place.beliefs
    assert (p @ b) == pytest.approx(place.prior())
    ratio = np.where(b > 0, b / (p @ b), 1.0)
    assert p @ (b * np.log(ratio)).sum(1) == pytest.approx(TINY.information("topic"), abs=1e-12)
    table = np.einsum("y,yz,yc->zc", p, b, b)
    outer = np.outer(table.sum(1), table.sum(0))
    assert 0 < (table * np.log(np.where(table > 0, table / outer, 1.0))).sum() < TINY.information("topic") - 0.1


# The toy English of data/.


@functools.cache
def sentences() -> tuple[list[str], list[str]]:
    drawn = english().sample(500, seed=11)
    return [s.text for s in drawn], [s.labels["topic"] for s in drawn]


@functools.cache
def beliefs_of(factor: str) -> np.ndarray:
    axis = list(english().factors).index(factor)
    posteriors = np.array([english().class_posterior(text) for text in sentences()[0]])
    return posteriors.sum(tuple(a + 1 for a in range(posteriors.ndim - 1) if a != axis))


def topic_rows(code: str, std: float, factor: str = "topic") -> tuple[list[Tensor], Tensor]:
    """Posteriors, z and beliefs of the drawn sentences; and their topics as labels."""
    rng = np.random.default_rng(3)
    texts, topics = sentences()
    places = {text: rng.standard_normal(8) for text in dict.fromkeys(texts)}
    mean = {
        "everything": np.array([places[text] for text in texts]),
        "belief": beliefs_of(factor),
        "tense": beliefs_of("tense"),
        "nothing": np.zeros((len(texts), 2)),
    }[code]
    z = mean + std * rng.standard_normal(mean.shape)
    names = list(english().factors["topic"])
    labels = np.eye(len(names))[[names.index(topic) for topic in topics]]
    rows = (mean, np.full_like(mean, 2 * math.log(std)), z, beliefs_of(factor))
    return [torch.from_numpy(x) for x in rows], torch.from_numpy(labels)


@pytest.mark.parametrize("factor", ["topic", "tense", "number", "mood"])
def test_english_belief_codes_know_what_the_sentence_knows(factor: str) -> None:
    """The exact posterior, nearly noiseless: I(y; factor) within 3 standard errors from both sides."""
    rows, _ = topic_rows("belief", 0.02, factor)
    found, exact = class_information(*rows), english().information(factor)
    assert abs(found.upper.value - exact) < 3 * found.upper.se + 1e-9
    assert found.lower.value < exact + 3 * found.lower.se
    # The sentence of any class that the lower bound adds costs about C / N.
    assert found.lower.value > exact - 3 * found.lower.se - 2 * rows[3].shape[1] / len(rows[3])


@pytest.mark.parametrize(("code", "std"), [("everything", 0.01), ("belief", 0.3), ("tense", 0.05), ("nothing", 1.0)])
def test_english_never_exceeds_the_exact_information(code: str, std: float) -> None:
    rows, labels = topic_rows(code, std)
    found, exact = class_information(*rows), english().information("topic")
    for side in (found.lower, found.upper):
        assert side.value <= exact + 3 * found.text.se
    assert class_information(*rows[:3], labels).lower.value <= exact + 3 * found.text.se
    if code == "everything":  # no two sentences alike: all of it, if the sentence itself is asked; else none
        assert found.upper.value == pytest.approx(found.text.value, abs=0.02)
    if code in ("tense", "nothing"):
        assert found.lower.value < 3 * found.lower.se
        assert found.upper.value < 0.1
    if code == "belief":
        assert 0.3 < found.lower.value < found.upper.value < exact - 0.1


def test_english_the_rate_of_the_exact_posterior_is_the_information() -> None:
    """z ~ P(topic|y): its rate against P(topic), averaged over sentences, is I(y; topic); I(z; topic) is less."""
    b = beliefs_of("topic")
    weights = np.array(list(english().factors["topic"].values()), dtype=float)
    prior = weights / weights.sum()
    rate = (b * np.log(np.where(b > 0, b / prior, 1.0))).sum(1)
    assert abs(rate.mean() - english().information("topic")) < 3 * rate.std() / math.sqrt(len(rate))
    table = np.einsum("nz,nc->zc", b, b) / len(b)
    outer = np.outer(table.sum(1), table.sum(0))
    assert (table * np.log(np.where(table > 0, table / outer, 1.0))).sum() < english().information("topic") - 0.1


def test_the_tests_can_fail() -> None:
    """A z that is told the label by other ways than the text exceeds what the text tells."""
    _, labels = topic_rows("nothing", 1.0)
    z = labels + 0.01 * torch.randn(labels.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = class_information(labels, torch.full_like(labels, 2 * math.log(0.01)), z, labels)
    assert found.lower.value > english().information("topic") + 3 * found.lower.se
