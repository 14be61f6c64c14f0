"""I(z; class) of a small world in closed form: finitely many sentences, a z of one number, sums and one integral."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy import ndarray as Array
from torch import Tensor

from textlatent.corpus.toy_grammar import Slot, Template
from textlatent.corpus.toy_language import ToyLanguage

# boat and horse tell the topic up to a doubt, old and new nothing, the tense is plain.
TINY = ToyLanguage(
    "tiny",
    {"topic": {"sea": 3, "farm": 2, "school": 1}, "tense": {"past": 2, "present": 1}},
    {
        "WHO": Slot(
            ("topic",),
            {
                ("sea",): {"sailor": 2, "child": 1},
                ("farm",): {"farmer": 2, "child": 1},
                ("school",): {"child": 1},
            },
        ),
        "WHAT": Slot(
            ("topic",),
            {("sea",): {"boat": 3, "book": 1}, ("farm",): {"horse": 1}, ("school",): {"book": 1, "horse": 1}},
        ),
        "DID": Slot(("tense",), {("past",): {"sold": 1}, ("present",): {"sells": 1}}),
        "HOW": Slot((), {(): {"old": 2, "new": 1}}),
    },
    (Template("HOW WHO DID WHAT", 1.0),),
)


@dataclass(frozen=True)
class World:
    """Sentences [n] with P(y) [n] and P(class|y) [n, C], and an encoder N(mean, std^2) of each.

    Attributes:
        sentences: every sentence of the language.
        probability: P(y).
        beliefs: P(topic|y).
        mean: of the encoder, [n].
        std: of the encoder.
    """

    sentences: tuple[str, ...]
    probability: Array
    beliefs: Array
    mean: Array
    std: float

    def prior(self) -> Array:
        """P(class) [C]."""
        return self.probability @ self.beliefs

    def information_of_text(self) -> float:
        """I(y; class) = E sum_c P(c|y) ln P(c|y) / P(c), nats."""
        return _information(self.probability, self.beliefs, self.prior())

    def information_of_latent(self) -> float:
        """I(z; class), nats: P(c|z) = sum_y P(y) N(z; mean_y, std^2) P(c|y) / P(z), integrated over z by trapezoids."""
        z = np.unique(np.concatenate([m + self.std * np.linspace(-9, 9, 2001) for m in np.unique(self.mean)]))
        density = np.exp(-0.5 * ((z[:, None] - self.mean) / self.std) ** 2) / (self.std * np.sqrt(2 * np.pi))
        joint = (density * self.probability) @ self.beliefs  # [grid, C]
        total = joint.sum(1)
        inside = joint * np.log(np.where(joint > 0, joint / np.maximum(total, 1e-300)[:, None] / self.prior(), 1.0))
        height = inside.sum(1)
        return float((np.diff(z) * (height[1:] + height[:-1]) / 2).sum())

    def draw(self, count: int, *, seed: int) -> tuple[list[Tensor], Tensor]:
        """Posteriors, one z each, exact beliefs of `count` sentences; and labels drawn from those beliefs."""
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(self.probability), count, p=self.probability)
        mean = self.mean[rows, None]
        z = mean + self.std * rng.standard_normal(mean.shape)
        beliefs = self.beliefs[rows]
        labels = np.eye(beliefs.shape[1])[[rng.choice(len(row), p=row) for row in beliefs]]
        log_variance = np.full_like(mean, 2 * np.log(self.std))
        return [torch.from_numpy(x) for x in (mean, log_variance, z, beliefs)], torch.from_numpy(labels)


def _information(probability: Array, beliefs: Array, prior: Array) -> float:
    ratio = np.where(beliefs > 0, beliefs / prior, 1.0)
    return float(probability @ (beliefs * np.log(ratio)).sum(1))


def world(code: str, std: float) -> World:
    """TINY and an encoder whose mean is a `code` of the sentence: its place, its belief, its tense, or nothing."""
    choices = [list(dict.fromkeys(w for ws in slot.weights.values() for w in ws)) for slot in TINY.slots.values()]
    who, what, did, how = choices
    joint = {" ".join(words): TINY.joint(" ".join(words)).sum(1) for words in product(how, who, did, what)}
    joint = {text: row for text, row in joint.items() if row.sum() > 0}
    total = np.array([row.sum() for row in joint.values()])
    beliefs = np.array(list(joint.values())) / total[:, None]
    _, group = np.unique(beliefs.round(9), axis=0, return_inverse=True)
    mean = {
        "sentence": np.random.default_rng(0).permutation(len(joint)).astype(float),
        "belief": group.reshape(-1).astype(float),
        "tense": np.array([float("sold" in text) for text in joint]),
        "nothing": np.zeros(len(joint)),
    }[code]
    return World(tuple(joint), total, beliefs, mean, std)
