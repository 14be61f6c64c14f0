"""What the two players lose, in nats: the discriminator a log loss, the generator a cost of the verdicts on it.

With s the verdict's logit and D = sigmoid(s):

    minimax          ln(1 - D)   = -softplus(s)     at the best discriminator 2 JSD - 2 ln 2
    non_saturating   -ln D       = softplus(-s)
    log_ratio        -s                             at the best discriminator KL(generator || corpus)
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from textlatent.contrasts.discriminator import Discriminator

COSTS = ("log_ratio", "minimax", "non_saturating")


def discriminator_loss(
    discriminator: Discriminator,
    real: Int[Tensor, "B T"],
    fake: Int[Tensor, "N T"],
    *,
    shares: tuple[float, float] = (1.0, 1.0),
) -> Float[Tensor, ""]:
    """-ln D of what is the corpus's and -ln(1 - D) of what is not, nats, summed over what is judged in a sentence.

    Args:
        discriminator: who judges.
        real: sentences of the corpus.
        fake: written ones.
        shares: of all processes' real and written sentences that these are.
    """
    of_real = (softplus(-discriminator(real)) * discriminator.judged(real)).sum(1).mean()
    of_fake = (softplus(discriminator(fake)) * discriminator.judged(fake)).sum(1).mean()
    return shares[0] * of_real + shares[1] * of_fake


def verdict_cost(verdict: Float[Tensor, "..."], *, cost: str) -> Float[Tensor, "..."]:
    """The generator's cost of a verdict, nats.

    Raises:
        ValueError: no such cost.
    """
    match cost:
        case "log_ratio":
            return -verdict
        case "minimax":
            return -softplus(verdict)
        case "non_saturating":
            return softplus(-verdict)
    raise ValueError(f"the generator's cost must be one of {', '.join(COSTS)}, got {cost!r}.")


def cost_of(
    discriminator: Discriminator, words: Int[Tensor, "N T"], *, cost: str, centre: Tensor | float = 0.0
) -> Float[Tensor, "N J"]:
    """The cost of each verdict on sentences less `centre`, nats; 0 for what is not judged.

    While the corpus is far, words cost more than nothing and a sentence that ends is spared them: the generator learns
    to write none. With the mean cost of a word as its centre, as in average-reward reinforcement learning (Mahadevan
    1996), an end saves nothing. Where the two players agree all costs are the same, and a centre changes nothing.
    """
    return (verdict_cost(discriminator(words), cost=cost) - centre) * discriminator.judged(words)


def cost_of_rows(
    discriminator: Discriminator, rows: Float[Tensor, "N T V"], *, cost: str, centre: Tensor | float = 0.0
) -> Float[Tensor, "N J"]:
    """The same of words that are points of the simplex."""
    return (verdict_cost(discriminator.relaxed(rows), cost=cost) - centre) * discriminator.judged_relaxed(rows)


def balanced(log_ratio: Float[Tensor, "..."], weight: Float[Tensor, "..."]) -> Float[Tensor, ""]:
    """E_corpus ln D + E_generator ln(1 - D) at the best D, nats, over outcomes of probability `weight` in the corpus.

    It is 2 JSD - 2 ln 2: -2 ln 2 where the two agree, 0 where they share nothing.

    Args:
        log_ratio: ln p_corpus / p_generator of each outcome.
        weight: p_corpus of each; every outcome of the generator must be among them.
    """
    generated = weight * torch.exp(-log_ratio)
    return -(weight * softplus(-log_ratio) + generated * softplus(log_ratio)).sum()
