"""A linear-Gaussian VAE in numpy alone: every nat of its ledger in closed form, and records drawn from it.

    y ~ N(m_y, C_y) of M numbers     z ~ N(m_p, diag v_p), y|z ~ N(W z + b, s^2 I)     enc: N(A y + c, diag v)

The world that y comes from need not be the model's own N(W m_p + b, W diag(v_p) W^T + s^2 I): then NLL is a
cross-entropy and the aggregate is not the prior. All means are over y, nats per sentence.
"""

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy import ndarray as Array

from textlatent.scores import Scores

LOG_TWO_PI = math.log(2.0 * math.pi)


def log_det(matrix: Array) -> float:
    """ln of the determinant of a positive definite matrix."""
    sign, value = np.linalg.slogdet(matrix)
    assert sign > 0
    return float(value)


def gaussian_kl(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """KL(N(mean, covariance) || N(other...)), nats, for full covariances."""
    precision, shift = np.linalg.inv(other_covariance), mean - other_mean
    trace = np.trace(precision @ covariance) + shift @ precision @ shift - len(mean)
    return 0.5 * float(trace + log_det(other_covariance) - log_det(covariance))


def log_diagonal(x: Array, mean: Array, variance: Array) -> Array:
    """ln N(x; mean, diag variance), nats, summed over the last axis."""
    return -0.5 * ((x - mean) ** 2 / variance + np.log(variance) + LOG_TWO_PI).sum(-1)


@dataclass(frozen=True)
class LinearGaussian:
    """The three models and the world that y comes from.

    Attributes:
        weight: W [M, D].
        bias: b [M].
        noise: s.
        slope: A [D, M].
        offset: c [D].
        variance: v [D], of the encoder.
        prior_mean: m_p [D].
        prior_variance: v_p [D].
        world_mean: m_y [M].
        world_covariance: C_y [M, M].
    """

    weight: Array
    bias: Array
    noise: float
    slope: Array
    offset: Array
    variance: Array
    prior_mean: Array
    prior_variance: Array
    world_mean: Array
    world_covariance: Array

    def marginal(self) -> tuple[Array, Array]:
        """Mean and covariance of the model's own P(y)."""
        covariance = (self.weight * self.prior_variance) @ self.weight.T
        return self.weight @ self.prior_mean + self.bias, covariance + self.noise**2 * np.eye(len(self.bias))

    def posterior(self) -> tuple[Array, Array, Array]:
        """Bayes' own encoder: its slope [D, M], offset [D] and full covariance [D, D]."""
        precision = np.diag(1 / self.prior_variance) + self.weight.T @ self.weight / self.noise**2
        covariance = np.linalg.inv(precision)
        slope = covariance @ self.weight.T / self.noise**2
        return slope, covariance @ (self.prior_mean / self.prior_variance) - slope @ self.bias, covariance

    def aggregate(self) -> tuple[Array, Array]:
        """Mean and covariance of E_y P_enc(z|y)."""
        covariance = self.slope @ self.world_covariance @ self.slope.T + np.diag(self.variance)
        return self.slope @ self.world_mean + self.offset, covariance

    def log_moment(self, y: Array) -> Array:
        """ln E_enc (P(z|y) / P_enc(z|y))^2 of each y [N]: K samples leave IW-NLL about (its exp - 1) / 2K too high.

        The integral of N(x; 0, P^-1)^2 / N(x; d, Q^-1): finite where 2P - Q is positive definite.
        """
        slope, offset, covariance = self.posterior()
        p, q = np.linalg.inv(covariance), np.diag(1 / self.variance)
        left = 2 * p - q
        assert np.linalg.eigvalsh(left).min() > 0, "the weights of this encoder have no variance"
        shift = y @ (self.slope - slope).T + self.offset - offset
        quadratic = q @ np.linalg.solve(left, q) + q
        constant = log_det(p) - 0.5 * (log_det(q) + log_det(left))
        return constant + 0.5 * np.einsum("nd,de,ne->n", shift, quadratic, shift)

    def truth(self) -> dict[str, float]:
        """What the ledger estimates, by its keys; `gap_nats` and `iw_nll_nats` are those of K = infinity."""
        mean, covariance = self.aggregate()
        information = 0.5 * (log_det(covariance) - np.log(self.variance).sum())
        mismatch = gaussian_kl(mean, covariance, self.prior_mean, np.diag(self.prior_variance))
        left = np.eye(len(self.bias)) - self.weight @ self.slope
        centre = left @ self.world_mean - self.weight @ self.offset - self.bias
        squared = centre @ centre + np.trace(left @ self.world_covariance @ left.T)
        squared += (self.weight**2 @ self.variance).sum()
        distortion = 0.5 * (squared / self.noise**2 + len(self.bias) * (LOG_TWO_PI + 2 * math.log(self.noise)))
        entropy = 0.5 * (log_det(self.world_covariance) + len(self.bias) * (LOG_TWO_PI + 1))
        nll = entropy + gaussian_kl(self.world_mean, self.world_covariance, *self.marginal())
        by_dimension = self.mismatch_per_dimension()
        rate = float(information + mismatch)
        return {
            "rate_nats": rate,
            "information_nats": float(information),
            "mismatch_nats": mismatch,
            "total_correlation": mismatch - float(by_dimension.sum()),
            "distortion_nats": float(distortion),
            "neg_elbo_nats": rate + float(distortion),
            "iw_nll_nats": nll,
            "gap_nats": rate + float(distortion) - nll,
        }

    def mismatch_per_dimension(self) -> Array:
        """KL(agg_d || pri_d), nats [D]; what they leave of the mismatch is the aggregate's total correlation."""
        mean, covariance = self.aggregate()
        ratio = covariance.diagonal() / self.prior_variance
        return 0.5 * (ratio + (mean - self.prior_mean) ** 2 / self.prior_variance - 1 - np.log(ratio))

    def rate_per_dimension(self) -> Array:
        """E_y KL(enc_d || pri_d), nats [D]."""
        information = 0.5 * np.log(self.aggregate()[1].diagonal() / self.variance)
        return information + self.mismatch_per_dimension()

    def draw(self, count: int, draws: int, *, seed: int) -> dict[str, Array]:
        """A record of `count` sentences with `draws` z of each; y itself [N, M] is in it, and exact ln P(y) [N]."""
        rng = np.random.default_rng(seed)
        y = self.world_mean + rng.standard_normal((count, len(self.bias))) @ np.linalg.cholesky(self.world_covariance).T
        mean = y @ self.slope.T + self.offset
        z = mean + np.sqrt(self.variance) * rng.standard_normal((draws, *mean.shape))
        own_mean, own_covariance = self.marginal()
        white = (y - own_mean) @ np.linalg.inv(np.linalg.cholesky(own_covariance)).T
        exact = -0.5 * ((white**2).sum(1) + log_det(own_covariance) + len(self.bias) * LOG_TWO_PI)
        ratio, shift = self.variance / self.prior_variance, mean - self.prior_mean
        return {
            "y": y,
            "exact": exact,
            "z": z,
            "posterior_mean": mean,
            "posterior_log_variance": np.broadcast_to(np.log(self.variance), mean.shape),
            "kl": 0.5 * (ratio - 1 - np.log(ratio) + shift**2 / self.prior_variance),
            "log_p_enc": log_diagonal(z, mean, self.variance),
            "log_p_pri": log_diagonal(z, self.prior_mean, self.prior_variance),
            "log_p_dec": log_diagonal(y, z @ self.weight.T + self.bias, np.full(len(self.bias), self.noise**2)),
        }

    def scores(self, count: int, draws: int, *, seed: int) -> Scores:
        """The record as the library keeps it; one z of each sentence is kept."""
        record = self.draw(count, draws, seed=seed)
        names = ("log_p_enc", "log_p_pri", "log_p_dec", "kl", "posterior_mean", "posterior_log_variance")
        fields = {name: record[name] for name in names} | {
            "z": record["z"][:1],
            "prior_mean": self.prior_mean,
            "prior_log_variance": np.log(self.prior_variance),
        }
        return Scores(**{name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in fields.items()})


def exact_encoder(gain: float, *, dimensions: int = 3, observed: int = 4) -> LinearGaussian:
    """Bayes' encoder of a W with orthogonal columns, so that its posterior is diagonal, in the model's own world."""
    zeros, ones = np.zeros(dimensions), np.ones(dimensions)
    return _bayes(gain, zeros, ones, observed)


def off_encoder(gain: float, *, dimensions: int = 3, observed: int = 4) -> LinearGaussian:
    """An encoder wider than Bayes' and beside it, and a posterior that is correlated: a gap and a small mismatch."""
    rng = np.random.default_rng(10 + dimensions)
    model = exact_encoder(gain, dimensions=dimensions, observed=observed)
    turn = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    model = replace(model, weight=model.weight @ (0.9 * np.eye(dimensions) + 0.1 * turn))
    slope, offset, covariance = model.posterior()
    mean, world = model.marginal()
    std = np.sqrt(covariance.diagonal())
    # A mean that is beside Bayes' by so many posterior deviations, whatever the gain: N(0.1, 0.01 R R^T) of them.
    whiten = np.linalg.inv(np.linalg.cholesky(world))
    beside = std[:, None] * (0.1 * rng.standard_normal((dimensions, observed))) @ whiten
    return replace(
        model,
        slope=slope + beside,
        offset=offset - beside @ mean + 0.1 * std,
        variance=1.1 * std**2,
        world_mean=mean,
        world_covariance=world,
    )


def far_prior(gain: float, *, dimensions: int = 3, observed: int = 4) -> LinearGaussian:
    """Nearly Bayes' encoder of a prior that is not N(0, I), in a wider world elsewhere: a large mismatch."""
    rng = np.random.default_rng(20 + dimensions)
    variance = np.linspace(0.5, 1.5, dimensions)
    model = _bayes(gain, variance - 1.0, variance, observed)
    mean, own = model.marginal()
    wide = np.linalg.cholesky(own) @ rng.standard_normal((observed, observed)) / 2
    return replace(
        model,
        variance=1.2 * model.variance,
        world_mean=mean + 0.8 * np.sqrt(own.diagonal()),
        world_covariance=own + wide @ wide.T,
    )


def _bayes(gain: float, prior_mean: Array, prior_variance: Array, observed: int) -> LinearGaussian:
    size = len(prior_mean)
    rng = np.random.default_rng(size)
    basis = np.linalg.qr(rng.standard_normal((observed, size)))[0]
    weight, bias = gain * basis * np.linspace(1.0, 0.5, size), rng.standard_normal(observed)
    blank = np.zeros((size, observed))
    model = LinearGaussian(
        weight, bias, 0.5, blank, prior_mean, prior_variance, prior_mean, prior_variance, bias, np.eye(observed)
    )
    slope, offset, covariance = model.posterior()
    assert np.allclose(covariance, np.diag(covariance.diagonal()), atol=1e-12)
    mean, world = model.marginal()
    variance = covariance.diagonal().copy()
    return replace(model, slope=slope, offset=offset, variance=variance, world_mean=mean, world_covariance=world)


@functools.cache
def at_information(make, nats: float) -> LinearGaussian:  # noqa: ANN001
    """The model of the family whose I(y; z) is `nats`, by bisection of its gain."""
    low, high = 1e-3, 1e3
    for _ in range(80):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if make(middle).truth()["information_nats"] < nats else (low, middle)
    return make(low)
