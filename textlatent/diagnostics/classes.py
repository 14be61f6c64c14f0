"""A latent that is one of K classes: the information it holds of a sentence, and of the sentence's label."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.nats.bounds import InformationBounds
from textlatent.nats.discrete import entropy, mutual_information
from textlatent.nats.draws import LeftOut
from textlatent.scores import Scores


def is_classes(scores: Scores) -> bool:
    """Whether z is a class, one 1 among zeros, so that the posterior's mean is P_enc(k|y) itself."""
    known = scores.posterior_mean is not None and scores.z is not None and scores.codes is not None
    return known and scores.posterior_log_variance is None


def class_bounds(scores: Scores) -> InformationBounds:
    """Bounds on I(y; z) of a class z, nats per sentence, each right in expectation: exact sums over the K classes.

    Lower: mean_i KL(P_enc(k|y_i) || agg), agg the mean over all sentences, i among them. Upper: agg over the others
    alone; the rate (THEORY T6) where that is infinite, a class being one sentence's alone. They differ by about
    (K - 1) / N. The errors are the jackknife's over sentences; the upper one's is taken to be the lower one's.

    Raises:
        ValueError: fewer than three sentences.
    """
    enc = scores.need("posterior_mean").to(torch.float64)
    count = len(enc)
    if count < 3:
        raise ValueError(f"bounds with errors need at least 3 sentences, got {count}.")
    own = torch.xlogy(enc, enc).sum(-1)  # -H(P_enc(k|y_i)), [N]
    others = ((enc.sum(0) - enc) / (count - 1)).clamp(min=0.0)  # [N, K]
    lower = LeftOut(
        (own.mean() + entropy(enc.mean(0))).item(),
        (own.sum() - own) / (count - 1) - torch.xlogy(others, others).sum(-1),
    )
    cross = torch.where(enc > 0.0, enc * others.log(), 0.0).sum(-1)
    left_out = (own - cross).mean().item()
    value = max(lower.value, left_out if math.isfinite(left_out) else scores.rate().mean().item())
    upper = LeftOut(value, lower.left_out + (value - lower.value))
    return InformationBounds(
        lower=lower.plain,
        upper=upper.plain,
        cap=math.log(count),
        count=count,
        lower_left_out=lower.left_out,
        upper_left_out=upper.left_out,
    )


def class_label_table(
    enc: Float[Tensor, "N K"], label: Int[Tensor, " N"], *, labels: int
) -> tuple[Float[Tensor, "K L"], int]:
    """How many sentences of each label each class is expected to hold, and how many sentences have a label.

    Args:
        enc: P_enc(k|y).
        label: of each sentence, -1 for none.
        labels: L.
    """
    known = label >= 0
    table = enc.new_zeros(enc.shape[1], labels, dtype=torch.float64)
    table.index_add_(1, label[known], enc[known].t().to(torch.float64))
    return table, int(known.sum())


def class_label_cell(enc: Float[Tensor, "N K"], label: Int[Tensor, " N"], *, names: list[str]) -> dict[str, Any]:
    """The table of classes by labels, and I(class; label) under its joint distribution, nats.

    The class is drawn from P_enc(k|y), so that soft posteriors count as such; `purity` is the share of sentences that
    the likeliest label of their likeliest class gets right.
    """
    table, count = class_label_table(enc, label, labels=len(names))
    if count == 0:
        return {"value": None, "why": "no sentence has a label; name a column with data.label."}
    joint = table / table.sum()
    hard = torch.zeros_like(table)
    known = label >= 0
    hard.index_put_((enc[known].argmax(-1), label[known]), hard.new_ones(count), accumulate=True)
    of_label, purity = entropy(joint.sum(0)).item(), (hard.amax(1).sum() / count).item()
    return {
        "value": mutual_information(joint).item(),
        "se": None,
        "remark": f"of the label's {of_label:.2f}; its likeliest class names the label of {purity:.1%}",
        "of_label_entropy_nats": of_label,
        "of_class_entropy_nats": entropy(joint.sum(1)).item(),
        "purity": purity,
        "labels": names,
        "expected_sentences": table.tolist(),
        "sentences_by_likeliest_class": hard.long().tolist(),
    }
