"""MathML of the TeX that the theory writes: elements by hand for each construct, and each fault."""

from xml.etree import ElementTree

import pytest

from textlatent.report.mathml import equations, mathml, prose


def inside(tex: str, *, display: bool = False) -> str:
    """What stands in the outermost row, which is well-formed."""
    drawn = mathml(tex, display=display)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "math"
    assert root.attrib["alttext"] == tex
    return drawn[drawn.index("<mrow>") + 6 : drawn.rindex("</mrow>")]


@pytest.mark.parametrize(
    ("tex", "drawn"),
    [
        ("x", "<mi>x</mi>"),
        ("KL", "<mi>KL</mi>"),
        ("1,000.5", "<mn>1,000.5</mn>"),
        (r"\lambda", "<mi>λ</mi>"),
        ("x_i", "<msub><mi>x</mi><mi>i</mi></msub>"),
        ("x^2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("x_i^2", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>"),
        ("z'", "<msup><mi>z</mi><mo>′</mo></msup>"),
        ("P_{enc}", "<msub><mi>P</mi><mrow><mi>enc</mi></mrow></msub>"),
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        ("a - b", '<mi>a</mi><mo stretchy="false">−</mo><mi>b</mi>'),
        ("a < b", '<mi>a</mi><mo stretchy="false">&lt;</mo><mi>b</mi>'),
        (r"\|x\|", '<mo stretchy="false">‖</mo><mi>x</mi><mo stretchy="false">‖</mo>'),
        (r"\hat{L}", "<mover><mrow><mi>L</mi></mrow><mo>^</mo></mover>"),
        (r"\mathcal{L}", "<mi>ℒ</mi>"),
        (r"a \; b", '<mi>a</mi><mspace width="0.28em"></mspace><mi>b</mi>'),
    ],
)
def test_constructs(tex: str, drawn: str) -> None:
    assert inside(tex) == drawn


def test_limits_stand_below_in_a_displayed_equation_alone() -> None:
    assert inside(r"\min_x f", display=True).startswith("<munder><mo")
    assert inside(r"\min_x f").startswith("<msub><mo")
    assert inside(r"\sum_{k=1}^{K}", display=True).startswith("<munderover>")
    assert inside(r"x_i", display=True).startswith("<msub>")
    assert inside(r"\underbrace{a}_{b}", display=True).count("<munder>") == 2


def test_quads_at_the_top_part_equations() -> None:
    assert len(equations(r"a = b, \quad c = d")) == 2
    assert len(equations(r"\frac{a \quad b}{c}")) == 1
    assert len(equations(r"\{ a \quad b \}")) == 2  # written braces group nothing
    assert all('display="block"' in each for each in equations(r"a \quad b"))


def test_prose_escapes_and_sets_what_is_marked() -> None:
    text = prose("a <b> & `sg(L)` costs $x < 1$, -ELBO of an E-step")
    assert text.startswith("a &lt;b&gt; &amp; <code>sg(L)</code> costs <math")
    assert '<mo stretchy="false">&lt;</mo><mn>1</mn>' in text
    assert text.endswith(", −ELBO of an E-step")


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: mathml(r"\frac{1}{2"), "not closed"),
        (lambda: mathml("a}"), "not opened"),
        (lambda: mathml("x_"), "missing at the end"),
        (lambda: mathml(r"\sqrt{2}"), "sqrt is not known here"),
        (lambda: prose("one $ alone"), "come in pairs"),
        (lambda: prose("one ` alone"), "come in pairs"),
    ],
)
def test_faults(call, match: str) -> None:  # noqa: ANN001
    with pytest.raises(ValueError, match=match):
        call()
