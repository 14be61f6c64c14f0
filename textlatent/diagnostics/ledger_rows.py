"""The ledger's rows for a table: each quantity, its error, and what it is made of or why it has no value."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from textlatent.diagnostics.cell import Cell
from textlatent.diagnostics.code_ledger import ONE_CODE


class LedgerRow(NamedTuple):
    """One line of the printed ledger; `remark` says what it is made of, or why it has no value."""

    name: str
    value: float | None
    se: float | None
    unit: str
    remark: str


_NAMES = (
    ("rate_nats", "rate", "nats"),
    ("uniform_rate_nats", "rate, uniform prior", "nats"),
    ("information_nats", "information", "nats"),
    ("mismatch_nats", "prior mismatch", "nats"),
    ("cross_entropy_prior_nats", "H_pri(z)", "nats"),
    ("distortion_nats", "distortion", "nats"),
    ("dist", "error", ""),
    ("linear", "error of the best linear code", ""),
    ("posterior_entropy_nats", "H_enc(z|y)", "nats"),
    ("neg_elbo_nats", "-ELBO", "nats"),
    ("iw_nll_nats", "IW-NLL", "nats"),
    ("marginal_nll_nats", "NLL, all codes summed", "nats"),
    ("gap_nats", "gap", "nats"),
    ("exact_entropy_nats", "exact entropy", "nats"),
    ("excess_nats", "excess", "nats"),
    ("perplexity_per_token", "perplexity per token", ""),
    ("perplexity_per_word", "perplexity per word", ""),
    ("bits_per_character", "bits per character", "bits"),
    ("active_units", "active units", "units"),
    ("class_label_nats", "information, class and label", "nats"),
    ("codes_used", "codes used", "codes"),
    ("code_perplexity", "code perplexity", "codes"),
    ("nll_per_site_nats", "NLL per site", "nats"),
    ("pseudo_nll_nats", "-ln PL", "nats"),
    ("pseudo_nll_per_site_nats", "-ln PL per site", "nats"),
    ("floor_nats", "NLL, likeliest bigram", "nats"),
    ("over_floor_nats", "NLL above it", "nats"),
    ("reverse_nll_nats", "reverse NLL", "nats"),
    ("reverse_floor_nats", "reverse NLL, likeliest bigram", "nats"),
    ("forward_kl_nats", "KL(language || model)", "nats"),
    ("reverse_kl_nats", "KL(model || language)", "nats"),
    ("jsd_nats", "Jensen-Shannon", "nats"),
    ("inside_share", "written, of the language", ""),
    ("unended_share", "written, without an end", ""),
)
"""Quantities in the order of the equation; those of codes are there for codes alone, `dist` for rows of numbers."""

_HELD = ("cross_entropy_prior_nats", "posterior_entropy_nats")
"""Shown where the encoder was held while prior and decoder learned (THEORY T6b)."""

_PARTS = (("total_correlation", "  total correlation"), ("dimensions", "  sum over dimensions"))


def ledger_rows(ledger: Mapping[str, Any]) -> list[LedgerRow]:
    """The ledger's quantities in the order of the equation, nats per sentence where the unit is nats."""
    rows = []
    for key, name, unit in _NAMES:
        if (cell := ledger.get(key)) is None or (key in _HELD and ledger.get("encoder") != "held"):
            continue
        unit = cell.get("unit", unit)
        if cell["value"] is None:
            rows.append(LedgerRow(name, None, None, unit, cell["why"]))
            continue
        if key == "iw_nll_nats":
            *lower, _ = cell["ladder"]
            rows += [LedgerRow(f"{name}, K = {c['samples']}", c["value"], c["se"], unit, _weights(c)) for c in lower]
            name = f"{name}, K = {cell['samples']}"
        rows.append(LedgerRow(name, cell["value"], cell["se"], unit, _remark(key, cell, ledger)))
        rows += [
            LedgerRow(part, inner["value"], inner["se"], unit, _remark(inside, inner, ledger))
            for inside, part in _PARTS
            if (inner := cell.get(inside)) and inner["value"] is not None
        ]
    return rows


