"""One page about one run: self-contained HTML from plain numbers, sentences and pictures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import jinja2

from textlatent.diagnostics.inference import inference_rows
from textlatent.diagnostics.ledger_rows import LedgerRow, ledger_rows
from textlatent.report.drawing import Picture
from textlatent.report.strip import equations, strips

TEMPLATE = Path(__file__).parent / "report.html.jinja"
Words = list[tuple[str, bool]]
MOST_CODES = 32
"""Rows of the table of what codes say; diagnosis.json holds all."""


@dataclass(frozen=True)
class Content:
    """What the page is made of; what a run has not got is None or empty, and `missing` says how to get it.

    Attributes:
        name: of the run.
        folder: of the run, as commands name it.
        recipe: as YAML.
        corpus: corpus.json.
        ledger: ledger.json.
        diagnosis: diagnosis.json.
        samples: samples.json.
        objective: the last stage's weights in words, "loss = 0.83 rate + 1 distortion".
        course: pictures of the training.
        carries: pictures of each dimension's rate and variance, and of what each token gains.
        latent: pictures of z.
        codebook: pictures of the codes, where z is codes.
        missing: for a section without its numbers, a sentence that names the command, by the section's key.
    """

    name: str
    folder: str
    recipe: str
    corpus: Mapping[str, Any]
    ledger: Mapping[str, Any] | None = None
    diagnosis: Mapping[str, Any] | None = None
    samples: Mapping[str, Any] | None = None
    objective: str = ""
    course: Sequence[Picture] = ()
    carries: Sequence[Picture] = ()
    latent: Sequence[Picture] = ()
    codebook: Sequence[Picture] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def page(content: Content) -> str:
    """The page as HTML; every text of the run is escaped, nothing in it asks the network for anything."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        nats=nats, plain=plain, signed_error=signed_error, minus=minus, commands=commands, zip=zip
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    ledger = content.ledger
    pairs = (content.samples or {}).get("reconstructions") or []
    codes = (content.diagnosis or {}).get("codes")
    return template.render(
        content=content,
        ledger=ledger,
        rows=[] if ledger is None else [_without_dimensions(row) for row in ledger_rows(ledger)],
        equations=[] if ledger is None else equations(ledger),
        strips=[] if ledger is None else strips(ledger),
        diagnosis=content.diagnosis,
        health=health(content.diagnosis),
        inference=inference_rows((content.diagnosis or {}).get("inference")),
        codes=codes,
        says=[] if codes is None else [code_row(each, codes) for each in codes["says"][:MOST_CODES]],
        coded=ledger is not None and "codes_used" in ledger,
        verdict=[] if content.diagnosis is None else verdict(content.diagnosis),
        pairs=[differing_words(original, rebuilt) for original, rebuilt in pairs],
    )


def health(diagnosis: Mapping[str, Any] | None) -> str:
    """How the verdict is painted: "healthy", "ill", or "unknown" (underpowered, or not diagnosed)."""
    if diagnosis is None or diagnosis["overall"] == "underpowered":
        return "unknown"
    return "healthy" if diagnosis["overall"] == "healthy" else "ill"


def verdict(diagnosis: Mapping[str, Any]) -> list[str]:
    """The sentences under the verdict: what was found, and what to do, said once."""
    checks = diagnosis["checks"]
    found = [check["message"] for check in checks if check["fired"] and check["illness"] == diagnosis["overall"]]
    if diagnosis["overall"] == "healthy":
        made = sum(check["value"] is not None for check in checks)
        found = [f"None of the {made} checks that could be made, of {len(checks)}, found an illness."]
    advice = diagnosis.get("advice") or ""
    return found if any(advice in sentence for sentence in found) else [*found, advice]


def code_row(said: Mapping[str, Any], codes: Mapping[str, Any]) -> dict[str, Any]:
    """A code's row: its name, share of the sentences, where it stands, its words with their lift, examples."""
    total = sum(said["positions"])
    places = sorted(enumerate(said["positions"]), key=lambda place: -place[1])
    return {
        "code": said["code"],
        "share": 100.0 * said["sentences"] / sum(codes["counts"][0]),
        "places": [(p, 100.0 * count / total) for p, count in places[:2] if count >= 0.1 * total],
        "words": [(word["word"], word["lift"]) for word in said["words"]],
        "examples": said["examples"],
    }


def differing_words(original: str, rebuilt: str) -> tuple[Words, Words]:
    """The words of both sentences, each with whether the other lacks it there."""
    left, right = original.split(), rebuilt.split()
    same_left, same_right = set[int](), set[int]()
    for block in SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks():
        same_left |= set(range(block.a, block.a + block.size))
        same_right |= set(range(block.b, block.b + block.size))
    return (
        [(word, i not in same_left) for i, word in enumerate(left)],
        [(word, i not in same_right) for i, word in enumerate(right)],
    )


def nats(value: float | None, digits: int = 3) -> str:
    """A number to read; a dash where there is none, a true minus sign, no -0."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not any(c in "123456789" for c in text) else text.replace("-", "−")


def plain(value: float | None) -> str:
    """A number to read, a count without decimals."""
    return nats(value, 0 if value is not None and float(value).is_integer() else 3)


def signed_error(se: float | None, digits: int = 3) -> str:
    """A standard error behind its value; nothing where there is none."""
    return "" if se is None else f"± {nats(se, digits)}"


def minus(text: str) -> str:
    """The text with the signs that a terminal lacks, and no -0.00."""
    text = re.sub(r"-(?=0\.0+(?!\d))", "", text)
    return text.replace("-ELBO", "−ELBO").replace("+-", "±")


def commands(text: str) -> Words:
    """The text in parts, each with whether it is a command (it stood between backticks)."""
    parts = minus(text).split("`")
    if len(parts) % 2 == 0:  # a lone backtick is one of the text's own
        return [(minus(text), False)]
    return [(part, i % 2 == 1) for i, part in enumerate(parts)]


def _without_dimensions(row: LedgerRow) -> LedgerRow:
    """The row without its list of dimensions, which the page draws."""
    return row._replace(remark=row.remark.split("; by dimension")[0].split("; by position")[0])
