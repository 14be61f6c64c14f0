"""active_units: how many latent dimensions move with the input."""

from typing import Any

import evaluate
import torch

from textlatent.diagnostics.usage import THRESHOLD, active_count, variance_per_dimension
from textlatent.metrics.columns import column, declare, flat

_CITATION = """\
@inproceedings{burda2016importance, title={Importance Weighted Autoencoders}, author={Burda, Yuri and Grosse, Roger and
  Salakhutdinov, Ruslan}, booktitle={ICLR}, year={2016}, url={https://arxiv.org/abs/1509.00519}}
"""
_INPUTS = """
Args:
    mean: the posterior's mean, D numbers a sentence.
    prior_scale: the prior's standard deviation, one number or D of them; 1 if not given.
    threshold: a dimension is active above this variance; 0.01 if not given, which follows the source.
Returns:
    active_units, active_units_se: how many dimensions have Var_y E[z_d|y] / prior_scale_d^2 > threshold, and how far
        other sentences would change that number.
    of: D.
    variances, variances_se: of each dimension, no unit.
    threshold: as used.
    sentences: how many.
"""


class ActiveUnits(evaluate.Metric):
    """The activity statistic A_u of every dimension, and how many lie above the threshold."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="The number of latent dimensions whose mean moves with the input.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=declare(vectors=("mean",)),
        )

    def _compute(self, *, mean: Any, prior_scale: Any = 1.0, threshold: float = THRESHOLD) -> dict[str, Any]:
        scale = torch.as_tensor(prior_scale, dtype=torch.float64)
        variances = variance_per_dimension(column(mean, "mean"), prior_scale=scale)
        return {
            **flat("active_units", active_count(variances, threshold=threshold)),
            "of": len(variances),
            "variances": [v.value for v in variances],
            "variances_se": [v.se for v in variances],
            "threshold": threshold,
            "sentences": variances[0].count,
        }
