"""Priors over codes whose positions are independent: the uniform one, and one that learns each position's shares."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textlatent.nats.noise import PRIOR_DRAW, uniform
from textlatent.prior.prior import CodePrior


def draw(log_prob: Float[Tensor, "n K"], at: Float[Tensor, " n"], *, temperature: float = 1.0) -> Int[Tensor, " n"]:
    """The code whose part of [0, 1) each number falls into: k ~ P^(1/temperature) where the numbers are uniform.

    Args:
        log_prob: ln P of each code, nats, up to a constant.
        at: in (0, 1).
        temperature: below 1, likelier codes; 1 is P itself.

    Raises:
        ValueError: a temperature that is not above 0.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature must be > 0, got {temperature}; for the likeliest codes take a small one.")
    upper = (log_prob.double() / temperature).softmax(-1).cpu().cumsum(-1)  # [n, K]; a GPU's sums need not repeat
    found = torch.searchsorted(upper, at.to(upper)[:, None].contiguous(), right=True).squeeze(1)
    return found.clamp(max=log_prob.shape[1] - 1).to(log_prob.device)  # the last sum may round below 1


def uniforms(draws: int | Int[Tensor, " n"], *, seed: int, positions: int) -> Float[Tensor, "n P"]:
    """The numbers in (0, 1) that decide draws, each a function of (seed, its number, its position)."""
    index = torch.arange(draws) if isinstance(draws, int) else draws.cpu()
    return uniform(index, seed=seed, shape=(positions,), stream=PRIOR_DRAW)[0]


class UniformPrior(CodePrior):
    """P_pri(k) = K^-P: every sentence costs P ln K nats (THEORY T11); nothing to learn."""

    nothing: Tensor

    def __init__(self, codes: int, positions: int) -> None:
        super().__init__(codes, positions)
        self.register_buffer("nothing", torch.zeros(()))  # knows the device

    def log_prob(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """-ln K at every position, nats, float64."""
        return torch.full(codes.shape, -math.log(self.codes), dtype=torch.float64, device=codes.device)

    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int, temperature: float = 1.0) -> Int[Tensor, "n P"]:
        """k ~ P_pri; a uniform distribution is the same at every temperature."""
        at = uniforms(draws, seed=seed, positions=self.positions)
        flat = torch.zeros(at.numel(), self.codes)
        return draw(flat, at.flatten(), temperature=temperature).view_as(at).to(self.nothing.device)


class IndependentPrior(CodePrior):
    """P_pri(k) = prod_p P_p(k_p), each P_p learned; it starts uniform.

    Fitted to the codes of sentences, its rate is the sum of the positions' entropies: what the total correlation
    between positions leaves for a prior that knows it.
    """

    def __init__(self, codes: int, positions: int) -> None:
        super().__init__(codes, positions)
        self.logits = nn.Parameter(torch.zeros(positions, codes))

    def log_prob(self, codes: Int[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        """Ln P_p(k_p), nats, float64."""
        table = self.logits.double().log_softmax(-1)  # [P, K]
        return table.expand(len(codes), -1, -1).gather(2, codes[:, :, None]).squeeze(2)

    @torch.no_grad()
    def sample(self, draws: int | Int[Tensor, " n"], *, seed: int, temperature: float = 1.0) -> Int[Tensor, "n P"]:
        """k ~ P_pri, each position by itself."""
        at = uniforms(draws, seed=seed, positions=self.positions).to(self.logits.device)
        columns = [
            draw(self.logits[p].expand(len(at), -1), at[:, p], temperature=temperature) for p in range(self.positions)
        ]
        return torch.stack(columns, 1)
