"""T6b: an encoder that is never trained, with a prior and a decoder that are."""

import torch

from textlatent.nats.channel import rate_split
from textlatent.nats.discrete import conditional_entropy, cross_entropy, entropy
from textlatent.theory.example import farthest, table
from textlatent.theory.row import Check, Row


def encoder_first() -> Row:
    """T6b."""
    world, encoder = table(7, seed=1, power=2.0), table(7, 4, seed=2, power=2.0)
    joint = world[:, None] * encoder
    aggregate = joint.sum(0)
    decoder = (joint / aggregate).T  # Bayes' own, P(y|z)
    h_enc = float(conditional_entropy(joint))
    best = float(entropy(aggregate) + conditional_entropy(joint.T)) - h_enc
    sums = []
    for seed in range(100):
        prior, other = table(4, seed=seed), table(4, 7, seed=seed + 500)
        h_pri, h_dec = float(cross_entropy(aggregate, prior)), float(aggregate @ cross_entropy(decoder, other))
        sums.append((h_pri + h_dec - h_enc, rate_split(encoder, world, prior).rate + h_dec))
    lowest = min(total for total, _ in sums)
    worst = farthest(*(torch.tensor(column, dtype=torch.float64) for column in zip(*sums, strict=True)))
    back = farthest(aggregate @ decoder, world)
    return Row(
        "T6b",
        "Any encoder will do, first",
        "Take any fixed encoder, a random one too. The prior pays for $z$, the decoder for $y$ given $z$, and the "
        "encoder gives back the randomness of $z$. The sum is never below $H(y)$; a prior and a decoder that can be "
        "anything reach it, and then $\\sum_z P_{pri}(z) P_{dec}(y|z)$ is the population itself.",
        r"H(y) = H(z) + H(y|z) - H(z|y) \leq H_{pri}(z) + H_{dec}(y|z) - H_{enc}(z|y)",
        (
            Check(
                "the three entropies of a random encoder, 7 sentences and 4 codes",
                best,
                r"$H(y) = -\sum P \ln P$",
                -float(world.xlogy(world).sum()),
            ),
            Check(
                "the lowest of 100 other priors and decoders",
                lowest,
                r"above $H(y)$",
                best,
                relation=">=",
                tolerance=0.0,
            ),
            Check(
                r"$H_{pri} + H_{dec} - H_{enc}$ (the worst of 100)",
                worst[0],
                "rate + distortion, computed as such",
                worst[1],
            ),
            Check(
                r"$\sum_z P_{pri}(z) P_{dec}(y|z)$ (the worst sentence)", back[0], "Pop(y)", back[1], unit="probability"
            ),
        ),
    )
