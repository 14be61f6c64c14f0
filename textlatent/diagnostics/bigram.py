"""What ails a generator of probability tables, from the nats of held-out sentences: numbers in, a verdict out."""

from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from textlatent.diagnostics.check import Check, Interval, interval
from textlatent.nats.montecarlo import mean_with_error
from textlatent.scores import Scores

NO_Z = "a bigram GAN has no z: no encoder, no prior and so no rate (THEORY T13)."
VERDICTS = ("underpowered", "without gradient", "dropping", "behind", "rambling", "healthy")
ADVICE = {
    "underpowered": "Score more sentences (--sentences).",
    "without gradient": "Take an estimator that has one: model.generator.estimator: leave_one_out.",
    "dropping": "Lower training.discriminator_updates or training.discriminator_learning_rate, or raise "
    "training.samples: words that are no longer written are no longer taught.",
    "behind": "Raise training.steps or training.samples, or lower training.learning_rate.",
    "rambling": "Raise data.max_tokens, or train longer: sentences that have not ended are judged without their end.",
    "healthy": "",
}


@dataclass(frozen=True)
class BigramThresholds:
    """Where the checks draw their lines.

    Attributes:
        floor: sentences below which nothing is said (ours).
        behind_share: of the likeliest bigram's NLL, that the generator's may lie above it (ours: a twentieth).
        dropped_ratio: a word is dropped whose probability is below this share of the likeliest bigram's (ours).
        dropped_share: of held-out words, that may be dropped (ours).
        unended_share: of written sentences, that may not have ended after T words beyond the likeliest bigram's (ours).
    """

    floor: int = 50
    behind_share: float = 0.05
    dropped_ratio: float = 0.01
    dropped_share: float = 0.01
    unended_share: float = 0.05


@dataclass(frozen=True)
class BigramDiagnosis:
    """What ails a generator.

    Attributes:
        overall: the first of VERDICTS that holds.
        checks: all of them.
        notes: what is worth knowing and no illness.
        sentences: how many it rests on.
        thresholds: where the lines were drawn.
    """

    overall: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    sentences: int
    thresholds: BigramThresholds

    @property
    def advice(self) -> str:
        """What to do about it; empty for a healthy one."""
        return ADVICE[self.overall]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "overall": self.overall,
            "advice": self.advice,
            "sentences": self.sentences,
            "fired": [check.illness for check in self.checks if check.fired],
            "checks": [asdict(check) for check in self.checks],
            "notes": list(self.notes),
            "thresholds": asdict(self.thresholds),
        }


def diagnose_bigram(
    own: Scores,
    floor: Scores,
    *,
    moved: float,
    unended: float,
    unended_floor: float = 0.0,
    thresholds: BigramThresholds = BigramThresholds(),  # noqa: B008 (frozen)
) -> BigramDiagnosis:
    """The verdict on a generator.

    Args:
        own: held-out sentences under the generator: log_p_dec and log_p_dec_token.
        floor: the same sentences under the maximum-likelihood bigram.
        moved: the largest change of any entry of its tables since the start (a probability).
        unended: share of its sentences that have not ended after T words.
        unended_floor: the likeliest bigram's share.
        thresholds: where to draw the lines.

    Raises:
        ValueError: the two are not of the same sentences.
    """
    if len(own) != len(floor):
        raise ValueError(f"both must hold the same sentences, got {len(own)} and {len(floor)}.")
    nats = floor.distortion()
    over, most = interval(mean_with_error(own.distortion() - nats)), thresholds.behind_share * float(nats.mean())
    lost = interval(mean_with_error(_dropped(own, floor, thresholds.dropped_ratio)))
    checks = (
        _check("change of the tables", "without gradient", _sure(moved), "probability", 0.0, moved <= 0.0),
        _check(
            "held-out words dropped",
            "dropping",
            lost,
            "share",
            thresholds.dropped_share,
            lost.value > thresholds.dropped_share,
        ),
        _check("NLL above the ML bigram's", "behind", over, "nats", most, over.value > most),
        _check(
            "sentences without an end",
            "rambling",
            _sure(unended),
            "share",
            unended_floor + thresholds.unended_share,
            unended > unended_floor + thresholds.unended_share,
        ),
    )
    fired = [check.illness for check in checks if check.fired]
    overall = "underpowered" if len(own) < thresholds.floor else next(iter(fired), "healthy")
    return BigramDiagnosis(overall, checks, (f"Nothing is said of a latent: {NO_Z}",), len(own), thresholds)


def _dropped(own: Scores, floor: Scores, ratio: float) -> Float[Tensor, " B"]:
    """The share of each sentence's words that the generator gives less than `ratio` of their probability."""
    gap = own.need("log_p_dec_token") - floor.need("log_p_dec_token")
    return (gap.exp() < ratio).double().sum(1) / own.need("tokens")


def _sure(value: float) -> Interval:
    """A number without an error."""
    return Interval(value, 0.0, value, value)


def _check(name: str, illness: str, found: Interval, unit: str, threshold: float, fired: bool) -> Check:
    advice = ADVICE[illness] if fired else ""
    return Check(
        name=name,
        illness=illness,
        value=found.value,
        se=found.se,
        lower=found.lower,
        upper=found.upper,
        unit=unit,
        threshold=threshold,
        fired=fired,
        source="THEORY T13",
        message=f"{name}: {found.value:.3g} {unit} (the line: {threshold:.3g}). {advice}".rstrip(),
        advice=advice,
    )
