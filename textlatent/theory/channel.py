"""T15: what channels can send."""

import math

from textlatent.nats import channel as channels
from textlatent.nats.capacity import channel_capacity
from textlatent.nats.rate_distortion import rate_at
from textlatent.theory.example import table
from textlatent.theory.row import Check, Figure, Row

_FLIPS = [i / 40 for i in range(41)]


def capacity() -> Row:
    """T15."""
    found = [channel_capacity(channels.binary_symmetric(p)) for p in _FLIPS]
    closed = [math.log(2.0) + _plogp(p) + _plogp(1.0 - p) for p in _FLIPS]
    at = max(range(len(_FLIPS)), key=lambda i: abs(found[i].value - closed[i]))
    others = [
        (
            "erasure channel, 5 letters, 3 of 10 lost",
            channels.erasure(0.3, inputs=5),
            r"$(1 - e) \ln q$",
            0.7 * math.log(5.0),
        ),
        ("Z channel at 1/2", channels.z_channel(0.5), r"$\ln \frac{5}{4}$", math.log(1.25)),
        (
            "7 letters, 1 of 5 wrong",
            channels.q_ary_symmetric(0.2, inputs=7),
            r"$\ln q - h(p) - p \ln (q - 1)$",
            math.log(7.0) + _plogp(0.2) + _plogp(0.8) - 0.2 * math.log(6.0),
        ),
        ("noisy typewriter of 26 keys", channels.noisy_typewriter(26), r"$\ln 13$", math.log(13.0)),
    ]
    hard = [channel_capacity(table(60, 20, seed=seed, power=1.0 + seed)) for seed in range(8)]
    coin = rate_at(table(2, seed=0) * 0.0 + 0.5, 1.0 - channels.binary_symmetric(0.0), 0.1)
    return Row(
        "T15",
        "What a channel can send",
        "A channel that turns over a share $p$ of the bits sends $\\ln 2 - h(p)$ nats a bit. At $p = 1/2$ it tells "
        "nothing; at $p = 1$ it tells everything, for the receiver hears the complement. Where there is no formula the "
        "capacity is found between two bounds that prove it.",
        r"C = \max_{P(x)} I(x, y) = \ln 2 - h(p), \quad h(p) = -p \ln p - (1 - p) \ln (1 - p)",
        (
            Check(
                "binary symmetric channel, 41 values of $p$ (the worst)",
                found[at].value,
                r"$\ln 2 - h(p)$",
                closed[at],
                tolerance=1e-9,
            ),
            Check("$p = 1/2$", found[20].value, "0", 0.0, tolerance=1e-9),
            Check("$p = 1$", found[40].value, r"$\ln 2$", math.log(2.0), tolerance=1e-9),
            *(
                Check(what, channel_capacity(matrix).value, form, value, tolerance=1e-9)
                for what, matrix, form, value in others
            ),
            Check(
                "gap between the bounds, 8 random channels 60 x 20 (the worst)",
                max(each.gap for each in hard),
                "certified",
                1e-9,
                relation="<=",
                tolerance=0.0,
            ),
            Check(
                "R(D) of a fair coin, 1 bit of 10 wrong",
                coin.rate,
                r"$\ln 2 - h(0.1)$: the same curve, read backwards",
                channels.binary_symmetric_capacity(0.1),
                tolerance=1e-9,
            ),
        ),
        Figure("channel", {"dots": [[p, each.value] for p, each in zip(_FLIPS, found, strict=True)]}),
    )


def _plogp(p: float) -> float:
    return p * math.log(p) if p > 0.0 else 0.0
