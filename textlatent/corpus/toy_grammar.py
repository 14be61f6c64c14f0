"""The grammar of a toy language as plain data: factors of the class, slots for words, templates of sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Factors = Mapping[str, Mapping[str, float]]  # factor -> value -> weight


@dataclass(frozen=True)
class Slot:
    """One word of a sentence, drawn from P(word | the factors it depends on).

    Attributes:
        given: names of the factors it depends on; () for a word that depends on none.
        weights: values of those factors, in that order -> word -> weight > 0, normalised where it is used.
    """

    given: tuple[str, ...]
    weights: Mapping[tuple[str, ...], Mapping[str, float]]


@dataclass(frozen=True)
class Template:
    """The skeleton of a sentence, drawn from the templates whose `when` holds, in proportion to `weight`.

    Attributes:
        pattern: words between single spaces; one in capitals is the name of a slot, any other stands for itself.
        weight: > 0.
        when: factor -> the values at which the template may be used; a factor left out may take any.
    """

    pattern: str
    weight: float = 1.0
    when: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def allows(self, values: Mapping[str, str]) -> bool:
        """Whether a class, given as factor -> value, may use this template."""
        return all(values[factor] in allowed for factor, allowed in self.when.items())


def check_grammar(factors: Factors, slots: Mapping[str, Slot], templates: Sequence[Template]) -> None:
    """Nothing; each part of the grammar is sound by itself.

    Raises:
        ValueError: a weight is not positive, a word is empty or holds a space, a name stands for nothing.
    """
    for factor, values in factors.items():
        _check_weights(values, f"factor {factor}")
    _check_weights({t.pattern: t.weight for t in templates}, "the templates")
    for name, slot in slots.items():
        _check_factors(slot.given, f"slot {name}", factors)
        for key, weights in slot.weights.items():
            _check_weights(weights, f"slot {name} at {key}")
            for word in weights:
                if word.split() != [word]:
                    raise ValueError(f"a word holds no space and is not empty, got {word!r} in slot {name}.")
    for template in templates:
        _check_factors(template.when, repr(template.pattern), factors)
        for word in template.pattern.split(" "):
            if not word or (word.isupper() and word not in slots):
                raise ValueError(f"a pattern holds words and names of slots between single spaces, got {word!r}.")


def _check_weights(weights: Mapping[str, float], where: str) -> None:
    if not weights or not all(weight > 0 for weight in weights.values()):
        raise ValueError(f"weights must be > 0, got {dict(weights)} in {where}; leave out what never occurs.")


def _check_factors(given: Iterable[str], where: str, factors: Factors) -> None:
    for factor in given:
        if factor not in factors:
            raise ValueError(f"{where} is given {factor!r}; the factors are {', '.join(factors)}.")
