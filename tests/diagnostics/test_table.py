"""Tables to paste: what markdown and LaTeX would read as commands is written out; what is best is bold."""

import pytest

from textlatent.diagnostics.table import Cell, Table, escape_latex

TABLE = Table(
    ("run", "-ELBO"),
    ((Cell("a_b|c"), Cell("1.00 ± 0.10", best=True)), (Cell("d"), Cell("-2.00"))),
    "Nats, 95 % interval.",
)


def test_markdown() -> None:
    assert TABLE.to_markdown().splitlines() == [
        r"| run     |           -ELBO |",
        r"| ------- | --------------: |",
        r"| a\_b\|c | **1.00 ± 0.10** |",
        r"| d       |           -2.00 |",
        "",
        "Nats, 95 % interval.",
    ]


def test_latex() -> None:
    assert TABLE.to_latex().splitlines() == [
        r"\begin{table}",
        r"\centering",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"run & $-$ELBO \\",
        r"\midrule",
        r"a\_b|c & \textbf{1.00 $\pm$ 0.10} \\",
        r"d & $-$2.00 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\caption{Nats, 95 \% interval.}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5% #1 $x {y}", r"a\_b \& 5\% \#1 \$x \{y\}"),
        ("~/runs\\a^2", r"\textasciitilde{}/runs\textbackslash{}a\textasciicircum{}2"),
        ("rate-2-seed-0", "rate-2-seed-0"),
        ("[-0.50, -0.10]", "[$-$0.50, $-$0.10]"),
        ("a < b > c", r"a \textless{} b \textgreater{} c"),
    ],
)
def test_what_latex_would_read_as_a_command(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


def test_a_terminal_has_no_bold_but_a_star() -> None:
    assert TABLE.texts() == [("a_b|c", "1.00 ± 0.10*"), ("d", "-2.00")]
