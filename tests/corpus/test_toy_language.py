"""Tiny languages, listed sentence by sentence: the oracle is brute force over classes, templates and words."""

import math
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from textlatent.corpus.toy_grammar import Slot, Template
from textlatent.corpus.toy_language import ToyLanguage

FACTORS = {"topic": {"sea": 2, "farm": 1}, "tense": {"past": 3, "present": 2}}
SLOTS = {
    # cows and boats tell the topic; old and new have proportional profiles, child tells nothing.
    "WHO": Slot(("topic",), {("sea",): {"sailor": 2, "child": 1}, ("farm",): {"farmer": 1, "child": 1}}),
    "DID": Slot(
        ("topic", "tense"),
        {
            ("sea", "past"): {"sold": 1, "read": 3},
            ("sea", "present"): {"sells": 1, "read": 1},
            ("farm", "past"): {"sold": 1},
            ("farm", "present"): {"sells": 1},
        },
    ),
    "HOW": Slot((), {(): {"old": 2, "new": 1}}),
}
TEMPLATES = (
    Template("WHO DID boats .", 2),
    Template("HOW WHO DID .", 1, {"tense": ("past",)}),
    Template("who DID ?", 1, {"topic": ("sea",), "tense": ("present", "past")}),
)
TINY = ToyLanguage("tiny", FACTORS, SLOTS, TEMPLATES)


def random_language(seed: int) -> ToyLanguage:
    """Three factors of 2 to 4 values, shared words, random weights, some of them missing."""
    rng = np.random.default_rng(seed)
    factors = {f: {f"{f}{i}": rng.uniform(0.5, 2) for i in range(n)} for f, n in (("a", 4), ("b", 2), ("c", 3))}

    def slot(given: tuple[str, ...], words: str) -> Slot:
        keys = product(*(factors[f] for f in given))
        kept = {key: [w for w in words.split() if rng.random() < 0.6] or words.split()[:1] for key in keys}
        return Slot(given, {key: {word: rng.uniform(0.1, 1) for word in ws} for key, ws in kept.items()})

    slots = {"X": slot(("a", "b"), "p q r s"), "Y": slot(("c",), "t u v"), "Z": slot(("a",), "p t w")}
    templates = (
        Template("X Y Z .", 1.5),
        Template("Y X Z .", 0.7, {"b": ("b0",)}),
        Template("X Z", 0.5, {"a": ("a0", "a2")}),
    )
    return ToyLanguage("random", factors, slots, templates)


LANGUAGES = [TINY, *(random_language(seed) for seed in range(4))]


def enumerate_sentences(language: ToyLanguage) -> dict[str, np.ndarray]:
    """Sentence -> P(sentence, class), one entry per class, by listing everything."""
    classes = list(product(*language.factors.values()))
    table: dict[str, np.ndarray] = {}
    total = math.prod(sum(weights.values()) for weights in language.factors.values())
    for column, values in enumerate(classes):
        value_of = dict(zip(language.factors, values, strict=True))
        p_class = math.prod(language.factors[f][v] for f, v in value_of.items()) / total
        allowed = [t for t in language.templates if all(value_of[f] in vs for f, vs in t.when.items())]
        for template in allowed:
            p_template = template.weight / sum(t.weight for t in allowed)
            choices = []
            for word in template.pattern.split(" "):
                slot = language.slots.get(word)
                weights = slot.weights[tuple(value_of[f] for f in slot.given)] if slot else {word: 1}
                choices.append([(w, weight / sum(weights.values())) for w, weight in weights.items()])
            for words in product(*choices):
                text = " ".join(w for w, _ in words)
                table.setdefault(text, np.zeros(len(classes)))[column] += (
                    p_class * p_template * math.prod(p for _, p in words)
                )
    return table


def entropy(p: np.ndarray) -> float:
    return float(-sum(x * math.log(x) for x in np.ravel(p) if x > 0))


@pytest.mark.parametrize("language", LANGUAGES)
def test_entropy_and_information_are_those_of_the_list(language: ToyLanguage) -> None:
    joint = np.array(list(enumerate_sentences(language).values()))
    h_y, h_class, h_both = entropy(joint.sum(1)), entropy(joint.sum(0)), entropy(joint)
    assert joint.sum() == pytest.approx(1, abs=1e-12)
    assert language.entropy() == pytest.approx(h_y, abs=1e-12)
    assert language.entropy_of_class() == pytest.approx(h_class, abs=1e-12)
    assert language.information() == pytest.approx(h_y + h_class - h_both, abs=1e-12)
    grid = joint.reshape(len(joint), *(len(values) for values in language.factors.values()))
    for axis, factor in enumerate(language.factors, start=1):
        table = grid.sum(tuple({1, 2, 3} - {axis} if grid.ndim == 4 else {1, 2} - {axis}))
        information = entropy(table.sum(1)) + entropy(table.sum(0)) - entropy(table)
        assert language.information(factor) == pytest.approx(information, abs=1e-12)
        assert language.entropy_of_class(factor) == pytest.approx(entropy(table.sum(0)), abs=1e-12)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_has_the_probability_of_the_list(language: ToyLanguage) -> None:
    table = enumerate_sentences(language)
    for text, joint in table.items():
        assert language.log_probability(text) == pytest.approx(math.log(joint.sum()), abs=1e-12)
        np.testing.assert_allclose(language.joint(text).ravel(), joint, atol=1e-15)
        np.testing.assert_allclose(language.class_posterior(text).ravel(), joint / joint.sum(), atol=1e-12)
        assert language.class_posterior(text).sum() == pytest.approx(1, abs=1e-12)
    assert sum(math.exp(language.log_probability(text)) for text in table) == pytest.approx(1, abs=1e-12)
    assert language.support_size() == len(table)
    assert set(language.vocabulary) == {word for text in table for word in text.split(" ")}


