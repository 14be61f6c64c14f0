"""Priors over classes: one class for a sentence, or a Markov chain of states, one for each word; tables in float64."""

from typing import Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textlatent.prior.categorical import draw, uniforms


class ClassPrior(nn.Module):
    """P_pri(z = k), one class for a sentence; it starts uniform.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(classes, dtype=torch.float64))

    @classmethod
    def from_log_probabilities(cls, log_prob: Float[Tensor, " K"]) -> Self:
        """The prior whose ln P_pri(k) are given; -inf for a class that never comes."""
        prior = cls(len(log_prob))
        prior.set(log_prob)
        return prior

    @torch.no_grad()
    def set(self, log_prob: Float[Tensor, " K"]) -> None:
        """Make ln P_pri(k) the prior."""
        self.logits.copy_(log_prob)

    def log_prob(self) -> Float[Tensor, " K"]:
        """Ln P_pri(k), nats."""
        return self.logits.log_softmax(-1)

    @torch.no_grad()
    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int) -> Int[Tensor, " n"]:
        """k ~ P_pri; each draw is a function of (seed, its number)."""
        at = uniforms(draws, seed=seed, positions=1)[:, 0].to(self.logits.device)
        return draw(self.log_prob().expand(len(at), -1), at)


class ChainPrior(nn.Module):
    """P_pri(z_1 = i) = P[i], P_pri(z_{t+1} = j | z_t = i) = A[i, j]; it starts uniform.

    The chain has no end of its own: a sentence ends with the word EOS, and states beyond it are never seen.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.start_logits = nn.Parameter(torch.zeros(classes, dtype=torch.float64))
        self.transition_logits = nn.Parameter(torch.zeros(classes, classes, dtype=torch.float64))

    @classmethod
    def from_log_probabilities(cls, start: Float[Tensor, " K"], transition: Float[Tensor, "K K"]) -> Self:
        """The chain whose ln P[i] and ln A[i, j] are given."""
        prior = cls(len(start))
        prior.set(start, transition)
        return prior

    @torch.no_grad()
    def set(self, start: Float[Tensor, " K"], transition: Float[Tensor, "K K"]) -> None:
        """Make ln P[i] and ln A[i, j] the chain."""
        self.start_logits.copy_(start)
        self.transition_logits.copy_(transition)

    def log_start(self) -> Float[Tensor, " K"]:
        """Ln P[i], nats."""
        return self.start_logits.log_softmax(-1)

    def log_transition(self) -> Float[Tensor, "K K"]:
        """Ln A[i, j], nats."""
        return self.transition_logits.log_softmax(-1)

    @torch.no_grad()
    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int, width: int) -> Int[Tensor, "n T"]:
        """Paths z_1 .. z_T ~ P_pri; each draw is a function of (seed, its number), and a longer one begins the same."""
        at = uniforms(draws, seed=seed, positions=width).to(self.start_logits.device)
        transition = self.log_transition()
        states = [draw(self.log_start().expand(len(at), -1), at[:, 0])]
        for t in range(1, width):
            states.append(draw(transition[states[-1]], at[:, t]))
        return torch.stack(states, 1)
