"""Where the checks of `diagnose` draw their lines. No torch here: `diagnose --help` names them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where the checks draw their lines; each is a keyword argument of `diagnose`.

    Attributes:
        negligible: nats per sentence that count as nothing. 0.1 is the last digit published tables print: their
            collapsed rows read KL 0.0 or 0.1 (He et al. 2019, arXiv:1901.05534, table 1).
        faint: nats of rate that, where there is no information, are the drift of a posterior nobody listens to and not
            a price for anything: up to here an empty latent is collapsed, above it is mismatched (ours: five times
            `negligible`; runs that have collapsed under a noisy step size stand at 0.1 to 0.2).
        deaf_share: a decoder that loses less than this share of the information with another sentence's z is deaf.
            Bayes' own decoder loses no less than all of it (use.nats_lost), so a tenth is far below any that listens.
        mismatch_share: share of the rate that may be prior mismatch: above one half, most of what is paid says nothing
            of the sentence (Hoffman & Johnson 2016, ELBO surgery; THEORY T6).
        beyond_share: share of the gain beyond the first tokens below which z describes those alone. z that holds the
            first words leaves 0, evenly spread gain 0.57 in a sentence of 7 tokens and 0.86 in one of 22; measured, a
            VAE of 8 nats on the Penn Treebank leaves 0.83, one of 3 nats on templates whose first words tell nearly
            everything 0.25. A tenth (ours) is what "alone" leaves room for.
        first: how many tokens are the first ones (Bosc & Vincent 2020, arXiv:2004.07683, look at three to four).
        dead_variance: a dimension is dead at this variance of its means or less, in units of the prior's variance
            (Burda et al. 2016, arXiv:1509.00519).
        silent_entropy: nats of a position's code up to which it says nothing: one code 99 times in a hundred leaves
            0.056 (ours).
        dead_codes: share of the codebook that may stand for no sentence: above a tenth, it is larger than what is used
            of it (ours).
        target_tolerance: a rate that falls short of the one asked for by this share or less is at its target.
        floor: fewer sentences say nothing: the mean of 50 skewed terms +- 1.96 SE covers the truth in 93 % of
            cases (exponential law, simulated), that of 20 in 90 %, and 50 sentences show 3.9 nats at most (ln N).
        enough: so many sentences always get an answer.
        saturation: share of ln N above which the information's point estimate saturates: at 0.6 it is still within
            a few percent, at 0.9 it is not.
    """

    negligible: float = 0.1
    faint: float = 0.5
    deaf_share: float = 0.1
    mismatch_share: float = 0.5
    beyond_share: float = 0.1
    first: int = 3
    dead_variance: float = 0.01
    silent_entropy: float = 0.05
    dead_codes: float = 0.1
    target_tolerance: float = 0.1
    floor: int = 50
    enough: int = 500
    saturation: float = 0.6