def _remark(key: str, cell: Cell, ledger: Mapping[str, Any]) -> str:
    match key:
        case "rate_nats":
            nats = [c["value"] for c in cell["per_dimension"] or []]
            by = "by position " + " ".join(f"{x:.2f}" for x in nats) if "codes_used" in ledger else _sorted(nats)
            return "= information + mismatch" + (f"; {by}" if nats else "")
        case "information_nats":
            near = "; too near it for the point, so read the interval" if cell["saturated"] else ""
            counted = cell.get("collision", {}).get("plug_in", cell["value"])
            pairs = "" if counted == cell["value"] else f"; by pairs that agree, {counted:.2f} by counts"
            return f"{_interval(cell)}{pairs}; cap ln {cell['components']} = {cell['cap']:.2f}{near}"
        case "mismatch_nats":
            return f"= rate - information, {_interval(cell)}{_near(ledger)}"
        case "total_correlation":
            return f"of the mismatch, {_interval(cell)}{_near(ledger)}"
        case "dimensions":
            return f"of the mismatch, {_interval(cell)}; {_sorted([c['value'] for c in cell['per_dimension']])}"
        case "neg_elbo_nats":
            held = " = H_pri(z) + H_dec(y|z) - H_enc(z|y)" if ledger.get("encoder") == "held" else ""
            return f"= rate + distortion{held}"
        case "cross_entropy_prior_nats":
            return "E -ln P_pri(z), the held encoder's z under its prior"
        case "posterior_entropy_nats":
            return "of the held encoder: given, not learned"
        case "distortion_nats" if ledger.get("encoder") == "held":
            return "= H_dec(y|z)"
        case "distortion_nats" if "dist" in ledger:
            return f"= {ledger['dist']['lam']:g} error {ledger['dist']['constant_nats']:+.2f}, a density's nats"
        case "linear" if cell["rate_nats"]["value"] is not None:
            return f"at rate {cell['rate_nats']['value']:.2f}, -ELBO {cell['neg_elbo_nats']['value']:.2f}"
        case "linear":
            return "principal component analysis of the training rows"
        case "iw_nll_nats":
            return (
                cell["message"]
                if cell["message"] == ONE_CODE or cell.get("exact")
                else f"{_weights(cell)}; {cell['message']}"
            )
        case "gap_nats":
            return "= -ELBO - NLL = -ln P(k|y)" if "marginal_nll_nats" in ledger else "= -ELBO - IW-NLL"
        case "excess_nats":
            share = f", {cell['fraction']:.2%} of the entropy" if "fraction" in cell else ""
            return f"= {_best_nll(ledger)} - exact -ln P(y){share}"
        case "exact_entropy_nats" if "these_sentences" in cell:
            return f"of the language; these sentences {_plain(cell['these_sentences'])}"
        case "active_units":
            return f"of {cell['of']}, variance above {cell['threshold']:g}; {_sorted(cell['spectrum'])}"
        case "perplexity_per_token" | "perplexity_per_word" | "bits_per_character":
            best = "NLL" if cell["of"] == "marginal_nll_nats" else f"IW-NLL, K = {cell['samples']}"
            return f"of {best}" + (f"; of -ELBO {_plain(cell['neg_elbo'])}" if cell["neg_elbo"] else "")
        case "uniform_rate_nats":
            return f"= {cell['positions']} ln {cell['codes']}, what these codes cost without a prior that has learned"
        case "codes_used":
            return f"of {cell['of']}; in use {_plain(cell['alive'])}{_unseen(cell)}"
        case "code_perplexity":
            return f"of {cell['of']}, over all positions, bias of few sentences taken away"
    return cell.get("remark", "")


def _near(ledger: Mapping[str, Any]) -> str:
    """A warning of points that rest on an information near its cap."""
    return "; no point, read the interval" if ledger["information_nats"].get("saturated") else ""


def _best_nll(ledger: Mapping[str, Any]) -> str:
    """What the excess is taken of."""
    exact = (ledger.get("marginal_nll_nats") or {"value": None})["value"] is not None
    return "NLL" if exact or ledger["iw_nll_nats"]["value"] is None else "IW-NLL"


def _unseen(cell: Cell, *, most: int = 12) -> str:
    """The codes that no sentence has, if they are few enough to name."""
    names = cell["unseen"]
    return f"; unseen {', '.join(names)}" if 0 < len(names) <= most else ""


def _sorted(values: Sequence[float]) -> str:
    return "by dimension " + " ".join(f"{value:.2f}" for value in sorted(values, reverse=True))


def _interval(cell: Cell) -> str:
    low, high = cell["interval"]
    return f"95 % {low:.2f} to {high:.2f}"


def _weights(cell: Cell) -> str:
    return f"effective {cell['ess']:.1f} of {cell['samples']}, worst decile {cell['ess_worst_decile']:.1f}"


def _plain(cell: Cell) -> str:
    return f"{cell['value']:.2f}" + ("" if cell["se"] is None else f" +- {cell['se']:.2f}")
