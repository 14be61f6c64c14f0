"""T17: what z retains, measured by using it."""

import itertools
import math

import torch
from torch import Tensor

from textlatent.diagnostics.probe import majority, probe_texts, probe_vectors
from textlatent.theory.example import gauss_hermite
from textlatent.theory.row import Check, Row

_COUNT = 4000
_WORDS = {0: (0.6, 0.3, 0.1), 1: (0.1, 0.3, 0.6)}  # P(word | class) of a sentence of 5 words


def what_z_retains() -> Row:
    """T17."""
    random = torch.Generator().manual_seed(0)
    label = [torch.arange(_COUNT) % 2 for _ in range(3)]
    noise = [torch.randn(_COUNT, 2, generator=random, dtype=torch.float64) for _ in range(3)]
    knows = [n + torch.stack([2.0 * y - 1.0, 0.0 * y], 1) for n, y in zip(noise, label, strict=True)]
    heard = probe_vectors(knows[0], label[0], knows[1], label[1], knows[2], label[2], classes=2)
    deaf = probe_vectors(noise[0], label[0], noise[1], label[1], noise[2], label[2], classes=2)
    guess = majority(label[0], label[2], classes=2)
    texts = [_sentences(y, random) for y in label]
    read = probe_texts(texts[0], label[0], texts[1], label[1], texts[2], label[2], classes=2)
    bayes, information = 0.5 * (1.0 + math.erf(1.0 / math.sqrt(2.0))), _information()
    return Row(
        "T17",
        "What z retains is measured by using it",
        "Train a classifier on latents (or on reconstructions, or on samples) and test it on real labelled sentences. "
        "Its accuracy says what $z$ still knows of the label, and its cross-entropy bounds the information from below. "
        "A $z$ that has lost the label leaves it at the majority class.",
        r"H(c) - E [ -\ln p(c|z) ] \leq I(z; c)",
        (
            Check(
                r"accuracy on $z \sim N(\pm 1, 1)$, 4,000 test sentences",
                heard.accuracy.value,
                r"Bayes: $\Phi(1)$; 4 standard errors",
                bayes,
                tolerance=4 * heard.accuracy.se,
                unit="share",
            ),
            Check(
                "its nats about the label",
                math.log(2.0) - heard.label_nats.value,
                r"$I(z; c)$ by quadrature; 4 standard errors",
                information,
                tolerance=4 * heard.label_nats.se,
            ),
            Check(
                "accuracy on a $z$ without the label",
                deaf.accuracy.value,
                "majority: 1/2",
                guess.accuracy.value,
                tolerance=4 * deaf.accuracy.se,
                unit="share",
            ),
            Check(
                "accuracy on texts of 5 words",
                read.accuracy.value,
                "Bayes over all 243 texts; 4 standard errors",
                _best_reader(),
                tolerance=4 * read.accuracy.se,
                unit="share",
            ),
        ),
    )


def _information() -> float:
    """I(z; c) of a fair label and z ~ N(+-1, 1), nats: ln 2 - E ln(1 + e^(-2z)), z ~ N(1, 1)."""
    unit, log_weight = gauss_hermite(100)
    return math.log(2.0) - float(log_weight.exp() @ torch.nn.functional.softplus(-2.0 * (unit + 1.0)))


def _sentences(label: Tensor, random: torch.Generator) -> list[str]:
    chance = torch.tensor([_WORDS[0], _WORDS[1]])[label]
    drawn = torch.multinomial(chance, 5, replacement=True, generator=random)
    return [" ".join("red green blue".split()[w] for w in row) for row in drawn.tolist()]


def _best_reader() -> float:
    """The accuracy of Bayes' rule over all 3^5 texts."""
    both = [[math.prod(_WORDS[c][w] for w in text) for text in itertools.product(range(3), repeat=5)] for c in (0, 1)]
    return 0.5 * math.fsum(max(pair) for pair in zip(*both, strict=True))
