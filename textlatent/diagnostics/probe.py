"""What z retains, measured by using it (THEORY T17): classifiers trained on anything, judged on real sentences.

A probe that says of test sentence i that its class c has probability p_i(c) shows

    H(c) - E[-ln p_i(c_i)] <= I(input; c)    nats, for every probe

(Barber & Agakov 2003), so beside its accuracy each has its nats; those of the majority class are what no input gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.nats.bounds import jackknife_error
from textlatent.nats.montecarlo import Estimate, mean_with_error

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
"""The inverse strengths C of the ridge that `fit` chooses from, the loss being summed over sentences."""
WORD = r"\w+|[^\w\s]"
"""What counts as a word: a run of letters and digits, or one other character; case aside."""


@dataclass(frozen=True)
class Judged:
    """How a classifier did on N test sentences.

    Attributes:
        accuracy: share it names rightly; the error is a binomial's.
        macro_f1: mean over the classes in the test of 2 tp / (2 tp + fp + fn); the error is the jackknife's.
        label_nats: E -ln p(class | input), nats per sentence.
        correct: [N], 1 where it was right.
        strength: the C that the validation split chose; None where there was nothing to choose.
    """

    accuracy: Estimate
    macro_f1: Estimate
    label_nats: Estimate
    correct: Tensor
    strength: float | None


def judge(log_p: Float[Tensor, "N K"], label: Int[Tensor, " N"], *, strength: float | None = None) -> Judged:
    """A classifier's ln p(class | input), nats, against the true classes.

    Raises:
        ValueError: no sentences.
    """
    guess = log_p.argmax(1)
    correct = (guess == label).to(torch.float64)
    nats = mean_with_error(-log_p.gather(1, label[:, None]).squeeze(1))
    return Judged(mean_with_error(correct), _macro_f1(guess, label, classes=log_p.shape[1]), nats, correct, strength)


def more_accurate(one: Judged, other: Judged) -> Estimate:
    """By how much `one` is more accurate than `other` on the same test sentences; the error is the paired differences'.

    Source: McNemar 1947, whose test rests on the same differences.
    """
    return mean_with_error(one.correct - other.correct)


def majority(train: Int[Tensor, " N"], test: Int[Tensor, " M"], *, classes: int) -> Judged:
    """The classifier that has seen no input: its p(class) is the share of the training labels, one added to each."""
    share = torch.bincount(train, minlength=classes).to(torch.float64) + 1.0
    return judge((share / share.sum()).log().expand(len(test), classes), test)


def probe_vectors(
    train: Float[Tensor, "N D"],
    train_label: Int[Tensor, " N"],
    valid: Float[Tensor, "M D"],
    valid_label: Int[Tensor, " M"],
    test: Float[Tensor, "L D"],
    test_label: Int[Tensor, " L"],
    *,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Judged:
    """A linear classifier of vectors, each dimension in units of its standard deviation over the training sentences.

    Args:
        train: what the classifier learns from.
        train_label: every class must be there.
        valid: chooses the strength of the ridge.
        valid_label: its classes.
        test: what it is judged on.
        test_label: its classes.
        classes: K.
        strengths: the inverse strengths to choose from.

    Raises:
        ValueError: a class without a training sentence, or no sentences.
    """
    mean, scale = train.double().mean(0), train.double().std(0)
    scale = torch.where(scale > 0, scale, 1.0)
    inputs = [((part.double() - mean) / scale).numpy() for part in (train, valid, test)]
    return _choose(inputs, (train_label, valid_label, test_label), classes, strengths)


def probe_texts(
    train: Sequence[str],
    train_label: Int[Tensor, " N"],
    valid: Sequence[str],
    valid_label: Int[Tensor, " M"],
    test: Sequence[str],
    test_label: Int[Tensor, " L"],
    *,
    classes: int,
    strengths: Sequence[float] = STRENGTHS,
) -> Judged:
    """A linear classifier of bags of words: 1 + ln count, by inverse document frequency, of norm 1.

    Arguments as in `probe_vectors`, sentences in place of vectors. The words and their frequencies are `train`'s.

    Raises:
        ValueError: a class without a training sentence, no sentences, or no word in any training sentence.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    bag = TfidfVectorizer(token_pattern=WORD, sublinear_tf=True)
    find = bag.build_analyzer()
    if not any(find(text) for text in train):
        raise ValueError("no training sentence holds a word; a bag of words has nothing to learn from.")
    inputs = [bag.fit_transform(train), bag.transform(valid), bag.transform(test)]
    return _choose(inputs, (train_label, valid_label, test_label), classes, strengths)


def _choose(
    inputs: list[Any], labels: tuple[Tensor, Tensor, Tensor], classes: int, strengths: Sequence[float]
) -> Judged:
    """The logistic regression whose ridge gives the validation split the fewest nats, judged on the test split."""
    if missing := sorted(set(range(classes)) - set(labels[0].tolist())):
        raise ValueError(f"no training sentence is of class {missing[0]}; train on more sentences.")
    best = None
    for strength in strengths:
        log_p = _fit(inputs[0], labels[0], strength, classes=classes)
        nats = judge(log_p(inputs[1]), labels[1]).label_nats.value
        if best is None or nats < best[0]:
            best = nats, strength, log_p
    if best is None:
        raise ValueError("strengths must hold at least one number.")
    return judge(best[2](inputs[2]), labels[2], strength=best[1])


def _fit(inputs: Any, label: Tensor, strength: float, *, classes: int) -> Callable[[Any], Tensor]:
    """The map from inputs to ln p(class | input), [N, K], that multinomial logistic regression learns."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=500)
    with warnings.catch_warnings():
        # a fit that is stopped early is a ridge too; whether it serves, the validation split decides
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, label.numpy())

    def log_p(other: Any) -> Tensor:
        logits = torch.from_numpy(model.decision_function(other)).double()
        if classes == 2:  # scikit-learn gives the logit of the second class alone
            logits = torch.stack([torch.zeros_like(logits), logits], 1)
        return logits.log_softmax(1)

    return log_p


def _macro_f1(guess: Int[Tensor, " N"], label: Int[Tensor, " N"], *, classes: int) -> Estimate:
    """Macro F1 over the classes of `label`, and its jackknife error: sentences of one cell of the table leave alike."""
    cell = label * classes + guess
    table = torch.bincount(cell, minlength=classes**2).view(classes, classes).double()  # [true, guessed]
    left_out = torch.zeros(classes**2, dtype=torch.float64)
    for at in cell.unique().tolist():
        without = table.clone()
        without.view(-1)[at] -= 1
        left_out[at] = _f1_of(without)
    return Estimate(_f1_of(table), jackknife_error(left_out[cell]) if len(label) > 1 else float("nan"), len(label))


def _f1_of(table: Float[Tensor, "K K"]) -> float:
    """Mean F1 over the rows of a [true, guessed] table that hold a sentence."""
    right = table.diagonal()
    f1 = 2 * right / (table.sum(0) + table.sum(1)).clamp(min=1.0)
    there = table.sum(1) > 0
    return f1[there].mean().item() if there.any() else 0.0
