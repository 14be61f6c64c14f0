"""mutual_information: I(y; z) bounded below and above from Gaussian posteriors, nats per sentence."""

from typing import Any

import evaluate

from textlatent.metrics.columns import column, declare, flat
from textlatent.nats.bounds import information_bounds

_CITATION = """\
@inproceedings{poole2019variational, title={On Variational Bounds of Mutual Information}, author={Poole, Ben and
  Ozair, Sherjil and van den Oord, Aaron and Alemi, Alexander A. and Tucker, George}, booktitle={ICML}, year={2019},
  url={https://arxiv.org/abs/1905.06922}}
"""
_INPUTS = """
Args:
    mean: of the diagonal Gaussian posterior, D numbers a sentence.
    log_variance: natural logarithm of its variance, D numbers a sentence.
    z: one draw of it, D numbers a sentence. The draw, not the mean again.
Returns:
    lower_nats, lower_nats_se: the bound from below and its standard error (a jackknife's), nats per sentence.
    upper_nats, upper_nats_se: the bound from above.
    interval_nats: [lower - 1.96 se, upper + 1.96 se].
    cap_nats: ln(sentences), which the lower bound cannot exceed: near it, add sentences.
    sentences: how many; at least 3.
"""


class MutualInformation(evaluate.Metric):
    """What z says of y, between two bounds (THEORY T6)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Lower and upper bounds on the information between sentences and latents, with its cap.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=declare(vectors=("mean", "log_variance", "z")),
        )

    def _compute(self, *, mean: Any, log_variance: Any, z: Any) -> dict[str, Any]:
        mean, log_variance, z = column(mean, "mean"), column(log_variance, "log_variance"), column(z, "z")
        if not mean.shape == log_variance.shape == z.shape:
            widths = [tensor.shape[1] for tensor in (mean, log_variance, z)]
            raise ValueError(f"mean, log_variance and z must have the same dimensions, got {widths}.")
        found = information_bounds(mean, log_variance, z)
        lower, upper = found.lower, found.upper
        return {
            **flat("lower_nats", lower),
            **flat("upper_nats", upper),
            "interval_nats": [lower.value - 1.96 * lower.se, upper.value + 1.96 * upper.se],
            "cap_nats": found.cap,
            "sentences": found.count,
        }
