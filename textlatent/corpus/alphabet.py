"""Sentences as labels: characters or words, the most frequent ones each a label, the rest one label together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from datasets import Dataset

from textlatent.corpus.encoding import EncodedSplit

END, OTHER = "⏎", "�"
"""How the label between a sentence's last and first symbol is written, and the one for symbols that have no label."""

UNITS = ("characters", "words")


@dataclass(frozen=True)
class Alphabet:
    """Which symbols have a label.

    Attributes:
        unit: characters, or words (tags) set off by spaces.
        symbols: the symbol of each label; OTHER is the last.
        end: whether label 0 is END, which stands after each sentence's last symbol.
    """

    unit: str
    symbols: tuple[str, ...]
    end: bool

    def __len__(self) -> int:
        """Q, the number of labels."""
        return len(self.symbols)

    def split(self, text: str) -> Sequence[str]:
        """The symbols of a sentence."""
        return text if self.unit == "characters" else text.split()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The labels of each sentence, END's at its end if there is one."""
        of_symbol, other = {symbol: i for i, symbol in enumerate(self.symbols)}, len(self.symbols) - 1
        return [[of_symbol.get(symbol, other) for symbol in self.split(text)] + [0] * self.end for text in texts]

    def decode(self, labels: Sequence[int]) -> str:
        """The symbols of these labels as text."""
        return ("" if self.unit == "characters" else " ").join(self.symbols[label] for label in labels)


def train_alphabet(texts: Iterable[str], *, unit: str, labels: int, end: bool) -> Alphabet:
    """The alphabet of a text: its most frequent symbols, equals in their own order.

    Args:
        texts: the training sentences.
        unit: characters or words.
        labels: Q at most, those of OTHER and of END among them.
        end: whether a label stands between a sentence's last and first symbol.

    Raises:
        ValueError: an unknown unit, or fewer labels than an alphabet needs.
    """
    if unit not in UNITS:
        raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {unit!r}.")
    if labels < 2 + end:
        raise ValueError(f"labels must be >= {2 + end}, one symbol and those for others and the end, got {labels}.")
    counts = Counter(chain.from_iterable(text if unit == "characters" else text.split() for text in texts))
    reserved = {END, OTHER}
    ordered = sorted((s for s in counts if s not in reserved), key=lambda symbol: (-counts[symbol], symbol))
    return Alphabet(unit, (*(END,) * end, *ordered[: labels - 1 - end], OTHER), end)


def label_split(
    dataset: Dataset,
    alphabet: Alphabet,
    *,
    longest: int,
    too_long: str = "error",
    sites: int | None = None,
    name: str = "split",
) -> EncodedSplit:
    """The split as labels, each sentence one sequence.

    Args:
        dataset: columns text and, where there are, label (integer) and row (line of the file).
        alphabet: which symbols have a label.
        longest: the longest sequence taken, in labels.
        too_long: error, skip or truncate, the last two counted in notes.
        sites: the first so many labels of each sentence, shorter ones left out and counted; None takes them whole.
        name: the split's name, for messages.

    Raises:
        ValueError: a sentence of fewer than two labels, or over `longest` under "error"; nothing left.
    """
    texts = list(dataset["text"])
    rows = alphabet.encode(texts)
    if (short := next((i for i, row in enumerate(rows) if len(row) < 2), None)) is not None:
        raise ValueError(
            f"{name}: sentence {short + 1} has one label ({texts[short]!r}), and a single site has no neighbour; "
            "set model.end: true, or leave it out."
        )
    keep, notes = _kept(rows, longest=longest, too_long=too_long, sites=sites, name=name)
    if not keep:
        raise ValueError(f"the {name} split is empty: none of its {len(rows):,} sentences is left. {' '.join(notes)}")
    flat = np.fromiter(chain.from_iterable(rows[i] for i in keep), np.int32)
    if strange := int((flat == len(alphabet) - 1).sum()):
        share = f"{100 * strange / len(flat):.2f} %"
        notes.append(f"{name}: {strange:,} of {len(flat):,} labels ({share}) are symbols without a label of their own.")
    labels = dataset["label"] if "label" in dataset.column_names else None
    whole = sites is None
    shown = texts if whole else [alphabet.decode(row) for row in rows]
    return EncodedSplit(
        tokens=torch.from_numpy(flat),
        offsets=torch.tensor([0, *np.cumsum([len(rows[i]) for i in keep]).tolist()]),
        words=torch.tensor([len(shown[i].split()) for i in keep]),
        characters=torch.tensor([len(shown[i]) for i in keep]),
        label=torch.tensor([-1 if labels is None else labels[i] for i in keep]),
        index=torch.tensor(keep),
        notes=notes,
        dataset=dataset,
        cut={} if whole else {i: shown[i] for i in keep},
    )


def _kept(
    rows: list[list[int]], *, longest: int, too_long: str, sites: int | None, name: str
) -> tuple[list[int], list[str]]:
    """The rows that stay, cut in place where they are to be; and what is to be said of the others."""
    if sites is not None:
        keep = [i for i, row in enumerate(rows) if len(row) >= sites]
        for i in keep:
            rows[i] = rows[i][:sites]
        gone = len(rows) - len(keep)
        told = f"{name}: {gone:,} of {len(rows):,} sentences have fewer than {sites} labels and were left out."
        return keep, [told] if gone else []
    over = [i for i, row in enumerate(rows) if len(row) > longest]
    if over and too_long == "error":
        most = max(len(rows[i]) for i in over)
        raise ValueError(
            f"{name}: sentence {over[0] + 1} has {len(rows[over[0]])} labels, over data.max_tokens {longest} (so have "
            f"{len(over)}, at most {most}); raise data.max_tokens, or set data.too_long: skip or truncate."
        )
    done = "left out" if too_long == "skip" else f"cut to {longest} labels"
    notes = [f"{name}: {len(over):,} of {len(rows):,} sentences were over {longest} labels and were {done}."]
    if too_long == "skip":
        dropped = set(over)
        return [i for i in range(len(rows)) if i not in dropped], notes if over else []
    for i in over:
        rows[i] = rows[i][:longest]
    return list(range(len(rows))), notes if over else []
