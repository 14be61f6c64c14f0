"""A table to paste: markdown for an issue or a README, LaTeX (booktabs) for a paper."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_MARKDOWN = re.compile(r"([\\`*_|<>\[\]])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_"},
    "±": r"$\pm$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_MINUS = re.compile(r"(?<![\w)])-(?=\w)")  # of a number or a quantity, not a hyphen


@dataclass(frozen=True)
class Cell:
    """One entry.

    Attributes:
        text: as it is read, "101.61 ± 0.12".
        best: to be set bold.
    """

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under their columns' names; the first column holds names, the others numbers.

    Attributes:
        columns: their names.
        rows: a cell for each column.
        caption: what is shown, in a sentence.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str

    def texts(self) -> list[tuple[str, ...]]:
        """The rows as plain text; what would be bold carries a star."""
        return [tuple(cell.text + ("*" if cell.best else "") for cell in row) for row in self.rows]

    def to_markdown(self) -> str:
        """A pipe table, its columns aligned in the source too, and the caption below."""
        header = [_escape_markdown(name) for name in self.columns]
        body = [[_bold_markdown(cell) for cell in row] for row in self.rows]
        widths = [max(3, *(len(row[i]) for row in [header, *body])) for i in range(len(header))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [_pad(row, widths) for row in (header, rule, *body)]
        return "\n".join([*lines, "", _escape_markdown(self.caption), ""])

    def to_latex(self) -> str:
        """A table environment, with the rules of the package booktabs."""
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{l{'r' * (len(self.columns) - 1)}}}",
            r"\toprule",
            " & ".join(escape_latex(name) for name in self.columns) + r" \\",
            r"\midrule",
            *(" & ".join(_bold_latex(cell) for cell in row) + r" \\" for row in self.rows),
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{escape_latex(self.caption)}}}",
            r"\end{table}",
        ]
        return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """The text with every character that LaTeX would read as a command written out, and minus signs set as such."""
    return _MINUS.sub("$-$", "".join(_LATEX.get(character, character) for character in text))


def _escape_markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _bold_markdown(cell: Cell) -> str:
    text = _escape_markdown(cell.text)
    return f"**{text}**" if cell.best else text


def _bold_latex(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.best else text


def _pad(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join([row[0].ljust(widths[0]), *others])} |"
