"""The importance-weighted bound as a loss."""

from jaxtyping import Float
from torch import Tensor

from textlatent.nats.montecarlo import log_mean_exp


def importance_loss(
    log_p_enc: Float[Tensor, "K B"],
    log_p_pri: Float[Tensor, "K B"],
    log_p_dec: Float[Tensor, "K B"],
    *,
    beta: float = 1.0,
    lam: float = 1.0,
) -> Float[Tensor, " B"]:
    """-ln mean_k exp(-(beta r_k + lam d_k)) per sentence, nats; r_k = ln P_enc / P_pri and d_k = -ln P_dec of draw k.

    At beta = lam = 1 the exponentials are the importance weights and this is the IWAE bound on -ln P(y), falling in K
    in expectation. At K = 1 it is beta times the sampled rate plus lam times the sampled distortion, whatever beta and
    lam. Elsewhere it is the same bound for tempered densities: no bound on -ln P(y), but beta may be scheduled up to 1
    or steered. The gradient is the pathwise one: sum_k of the normalised weights times each draw's own.

    Source: Burda et al. 2016, arXiv:1509.00519, eqs. 8, 13 and 14.
    """
    return -log_mean_exp(beta * (log_p_pri - log_p_enc) + lam * log_p_dec)
