"""The toy English: its nats against Monte Carlo means, its grammar against rules written down here."""

import math

import numpy as np
import pytest

from textlatent.corpus.toy_english import IDLE_VERBS, TOPICS, english
from textlatent.corpus.toy_language import ToySentence

SAMPLES = 20_000
MARKS = {"statement": ".", "question": "?", "exclamation": "!"}
SINGULAR_ONLY, PLURAL_ONLY = {"his", "her", "does", "is", "was"}, {"their", "do", "are", "were"}
TENSE_OF = {
    "past": {"did", "was", "were", "yesterday", "recently", "once"},
    "present": {"does", "do", "is", "are", "now", "often", "sometimes"},
    "future": {"will", "tomorrow", "soon", "someday"},
}


@pytest.fixture(scope="module")
def sample() -> list[ToySentence]:
    return english().sample(SAMPLES, seed=11)


def within_three_errors(x: np.ndarray, expected: float) -> bool:
    return bool(abs(x.mean() - expected) < 3 * x.std(ddof=1) / math.sqrt(len(x)))


def test_entropy_is_the_mean_surprise(sample: list[ToySentence]) -> None:
    surprise = np.array([-english().log_probability(s.text) for s in sample])
    assert within_three_errors(surprise, english().entropy())
    assert surprise.std() / math.sqrt(SAMPLES) < 0.02


@pytest.mark.parametrize("factor", [None, "topic", "tense"])
def test_information_is_the_mean_log_ratio(sample: list[ToySentence], factor: str | None) -> None:
    """I(y; class) = E ln P(class | y) / P(class), over sentences and the classes they were drawn from."""
    language = english()
    names = list(language.factors)
    others = tuple(axis for axis, name in enumerate(names) if factor not in (None, name))
    prior = np.ones(())
    for weights in language.factors.values():
        prior = np.multiply.outer(prior, np.array(list(weights.values())) / sum(weights.values()))
    ratios = []
    for sentence in sample:
        at = [list(language.factors[name]).index(sentence.labels[name]) for name in names if factor in (None, name)]
        posterior = language.class_posterior(sentence.text).sum(others)
        ratios.append(math.log(posterior[tuple(at)] / prior.sum(others)[tuple(at)]))
    assert within_three_errors(np.array(ratios), language.information(factor))


def test_number_and_mood_are_always_told_and_topic_and_tense_are_not() -> None:
    language = english()
    for factor in ("number", "mood"):
        assert language.information(factor) == pytest.approx(language.entropy_of_class(factor), abs=1e-10)
    assert language.entropy_of_class("topic") - language.information("topic") > 0.1
    assert language.entropy_of_class("tense") - language.information("tense") > 0.001
    assert language.class_posterior("the child laughed .").max() < 0.3


def test_the_language_is_of_the_size_asked_for() -> None:
    language = english()
    assert 13 < language.entropy() < 18
    assert 4 < language.information() < 4.6
    assert 150 <= len(language.vocabulary) <= 250
    assert language.free_parameters() / (2 * 16_000) < 0.1


def test_a_sentence_is_4_to_12_lower_case_words_between_single_spaces(sample: list[ToySentence]) -> None:
    for text in (s.text for s in sample):
        assert 4 <= len(text.split()) <= 12
        assert " ".join(text.split()) == text == text.lower()
        assert text[-2:] in {" .", " ?", " !"}
        assert text[:-2].replace(" ", "").isalpha()


def test_tense_number_and_mood_agree(sample: list[ToySentence]) -> None:
    for sentence in sample:
        words, labels = set(sentence.text.split()), sentence.labels
        assert sentence.text.endswith(MARKS[labels["mood"]])
        assert not words & (PLURAL_ONLY if labels["number"] == "singular" else SINGULAR_ONLY), sentence
        for tense, told in TENSE_OF.items():
            assert tense == labels["tense"] or not words & told, sentence


def test_the_verb_of_a_present_sentence_agrees_with_its_subject(sample: list[ToySentence]) -> None:
    """Outside questions: he copies, washes, paints, is; they copy, wash, paint, are."""
    verbs = {verb for topic in TOPICS.values() for verb in topic.verbs.split()} | set(IDLE_VERBS.split())
    plural = verbs | {"are"}
    singular = {"copies", "washes", "is"} | {verb + "s" for verb in verbs - {"copy", "wash"}}
    present = [s for s in sample if s.labels["tense"] == "present" and s.labels["mood"] != "question"]
    for sentence in present:
        words = set(sentence.text.split())
        found = len(words & singular), len(words & plural)
        assert found == ((1, 0) if sentence.labels["number"] == "singular" else (0, 1)), sentence
    assert len(present) > 1000


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("the old sailor repaired his boat yesterday .", True),
        ("will the clever pupils read their book tomorrow ?", True),
        ("how proudly the dragon guards her treasure !", True),
        ("the fishermen sold the fish .", False),  # fish is no object of the sea
        ("the old sailor repaired their boat yesterday .", False),
        ("the old sailors repairs the boat .", False),
        ("will the clever pupils read their book yesterday ?", False),
        ("the thiefs hid the crown .", False),
        ("the old sailor repaired his boat yesterday", False),
    ],
)
def test_what_is_english_and_what_is_not(text: str, inside: bool) -> None:
    assert math.isfinite(english().log_probability(text)) == inside
