"""importance_nll: -ln P(y) bounded by importance weights, nats per sentence, and whether it has converged."""

from typing import Any

import evaluate

from textlatent.diagnostics.likelihood import LADDER, convergence, importance_ladder
from textlatent.metrics.columns import column, declare, flat

_CITATION = """\
@inproceedings{burda2016importance, title={Importance Weighted Autoencoders}, author={Burda, Yuri and Grosse, Roger and
  Salakhutdinov, Ruslan}, booktitle={ICLR}, year={2016}, url={https://arxiv.org/abs/1509.00519}}
"""
_INPUTS = """
Args:
    log_weights: S numbers a sentence, nats: ln P_pri(z_s) + ln P_dec(y|z_s) - ln P_enc(z_s|y) of S draws z_s ~ enc.
    ladder: the numbers of samples K to report, (1, 10, 100, 500) if not given; S is always the last.
    tolerance: the fall from the last K but one to S that passes for converged, 0.1 nat per sentence if not given.
Returns:
    iw_nll_nats, iw_nll_nats_se: E -ln mean_s w_s at K = S and its standard error, nats per sentence; an upper bound on
        the NLL in expectation.
    neg_elbo_nats, neg_elbo_nats_se: the same at K = 1.
    ladder: [{samples, nats, se}], K rising.
    samples, ess, ess_worst_decile: S, and the effective number of samples: mean, and that of the worst sentence in ten.
    converged, message: whether more samples would lower it by more than `tolerance` (None: not to be said), in words.
    sentences: how many.
"""


class ImportanceNLL(evaluate.Metric):
    """The importance-weighted bound on the NLL (THEORY T3)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Importance-weighted negative log-likelihood in nats per sentence, with its convergence.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=declare(vectors=("log_weights",)),
        )

    def _compute(self, *, log_weights: Any, ladder: Any = LADDER, tolerance: float = 0.1) -> dict[str, Any]:
        weights = column(log_weights, "log_weights").T  # [S, N]
        rows = importance_ladder(weights, ladder=sorted({1, *ladder}))
        asked, last, verdict = {*ladder, len(weights)}, rows[-1], convergence(rows, tolerance=tolerance)
        steps = [(row.samples, flat("nats", row.estimate)) for row in rows if row.samples in asked]
        return {
            **flat("iw_nll_nats", last.estimate),
            **flat("neg_elbo_nats", rows[0].estimate),
            "ladder": [{"samples": k, "nats": step["nats"], "se": step["nats_se"]} for k, step in steps],
            "samples": last.samples,
            "ess": last.ess,
            "ess_worst_decile": last.ess_worst_decile,
            "converged": verdict.converged,
            "message": verdict.message,
            "sentences": last.estimate.count,
        }
