"""The ledger as equations with numbers under their symbols, and as strips whose parts add up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Ledger = Mapping[str, Any]


@dataclass(frozen=True)
class Term:
    """One symbol of an equation and what it came to.

    Attributes:
        before: the sign before it: "", "=", "+".
        symbol: its name.
        value: nats per sentence, or None.
        se: standard error, nats, or None.
        colour: the CSS variable of the quantity, "" for ink.
        interval: 95 %, nats, to be read in place of a value that saturates; None where the value stands.
    """

    before: str
    symbol: str
    value: float | None
    se: float | None
    colour: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Part:
    """One part of a strip: nats per sentence, and where it lies, both in percent of the page's scale."""

    name: str
    nats: float
    colour: str
    start: float
    width: float


@dataclass(frozen=True)
class Strip:
    """Parts end to end.

    Attributes:
        title: what they add up to.
        parts: in order; a part below 0 (an estimate's error) takes no room.
        magnified: the percent of the strip above that this one shows enlarged; None for the common scale.
        doubt: the interval of the border between the first two parts, in percent, or None.
    """

    title: str
    parts: tuple[Part, ...]
    magnified: float | None = None
    doubt: tuple[float, float] | None = None

    @property
    def words(self) -> str:
        """The strip for who cannot see it."""
        return f"{self.title}: " + ", ".join(f"{part.name} {part.nats:.3f} nats" for part in self.parts)


def equations(ledger: Ledger) -> list[list[Term]]:
    """The identities that hold in this ledger, each term with its nats; those without all their terms are left out."""
    exact = ledger["exact_entropy_nats"].get("these_sentences") or {"value": None}
    nll = _best_nll(ledger)
    rows = (
        (("-ELBO", "neg_elbo_nats"), ("rate", "rate_nats"), ("distortion", "distortion_nats")),
        (("rate", "rate_nats"), ("information", "information_nats"), ("mismatch", "mismatch_nats")),
        (("-ELBO", "neg_elbo_nats"), nll, ("gap", "gap_nats")),
        (nll, ("exact NLL", exact), ("excess", "excess_nats")),
    )
    found = []
    for row in rows:
        cells = [(symbol, cell if isinstance(cell, Mapping) else ledger[cell]) for symbol, cell in row]
        if any(cell["value"] is None for _, cell in cells):
            continue
        signs = ("", "=", "+")
        found.append(
            [
                Term(sign, symbol, cell["value"], cell.get("se"), symbol.split()[0].lower(), _instead(ledger, symbol))
                for sign, (symbol, cell) in zip(signs, cells, strict=True)
            ]
        )
    return found


def strips(ledger: Ledger) -> list[Strip]:
    """-ELBO as rate + distortion, the rate enlarged, and -ELBO against IW-NLL and the exact entropy: one scale."""
    rate, distortion, total = (_value(ledger, f"{name}_nats") for name in ("rate", "distortion", "neg_elbo"))
    if rate is None or distortion is None or total is None or total <= 0.0:
        return []
    information, mismatch = _value(ledger, "information_nats"), _value(ledger, "mismatch_nats")
    split = information is not None and mismatch is not None
    near = split and bool(ledger["information_nats"].get("saturated"))
    parts = [("information", information), ("mismatch", mismatch)] if split and not near else [("rate", rate)]
    found = [Strip("-ELBO", _parts([*parts, ("distortion", distortion)], total))]
    if split and rate > 0.001 * total:
        low, high = (min(max(end, 0.0), rate) for end in _interval(ledger["information_nats"]))
        doubt: tuple[float, float] | None = (100.0 * low / rate, 100.0 * high / rate)
        if near:
            sure = [("information", low), ("unknown which", high - low), ("mismatch", rate - high)]
            parts, doubt = [part for part in sure if part[1] > 0.0], None
        found.append(Strip("rate, enlarged", _parts(parts, rate), 100.0 * rate / total, doubt))
    return [*found, *_against_the_truth(ledger, total)]


def _instead(ledger: Ledger, symbol: str) -> tuple[float, float] | None:
    """The interval of a term whose point is too near the information's cap to rest on."""
    if symbol not in ("information", "mismatch") or not ledger["information_nats"].get("saturated"):
        return None
    low, high = _interval(ledger[f"{symbol}_nats"])
    return low, high


def _interval(cell: Mapping[str, Any]) -> tuple[float, float]:
    """95 %, nats, of a cell with two bounds."""
    low, high = cell.get("interval") or (
        cell["lower"] - 1.96 * cell["lower_se"],
        cell["upper"] + 1.96 * cell["upper_se"],
    )
    return low, high


def _best_nll(ledger: Ledger) -> tuple[str, str]:
    """The name and key of the NLL that gap and excess are of."""
    known = ledger.get("marginal_nll_nats", {"value": None})["value"] is not None
    return ("NLL", "marginal_nll_nats") if known else ("IW-NLL", "iw_nll_nats")


def _against_the_truth(ledger: Ledger, total: float) -> list[Strip]:
    name, key = _best_nll(ledger)
    nll, gap = _value(ledger, key), _value(ledger, "gap_nats")
    if nll is None or (gap is None and _value(ledger, "excess_nats") is None):
        return []
    exact, excess = ledger["exact_entropy_nats"].get("these_sentences"), _value(ledger, "excess_nats")
    if exact is None or excess is None:
        return [Strip("-ELBO", _parts([(name, nll), ("gap", gap)], total))]
    left = [] if gap is None else [("gap", gap)]  # without one, it is in the excess
    return [Strip("-ELBO", _parts([("exact entropy", exact["value"]), ("excess", excess), *left], total))]


def _value(ledger: Ledger, key: str) -> float | None:
    return ledger[key]["value"]


def _parts(named: list[tuple[str, Any]], total: float) -> tuple[Part, ...]:
    """The parts end to end, in percent of `total`; what is below 0 takes no room."""
    parts, start = [], 0.0
    for name, nats in named:
        width = 100.0 * max(nats, 0.0) / total
        parts.append(Part(name, nats, name.split()[0].lower(), start, min(width, 100.0 - start)))
        start = min(start + width, 100.0)
    return tuple(parts)
