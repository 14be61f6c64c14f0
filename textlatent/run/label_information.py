"""I(z; label): what z knows of a label, nats, from the posteriors of the sentences that a probe is tested on (T17)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.corpus.toy import ToyLanguage, language_of
from textlatent.diagnostics.cell import Cell, blank, cell
from textlatent.diagnostics.codes import code_label_information
from textlatent.encoder.codes import SentenceCodes
from textlatent.nats.classes import class_information
from textlatent.nats.draws import drawn_entropy
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.nats.montecarlo import Estimate
from textlatent.run.recipes import locate

MOST = 4_000
"""Sentences judged by each other: time and memory grow with their square."""
POINT = "z is a point, a function of the sentence without density: only a classifier can say what it tells."


@dataclass(frozen=True)
class Known:
    """A label whose probability given a sentence is exact: a factor of a toy language.

    Attributes:
        language: the language.
        factor: whose values are the label's.
        names: the label's values, in the order of the columns of `beliefs`.
    """

    language: ToyLanguage
    factor: str
    names: tuple[str, ...]

    @property
    def information(self) -> float:
        """I(y; label), nats: no z can know more."""
        return self.language.information(self.factor)

    def beliefs(self, sentences: Sequence[str]) -> Float[Tensor, "N C"] | None:
        """P(label | y) of each sentence; None where one is not of the language, or has a label of no name."""
        axis = list(self.language.factors).index(self.factor)
        values = list(self.language.factors[self.factor])
        order = [values.index(name) for name in self.names]
        rows = []
        for sentence in sentences:
            joint = self.language.joint(sentence)
            row = joint.sum(tuple(i for i in range(joint.ndim) if i != axis))[order]
            if not joint.sum() > 0 or not math.isclose(row.sum(), joint.sum()):
                return None
            rows.append(torch.from_numpy(row / row.sum()))
        return torch.stack(rows)


@dataclass(frozen=True)
class LabelInformation:
    """What z knows of the label, beside what there is to know; nats.

    Attributes:
        lower: I(z; label) from below; of codes, of the position that tells most. None where there is none.
        upper: I(z; label) from above; None but where P(label|y) is exact.
        label: H(label) of the same sentences.
        text: I(y; label), exact; None where it is not known.
        sentences: how many it rests on.
        position: of codes, which one.
        why: where `lower` is None, the reason.
    """

    lower: Estimate | None
    upper: Estimate | None
    label: Estimate
    text: float | None
    sentences: int
    position: int | None = None
    why: str = ""

    def to_dict(self) -> dict[str, Cell | int | None]:
        """As probe.json holds it."""
        cells = {
            "information_nats": blank(self.why) if self.lower is None else cell(self.lower),
            "upper_nats": None if self.upper is None else cell(self.upper),
            "label_entropy_nats": cell(self.label),
            "text_information_nats": None if self.text is None else {"value": self.text, "exact": True},
        }
        return {**cells, "sentences": self.sentences, "position": self.position}


def known_label(path: str | Path | None, column: str, names: Sequence[str]) -> Known | None:
    """The factor of a toy language that a corpus's column holds; None for any other corpus or column.

    Args:
        path: of the corpus, as the recipe has it.
        column: the label's.
        names: the label's values.
    """
    language = None if path is None else language_of(locate(str(path)))
    if language is None or not set(names) <= set(language.factors.get(column, ())):
        return None
    return Known(language, column, tuple(names))


def label_information(
    posterior: Mapping[str, Any],
    label: Mapping[str, Int[Tensor, " N"]],
    *,
    classes: int,
    z: Float[Tensor, "N D"] | None = None,
    known: Known | None = None,
    texts: Sequence[str] = (),
) -> LabelInformation:
    """I(z; label) of the test sentences, as nearly as their posteriors tell; the first MOST of them.

    Of densities: the bounds of nats/classes.py, z drawn. With labels alone only the lower one bounds anything below
    H(label). Of codes: I(k_p; label) of one position p, the one that tells most of the validation sentences, with the
    bias of order 1/N taken away; all positions together tell no less.

    Args:
        posterior: of "valid" and "test", what the model's `encode` gives.
        label: of "valid" and "test".
        classes: how many labels there are.
        z: a draw of each posterior of the test sentences, where they have a density.
        known: where P(label|y) is exact; sentences of no such language are judged by their labels.
        texts: of the test sentences, for `known`.
    """
    found, test = posterior["test"], label["test"][:MOST]
    count = len(test)
    beliefs = None if known is None else known.beliefs(texts[:count])
    text = known.information if known is not None and beliefs is not None else None
    entropy = drawn_entropy(test[:, None]).plain
    if min(count, len(label["valid"])) < 3:
        why = f"it needs at least 3 sentences to validate and to test on, got {len(label['valid'])} and {count}."
        return LabelInformation(None, None, entropy, text, count, why=why)
    if isinstance(found, SentenceCodes):
        best, each = _of_codes(posterior, label, count)
        return LabelInformation(each, None, entropy, text, count, best)
    if not isinstance(found, DiagonalGaussian) or z is None:
        return LabelInformation(None, None, entropy, text, count, why=POINT)
    drawn = torch.nn.functional.one_hot(test, classes).double() if beliefs is None else beliefs
    bounds = class_information(found.mean[:count], found.log_variance[:count], z[:count], drawn)
    return LabelInformation(bounds.lower, None if beliefs is None else bounds.upper, entropy, text, count)


def _of_codes(posterior: Mapping[str, Any], label: Mapping[str, Int[Tensor, " N"]], count: int) -> tuple[int, Estimate]:
    """The position chosen by the validation sentences, and what its code tells of the label of the test sentences."""
    chosen = code_label_information(posterior["valid"].codes, label["valid"])[0]
    best = max(range(len(chosen)), key=lambda p: chosen[p].value)
    return best, code_label_information(posterior["test"].codes[:count], label["test"][:count])[0][best]
