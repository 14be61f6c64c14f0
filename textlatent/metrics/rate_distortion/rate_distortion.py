"""rate_distortion: rate, distortion and -ELBO with their standard errors, nats per sentence."""

from typing import Any

import evaluate

from textlatent.metrics.columns import column, declare, flat
from textlatent.nats.montecarlo import mean_with_error

_CITATION = """\
@inproceedings{kingma2014auto, title={Auto-Encoding Variational Bayes}, author={Kingma, Diederik P. and Welling, Max},
  booktitle={ICLR}, year={2014}, url={https://arxiv.org/abs/1312.6114}}
@inproceedings{alemi2018fixing, title={Fixing a Broken {ELBO}}, author={Alemi, Alexander and Poole, Ben and Fischer, Ian
  and Dillon, Joshua and Saurous, Rif A. and Murphy, Kevin}, booktitle={ICML}, year={2018},
  url={https://arxiv.org/abs/1711.00464}}
"""
_INPUTS = """
Args:
    rate: KL(enc || pri), or the mean of ln P_enc(z|y) - ln P_pri(z) over samples, one number a sentence, nats.
        Not weighted by beta, not floored, not divided by tokens.
    distortion: -ln P_dec(y|z), summed over the sentence's tokens, one number a sentence, nats.
Returns:
    rate_nats, distortion_nats, neg_elbo_nats: means over sentences, nats, each with its standard error in NAME_se
        (None for one sentence). That of neg_elbo_nats is of the sums: rate and distortion vary together.
    sentences: how many.
"""


class RateDistortion(evaluate.Metric):
    """The two halves of the -ELBO, always at beta = lam = 1 (THEORY T1)."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Rate, distortion and their sum, the -ELBO, in nats per sentence, with standard errors.",
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=declare(numbers=("rate", "distortion")),
        )

    def _compute(self, *, rate: Any, distortion: Any) -> dict[str, Any]:
        rate, distortion = column(rate, "rate"), column(distortion, "distortion")
        return {
            **flat("rate_nats", mean_with_error(rate)),
            **flat("distortion_nats", mean_with_error(distortion)),
            **flat("neg_elbo_nats", mean_with_error(rate + distortion)),
            "sentences": len(rate),
        }
