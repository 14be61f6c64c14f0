"""The best linear code of vectors, in closed form: what a network with hidden layers is to be better than."""

import torch
from jaxtyping import Float
from torch import Tensor


def linear_code(
    train: Float[Tensor, "M n"], rows: Float[Tensor, "N n"], *, latent_size: int, lam: float | None
) -> tuple[Float[Tensor, " N"] | None, Float[Tensor, " N"]]:
    """Rate (nats) and squared error of each row under the best linear encoder and decoder of the training rows.

    With u_i, s_i^2 the eigenvectors and eigenvalues of their covariance, largest first, p_i = u_i . (y - mean), and
    c = 1 / (2 lam), the linear-Gaussian code keeps the first D components that lie above c:

        rate_i = 1/2 (c / s_i^2 + (1 - c / s_i^2) p_i^2 / s_i^2 - 1 + ln(s_i^2 / c)),
        error_i = (c / s_i^2)^2 p_i^2 + c (1 - c / s_i^2);

    over the training rows these are reverse water-filling's 1/2 ln(s_i^2 / c) and c. A component that is left out
    costs p_i^2. Without a channel (lam None) it is principal component analysis: the first D cost nothing.

    Args:
        train: rows the code is made for.
        rows: rows it is used on.
        latent_size: D.
        lam: nats that a unit of squared error costs; None for points, which have no rate.

    Source: THEORY T6c, T6d; Tipping & Bishop 1999, Probabilistic principal component analysis, with sigma^2 = c held.
    """
    known, mean = train.double(), train.double().mean(0)
    covariance = (known - mean).T @ (known - mean) / len(known)
    variance, basis = torch.linalg.eigh(covariance)
    first = variance.argsort(descending=True)
    projected = ((rows.double() - mean) @ basis[:, first]).square()  # p_i^2, [N, n]
    kept, rest = projected[:, :latent_size], projected[:, latent_size:].sum(-1)
    if lam is None:
        return None, rest
    water = 0.5 / lam
    above = variance[first][:latent_size].clamp(min=water)  # below the water, share is 1: no rate, error p^2
    share = water / above
    rate = 0.5 * (share - 1.0 + (1.0 - share) * kept / above - share.log()).sum(-1)
    error = share.square() * kept + water * (1.0 - share)
    return rate, error.sum(-1) + rest
