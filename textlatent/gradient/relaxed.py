"""Relaxations: a word as a point of the simplex that has a gradient, sampled or straight through.

Each function returns one-hot-like rows [*B, V]; hand them to a cost that takes such rows. The value of `reinmax` and of
those that go straight through is a one-hot row to rounding; their gradient is that of something soft. All of them are
biased for a cost in general; tests compute each bias.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def gumbel(uniform: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    """-ln(-ln u): Gumbel(0, 1) noise from uniform noise in (0, 1); argmax(logits + g) is a draw of softmax(logits)."""
    return -(-uniform.log()).log()


def gumbel_softmax(
    logits: Float[Tensor, "*B V"], noise: Float[Tensor, "*B V"], *, temperature: float
) -> Float[Tensor, "*B V"]:
    """softmax((logits + g) / temperature): a draw from the concrete distribution, no one-hot row.

    Raises:
        ValueError: a temperature that is not positive.

    Source: Jang, Gu & Poole 2017, arXiv:1611.01144, eq. 2; Maddison, Mnih & Teh 2017, arXiv:1611.00712, eq. 10.
    """
    _positive(temperature)
    return ((logits + noise) / temperature).softmax(-1)


def straight_through_gumbel(
    logits: Float[Tensor, "*B V"], noise: Float[Tensor, "*B V"], *, temperature: float
) -> Float[Tensor, "*B V"]:
    """The one-hot row of argmax(logits + g), its gradient that of `gumbel_softmax`.

    Source: Jang, Gu & Poole 2017, arXiv:1611.01144, section 2.2.
    """
    soft = gumbel_softmax(logits, noise, temperature=temperature)
    hard = one_hot((logits + noise).argmax(-1), like=soft)
    return hard + (soft - soft.detach())


def straight_through(logits: Float[Tensor, "*B V"], word: Int[Tensor, "*B"]) -> Float[Tensor, "*B V"]:
    """The one-hot row of a drawn word, its gradient that of softmax(logits): no bias where the cost is affine.

    Source: Bengio, Leonard & Courville 2013, arXiv:1308.3432, section 4, with the softmax's Jacobian.
    """
    soft = logits.softmax(-1)
    return one_hot(word, like=soft) + (soft - soft.detach())


def reinmax(logits: Float[Tensor, "*B V"], word: Int[Tensor, "*B"]) -> Float[Tensor, "*B V"]:
    """The one-hot row of a drawn word, its gradient Heun's: no bias where the cost is quadratic.

    With D the row of the word, p = softmax(logits) and m = (p + D) / 2: the Jacobian is 2 J(m) - J(p) / 2, where
    J(q) = diag(q) - q q^T. (Temperature 1 throughout.)

    Source: Liu et al. 2023, arXiv:2304.08612, eq. 7 and algorithm 2.
    """
    soft = logits.softmax(-1)
    hard = one_hot(word, like=soft)
    middle = 0.5 * (soft.detach() + hard)
    shift = logits - logits.detach()  # 0, with the gradient of the logits
    heun = 2.0 * (middle * (shift - (middle * shift).sum(-1, keepdim=True))) - 0.5 * soft
    return hard + (heun - heun.detach())


def one_hot(word: Int[Tensor, "*B"], *, like: Float[Tensor, "*B V"]) -> Float[Tensor, "*B V"]:
    """1 at the word, 0 elsewhere, in the type of `like`."""
    return torch.zeros_like(like).scatter_(-1, word[..., None], 1.0)


def _positive(temperature: float) -> None:
    if not temperature > 0.0:
        raise ValueError(f"temperature must be > 0, got {temperature}; near 0 less bias and more variance.")