@pytest.mark.parametrize("language", LANGUAGES)
def test_entropy_is_information_plus_the_entropy_of_each_class(language: ToyLanguage) -> None:
    """H(y) = I(y; class) + sum_class P(class) H(y | class), the last from the list."""
    joint = np.array(list(enumerate_sentences(language).values()))
    given_class = sum(p * entropy(joint[:, c] / p) for c, p in enumerate(joint.sum(0)))
    assert language.entropy() == pytest.approx(language.information() + given_class, abs=1e-12)


def test_by_hand() -> None:
    """One fair bit of class, told by the noun and only by it; a coin between two adjectives tells nothing."""
    factors = {"topic": {"sea": 1, "farm": 1}}
    slots = {
        "WHO": Slot(("topic",), {("sea",): {"boat": 1}, ("farm",): {"cow": 1}}),
        "HOW": Slot((), {(): {"old": 1, "new": 1}}),
    }
    language = ToyLanguage("hand", factors, slots, (Template("HOW WHO"),))
    assert language.entropy() == pytest.approx(2 * math.log(2), abs=1e-15)
    assert language.information() == pytest.approx(math.log(2), abs=1e-15)
    assert language.log_probability("old boat") == pytest.approx(-2 * math.log(2), abs=1e-15)
    assert language.free_parameters() == 2  # P(sea), P(old)


def test_a_class_too_rare_to_matter_keeps_its_sentences() -> None:
    """Beliefs 1e-13 apart are one row, but never a certain one with an uncertain one: the support would be wrong."""
    factors = {"topic": {"sea": 1.0, "farm": 1e-14}}
    slots = {
        "WHO": Slot(("topic",), {("sea",): {"boat": 1, "child": 1}, ("farm",): {"child": 1}}),
        "DID": Slot(("topic",), {("sea",): {"sank": 1}, ("farm",): {"grew": 1}}),
    }
    language = ToyLanguage("rare", factors, slots, (Template("WHO DID"),))
    assert language.support_size() == len(enumerate_sentences(language)) == 3


@pytest.mark.parametrize(
    "sentence",
    ["", " ", "sailor", "sailor sold boats", "sailor sold boats . .", "sailor  sold boats .", "cow sold boats .",
     "farmer read boats .", "old child sells .", "Sailor sold boats .", "sailor sold boats .\n", "WHO DID boats ."],
)  # fmt: skip
def test_a_sentence_outside_has_no_probability(sentence: str) -> None:
    assert TINY.log_probability(sentence) == -math.inf
    assert TINY.joint(sentence).shape == (2, 2)
    assert not TINY.joint(sentence).any()
    with pytest.raises(ValueError, match=r"only a sentence of the language tiny has a posterior"):
        TINY.class_posterior(sentence)


@pytest.mark.parametrize("language", LANGUAGES)
def test_samples_have_the_probabilities_of_the_list(language: ToyLanguage) -> None:
    """Every count of (sentence, class) within 4.5 of its standard errors, and chi-squared within 4 of its own."""
    n, table = 20_000, enumerate_sentences(language)
    classes = list(product(*language.factors.values()))
    counts = Counter((s.text, tuple(s.labels.values())) for s in language.sample(n, seed=1))
    expected = {(text, c): n * p for text, ps in table.items() for c, p in zip(classes, ps, strict=True) if p > 0}
    assert set(counts) <= set(expected)
    frequent = {key: e for key, e in expected.items() if e >= 10}
    z = np.array([(counts[key] - e) / math.sqrt(e * (1 - e / n)) for key, e in frequent.items()])
    assert len(z) > 10
    assert abs(z).max() < 4.5
    assert abs((z**2).mean() - 1) < 4 * math.sqrt(2 / len(z))


def test_samples_repeat() -> None:
    assert TINY.sample(50, seed=3) == TINY.sample(50, seed=3)
    assert TINY.sample(50, seed=3)[:20] == TINY.sample(20, seed=3)
    assert TINY.sample(50, seed=3) != TINY.sample(50, seed=4)
    assert TINY.sample(1, seed=3)[0].labels.keys() == {"topic", "tense"}


def test_free_parameters_are_counted() -> None:
    """Factors 1 + 1; templates: sea past 2, farm past 1, sea present 1, farm present 0; WHO 1 + 1; DID 1 + 1; HOW 1."""
    assert TINY.free_parameters() == 2 + 4 + 2 + 2 + 1


def test_version_changes_with_a_weight() -> None:
    changed = replace(TINY, factors=FACTORS | {"tense": {"past": 3, "present": 1}})
    assert replace(TINY).version == TINY.version
    assert changed.version != TINY.version


def test_an_unknown_factor_is_named() -> None:
    with pytest.raises(ValueError, match=r"factor must be one of topic, tense, got 'mood'"):
        TINY.information("mood")
    with pytest.raises(ValueError, match=r"factor must be one of topic, tense, got 'mood'"):
        TINY.entropy_of_class("mood")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templates": (Template("WHO .", 1, {"tense": ("past",)}),)}, r"every class needs a template, .*'present'"),
        ({"templates": (*TEMPLATES, Template("child DID boats ."))}, r"not yield the same sentence, 'WHO DID boats \."),
        ({"templates": (*TEMPLATES, Template("WHO DID boats ."))}, r"give them disjoint words at one position"),
        (
            {"slots": SLOTS | {"HOW": Slot(("topic",), {("sea",): {"old": 1}})}},
            r"'HOW WHO DID \.' needs a word for HOW where the class is \('farm', 'past'\)",
        ),
    ],
)
def test_a_grammar_whose_parts_do_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)
