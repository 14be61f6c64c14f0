"""The ledger's cells of a held encoder: the three entropies whose sum is -ELBO.

    H(y) = H(z) + H(y|z) - H(z|y) <= H_pri(z) + H_dec(y|z) - H_enc(z|y) = rate + distortion,

for ANY fixed encoder: what its prior and decoder have to learn are two cross-entropies, and H_enc(z|y) is given.
"""

from jaxtyping import Float
from torch import Tensor

from textlatent.diagnostics.cell import Cell, blank, mean_cell
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.scores import Scores

UNDEFINED = "undefined: the encoder gives points, which have no density (THEORY T6d)."


def posterior_entropy(scores: Scores) -> Float[Tensor, " B"] | None:
    """H_enc(z|y) of each sentence, nats: in closed form where the rate is, else from the same draws; None without it.

    A density's entropy may be negative; that of codes, which a sentence has for certain, is 0.
    """
    if scores.kl is not None and scores.posterior_mean is not None and scores.posterior_log_variance is not None:
        return DiagonalGaussian(scores.posterior_mean, scores.posterior_log_variance).entropy()
    return None if scores.log_p_enc is None else -scores.log_p_enc.mean(0) + 0.0


def entropy_cells(scores: Scores) -> dict[str, Cell]:
    """cross_entropy_prior_nats, H_pri(z) = E -ln P_pri(z), and posterior_entropy_nats, H_enc(z|y).

    With distortion_nats, H_dec(y|z), they make -ELBO: H_pri(z) + H_dec(y|z) - H_enc(z|y), exactly.

    Args:
        scores: of one split, float64.

    Source: THEORY T6b.
    """
    entropy = posterior_entropy(scores)
    if not scores.has_rate or entropy is None:
        why = blank("it needs log_p_enc, or the posteriors' variances." if scores.has_rate else UNDEFINED)
        return {"cross_entropy_prior_nats": why, "posterior_entropy_nats": why}
    return {
        "cross_entropy_prior_nats": mean_cell(scores.rate() + entropy, ""),
        "posterior_entropy_nats": mean_cell(entropy, ""),
    }
