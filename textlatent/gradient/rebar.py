"""REBAR: the score function with a relaxed word as its control variate, whose mean comes back by reparameterisation.

    (f(b) - eta c(z')) d ln P(b) + eta d c(z) - eta d c(z'),    b = argmax z,  z' ~ z | b

No bias, whatever c and eta are. With c the cost itself on a relaxed word it is REBAR; any other c makes it RELAX.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textlatent.gradient.relaxed import gumbel, one_hot

Critic = Callable[[Tensor], Tensor]
"""Rows of the simplex [*B, V] -> a cost for each [*B], differentiable."""


def rebar(
    logits: Float[Tensor, "*B V"],
    *,
    word: Int[Tensor, "*B"],
    cost: Float[Tensor, "*B"],
    critic: Critic,
    uniform: Float[Tensor, "*B V"],
    temperature: float,
    scale: float = 1.0,
) -> Float[Tensor, "*B"]:
    """Numbers whose gradient in the logits is the estimate of d E f, one for each draw, in the unit of f.

    Args:
        logits: of the words.
        word: b, the draw; its z is made to fit it, so that it may come from any sampler.
        cost: f(b), or what is still to come from this word on.
        critic: c, of softmax(z / temperature); parameters inside it should be held.
        uniform: u in (0, 1), decides z given b, and z' too: they are one number with two derivatives, ln p + g with g
            held and a function of ln p with u held.
        temperature: > 0.
        scale: eta; 0 is REINFORCE.

    Source: Tucker et al. 2017, arXiv:1703.07370, eq. 5 and appendix C; Grathwohl et al. 2018, arXiv:1711.00123, eq. 8.
    """
    log_p = logits.log_softmax(-1)
    again = conditional_logits(log_p, word, uniform)
    z = log_p + (again - log_p).detach()  # ln p + g, the g that gave b
    free, held = (critic((each / temperature).softmax(-1)) for each in (z, again))
    score = (cost - scale * held).detach() * log_p.gather(-1, word[..., None]).squeeze(-1)
    return score + scale * (free - held)


def conditional_logits(
    log_p: Float[Tensor, "*B V"], word: Int[Tensor, "*B"], uniform: Float[Tensor, "*B V"]
) -> Float[Tensor, "*B V"]:
    """A draw of ln p + Gumbel noise given that its argmax is `word`, smooth in ln p.

    The largest is Gumbel(0) because p sums to 1; every other is Gumbel(ln p_i) below it.
    """
    top = gumbel(uniform.gather(-1, word[..., None]))  # [*B, 1]
    below = -torch.log(-uniform.log() * torch.exp(-log_p) + torch.exp(-top))
    return torch.where(one_hot(word, like=log_p) > 0.0, top, below)
