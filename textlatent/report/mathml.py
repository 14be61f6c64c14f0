r"""Equations as MathML, which browsers draw by themselves, from the little of TeX that this package writes.

Letters that stand together are one name, as in KL or rate (TeX would want \mathrm); `\quad` at the top parts equations.
"""

import re
from html import escape

_TOKEN = re.compile(r"\\[A-Za-z]+|\\[^A-Za-z]|[A-Za-z]+|\d+(?:[.,]\d+)*|\S")
_MINUS = re.compile(r"(?<!\w)-(?=\w)")  # before a number or ln, and no hyphen
_LETTERS = {
    **{name: chr(0x3B1 + i) for i, name in enumerate("alpha beta gamma delta".split())},
    **{"epsilon": "ε", "eta": "η", "theta": "θ", "lambda": "λ", "mu": "μ", "pi": "π", "rho": "ρ", "sigma": "σ"},
    **{"Phi": "Φ", "partial": "∂", "nabla": "∇"},
}
_SIGNS = {
    **{"leq": "≤", "geq": "≥", "sim": "∼", "in": "∈", "pm": "±", "|": "‖", "{": "{", "}": "}"},
    **{"Rightarrow": "⇒", "Leftrightarrow": "⇔", "leftarrow": "←", "rightarrow": "→"},
}
_NAMES = {"ln", "min", "max", "exp"}
_SPACES = {"quad": "1.2em", ";": "0.28em", ",": "0.17em"}
_PLAIN = {"-": "−", "*": "·"}


def mathml(tex: str, *, display: bool = False) -> str:
    """A <math> element.

    Raises:
        ValueError: braces that do not match, or a command that is not known.
    """
    parser = _Parser(tex, display=display)
    inside = "".join(parser.row(end=None))
    how = ' display="block"' if display else ""
    return f'<math{how} alttext="{escape(tex)}"><mrow>{inside}</mrow></math>'


def equations(tex: str) -> list[str]:
    r"""The equations between `\quad`s, each a displayed <math>, so that they can stand one under another.

    Raises:
        ValueError: as `mathml`.
    """
    parts: list[str] = [""]
    depth = 0
    for piece in re.split(r"(\\quad|(?<!\\)[{}])", tex):
        depth += (piece == "{") - (piece == "}")
        if piece == r"\quad" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [mathml(part, display=True) for part in (p.strip() for p in parts) if part]


def prose(text: str) -> str:
    """Text with TeX between dollar signs and commands between backticks, as HTML; all else is escaped.

    Raises:
        ValueError: as `mathml`; a dollar sign or a backtick alone.
    """
    if text.count("$") % 2 or text.count("`") % 2:
        raise ValueError(f"dollar signs and backticks come in pairs, got {text!r}.")
    out = []
    for i, part in enumerate(re.split(r"[$]", text)):
        if i % 2:
            out.append(mathml(part))
        else:
            words = escape(part, quote=False).split("`")
            out += [f"<code>{word}</code>" if j % 2 else _MINUS.sub("−", word) for j, word in enumerate(words)]
    return "".join(out)


class _Parser:
    """Reads tokens from the left; each method returns elements."""

    def __init__(self, tex: str, *, display: bool) -> None:
        self.tex = tex
        self.display = display
        self.tokens = _TOKEN.findall(tex)
        self.at = 0

    def row(self, *, end: str | None) -> list[str]:
        """Elements up to `end`, with their scripts."""
        found: list[str] = []
        while self.at < len(self.tokens):
            if self.tokens[self.at] == end:
                self.at += 1
                return found
            found.append(self._scripted())
        if end is not None:
            raise ValueError(f"a brace is not closed in {self.tex!r}.")
        return found

    def _scripted(self) -> str:
        token = self.tokens[self.at]
        base = self._atom()
        below = above = None
        while self.at < len(self.tokens) and self.tokens[self.at] in ("_", "^", "'"):
            mark = self.tokens[self.at]
            self.at += 1
            script = "<mo>′</mo>" if mark == "'" else self._atom()
            below, above = (script, above) if mark == "_" else (below, script)
        wide = self.display and token in (r"\sum", r"\prod", r"\min", r"\max", r"\underbrace")
        if below and above:
            return (
                f"<{'munderover' if wide else 'msubsup'}>{base}{below}{above}</{'munderover' if wide else 'msubsup'}>"
            )
        if below:
            return f"<{'munder' if wide else 'msub'}>{base}{below}</{'munder' if wide else 'msub'}>"
        if above:
            return f"<{'mover' if wide else 'msup'}>{base}{above}</{'mover' if wide else 'msup'}>"
        return base

    def _atom(self) -> str:
        if self.at >= len(self.tokens):
            raise ValueError(f"something is missing at the end of {self.tex!r}.")
        token = self.tokens[self.at]
        self.at += 1
        if token == "{":
            return f"<mrow>{''.join(self.row(end='}'))}</mrow>"
        if token == "}":
            raise ValueError(f"a brace is closed that was not opened in {self.tex!r}.")
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token[0].isalpha():
            return f"<mi>{token}</mi>"
        if token in "|":
            return '<mo stretchy="false">|</mo>'
        return f'<mo stretchy="false">{escape(_PLAIN.get(token, token))}</mo>'

    def _command(self, name: str) -> str:
        if name in _SPACES:
            return f'<mspace width="{_SPACES[name]}"></mspace>'
        if name in _LETTERS:
            return f"<mi>{_LETTERS[name]}</mi>"
        if name in _SIGNS:
            return f'<mo stretchy="false">{_SIGNS[name]}</mo>'
        if name in _NAMES:
            space = ' lspace="0.17em" rspace="0.17em"' if name in ("ln", "exp") else ' lspace="0.17em"'
            return f"<mo{space}>{name}</mo>"
        match name:
            case "frac":
                return f"<mfrac>{self._atom()}{self._atom()}</mfrac>"
            case "sum" | "prod" | "int":
                sign = {"sum": "∑", "prod": "∏", "int": "∫"}[name]
                return f'<mo largeop="{str(self.display).lower()}" movablelimits="false">{sign}</mo>'
            case "hat":
                return f"<mover>{self._atom()}<mo>^</mo></mover>"
            case "mathcal":
                letter = re.sub(r"<.*?>", "", self._atom())
                return f"<mi>{'ℒ' if letter == 'L' else letter}</mi>"
            case "underbrace":
                return f'<munder>{self._atom()}<mo stretchy="true">⏟</mo></munder>'
        raise ValueError(f"\\{name} is not known here; write it as a word, or teach report/mathml.py to draw it.")
