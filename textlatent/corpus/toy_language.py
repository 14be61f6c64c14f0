"""Languages whose entropy is known: a class is drawn, then a template, then each word given the class.

    P(y) = sum_class P(class) P(template | class) prod_slot P(word | class)

The sum is a true mixture: words shared by several classes leave the class uncertain. No two templates may yield the
same sentence, so a sentence has one template, and the sum runs over the classes alone.
"""

import functools
import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeVar

import numpy as np
from jaxtyping import Float64
from numpy import ndarray as Array

from textlatent.corpus.toy_beliefs import Beliefs, entropy_of_table
from textlatent.corpus.toy_grammar import Factors, Slot, Template, check_grammar

T = TypeVar("T")


@dataclass(frozen=True)
class ToySentence:
    """A sentence drawn from a language, and the class it was drawn from.

    Attributes:
        text: words between single spaces, the punctuation mark the last of them.
        labels: factor -> value, e.g. topic -> sea.
    """

    text: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class _Skeleton:
    """A template as tables over the C classes: P(class, template), and word -> P(word | class) for each position."""

    joint: Float64[Array, " C"]
    words: tuple[Mapping[str, Float64[Array, " C"]], ...]


@dataclass(frozen=True, eq=False)
class ToyLanguage:
    """A language in which every probability and every entropy is an exact sum in float64; all entropies in nats.

    A class is one value of each factor; the factors are independent before a sentence is seen.

    Attributes:
        name: what the language is called in language.json.
        factors: factor -> value -> weight > 0, e.g. {"tense": {"past": 2, "present": 1}}.
        slots: name in capitals -> slot.
        templates: the skeletons of sentences.

    Raises:
        ValueError: a weight is not positive, a word is not a word, a class has no template or no word where it needs
            one, or two templates can yield the same sentence.
    """

    name: str
    factors: Factors
    slots: Mapping[str, Slot]
    templates: tuple[Template, ...]

    def __post_init__(self) -> None:
        check_grammar(self.factors, self.slots, self.templates)
        _check_templates_disjoint(self.templates, self._skeletons)

    def joint(self, sentence: str) -> Float64[Array, "..."]:
        """P(sentence, class), an array with one axis per factor in their order; zeros outside the language."""
        words = sentence.split(" ")
        total = np.zeros(len(self._classes))
        for skeleton in self._skeletons:
            if len(skeleton.words) == len(words) and all(map(dict.__contains__, skeleton.words, words)):
                rows = [table[word] for table, word in zip(skeleton.words, words, strict=True)]
                total += skeleton.joint * np.prod(rows, axis=0)
        return total.reshape([len(values) for values in self.factors.values()])

    def log_probability(self, sentence: str) -> float:
        """Exact ln P(sentence) in nats; -inf for a sentence outside the language."""
        probability = self.joint(sentence).sum()
        return math.log(probability) if probability > 0 else -math.inf

    def class_posterior(self, sentence: str) -> Float64[Array, "..."]:
        """P(class | sentence), an array with one axis per factor in their order, summing to 1.

        Raises:
            ValueError: the sentence has probability 0, so that it has no posterior.
        """
        joint = self.joint(sentence)
        if joint.sum() == 0:
            raise ValueError(f"only a sentence of the language {self.name} has a posterior, got {sentence!r}.")
        return joint / joint.sum()

    def entropy(self) -> float:
        """H(y) of the sentences, nats."""
        return self._beliefs.entropy()

    def entropy_of_class(self, factor: str | None = None) -> float:
        """H(class), or H of one factor, nats.

        Raises:
            ValueError: no factor has this name.
        """
        return entropy_of_table(self._marginal(self._prior[None], factor)[0])

    def information(self, factor: str | None = None) -> float:
        """I(y; class), or I(y; factor), nats: what a sentence tells about its class.

        Raises:
            ValueError: no factor has this name.
        """
        joint = self._marginal(self._beliefs.joint, factor)
        log_posterior = np.log(joint / joint.sum(1, keepdims=True), where=joint > 0, out=np.zeros_like(joint))
        return self.entropy_of_class(factor) + float((joint * log_posterior).sum())

    def support_size(self) -> int:
        """How many sentences have P > 0."""
        return int(self._beliefs.count.sum())

    def free_parameters(self) -> int:
        """How many numbers the grammar leaves free; maximum likelihood from N sentences costs about this / (2N) nats.

        Source: Wilks 1938: 2N times the divergence from truth to fit is asymptotically chi-squared with that mean.
        """
        classes = [self._values(c) for c in self._classes]
        choices = {tuple(t.allows(values) for t in self.templates) for values in classes}
        used = {word for t in self.templates for word in t.pattern.split(" ")}
        in_slots = sum(len(ws) - 1 for name in used & set(self.slots) for ws in self.slots[name].weights.values())
        return sum(len(f) - 1 for f in self.factors.values()) + sum(sum(c) - 1 for c in choices) + in_slots

    @functools.cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every word of every sentence, sorted."""
        return tuple(sorted({word for skeleton in self._skeletons for table in skeleton.words for word in table}))

    @functools.cached_property
    def version(self) -> str:
        """Twelve hexadecimal digits; they change with any word or weight of the grammar."""
        return hashlib.sha256(repr((self.factors, self.slots, self.templates)).encode()).hexdigest()[:12]

    def sample(self, count: int, *, seed: int) -> list[ToySentence]:
        """Independent draws: class, then template, then words; a function of (count, seed) on every machine.

        Python's own generator, because its `random()` is promised to repeat from version to version.
        """
        rng = random.Random(seed)
        return [self._draw(rng) for _ in range(count)]

    def _draw(self, rng: random.Random) -> ToySentence:
        labels = {factor: _pick(rng, weights) for factor, weights in self.factors.items()}
        pattern = _pick(rng, {t.pattern: t.weight for t in self.templates if t.allows(labels)})
        words = [
            _pick(rng, self.slots[word].weights[tuple(labels[f] for f in self.slots[word].given)])
            if word in self.slots
            else word
            for word in pattern.split(" ")
        ]
        return ToySentence(" ".join(words), labels)

    @functools.cached_property
    def _classes(self) -> tuple[tuple[str, ...], ...]:
        return tuple(product(*self.factors.values()))

    def _values(self, values: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(self.factors, values, strict=True))

    @functools.cached_property
    def _prior(self) -> Float64[Array, " C"]:
        """P(class), the product of the factors' own."""
        factors = [np.array(list(weights.values()), dtype=float) for weights in self.factors.values()]
        return functools.reduce(np.multiply.outer, [weights / weights.sum() for weights in factors]).ravel()

    @functools.cached_property
    def _skeletons(self) -> tuple[_Skeleton, ...]:
        allowed = [[t.weight * t.allows(self._values(c)) for c in self._classes] for t in self.templates]
        weights = np.array(allowed, dtype=float)  # [templates, C]
        if not weights.any(0).all():
            lost = self._classes[int(np.argmin(weights.any(0)))]
            raise ValueError(f"every class needs a template, {lost} has none; widen a template's `when`.")
        tables = {name: self._table(slot) for name, slot in self.slots.items()}
        joints = self._prior * weights / weights.sum(0)
        return tuple(self._skeleton(t, joint, tables) for t, joint in zip(self.templates, joints, strict=True))

    def _skeleton(self, template: Template, joint: Array, tables: Mapping[str, Mapping[str, Array]]) -> _Skeleton:
        """The template's tables, without the words that its classes never use."""
        words = []
        for name in template.pattern.split(" "):
            table = tables.get(name, {name: np.ones(len(joint))})
            empty = (joint > 0) & (sum(table.values()) == 0)
            if empty.any():
                lost = self._classes[int(np.argmax(empty))]
                raise ValueError(f"{template.pattern!r} needs a word for {name} where the class is {lost}.")
            words.append({word: row for word, row in table.items() if (joint * row).any()})
        return _Skeleton(joint, tuple(words))

    def _table(self, slot: Slot) -> dict[str, Float64[Array, " C"]]:
        """P(word | class) [C] for each word; zero throughout where the slot has no words for a class."""
        at_class = [slot.weights.get(tuple(self._values(c)[f] for f in slot.given), {}) for c in self._classes]
        totals = [sum(weights.values()) or 1.0 for weights in at_class]
        words = dict.fromkeys(word for weights in slot.weights.values() for word in weights)
        return {w: np.array([ws.get(w, 0.0) / z for ws, z in zip(at_class, totals, strict=True)]) for w in words}

    @functools.cached_property
    def _beliefs(self) -> Beliefs:
        """The sentences of all templates, those of equal posterior together."""
        return Beliefs.concatenate([Beliefs.start(s.joint).read_all(s.words) for s in self._skeletons])

    def _marginal(self, joint: Float64[Array, "n C"], factor: str | None) -> Float64[Array, "n K"]:
        """The joint with the values of one factor; unchanged where no factor is named."""
        if factor is None:
            return joint
        if factor not in self.factors:
            raise ValueError(f"factor must be one of {', '.join(self.factors)}, got {factor!r}.")
        axis = 1 + list(self.factors).index(factor)
        grid = joint.reshape(len(joint), *(len(values) for values in self.factors.values()))
        return grid.sum(tuple(a for a in range(1, grid.ndim) if a != axis))


def _pick(rng: random.Random, weights: Mapping[T, float]) -> T:
    threshold = rng.random() * math.fsum(weights.values())
    for item, weight in weights.items():
        threshold -= weight
        if threshold < 0:
            return item
    return item


def _check_templates_disjoint(templates: Sequence[Template], skeletons: Sequence[_Skeleton]) -> None:
    """Two templates of one length yield different sentences if at one position they have no word in common."""
    for (first, a), (second, b) in combinations(zip(templates, skeletons, strict=True), 2):
        if len(a.words) == len(b.words) and all(set(u) & set(v) for u, v in zip(a.words, b.words, strict=True)):
            raise ValueError(
                f"two templates may not yield the same sentence, {first.pattern!r} and {second.pattern!r} can;"
                " give them disjoint words at one position."
            )
