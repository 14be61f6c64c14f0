"""Log-probabilities of tokens: the float paths against cross-entropy, the half-precision one against float64."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textlatent.decoder import head
from textlatent.decoder.head import token_log_prob

HALF = {torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}  # unit roundoff


def problem(dtype: torch.dtype, *, bias: bool, rows: int = 40, scale: float = 1.0) -> list[Tensor | None]:
    """Hidden states, weight, bias and targets; logits of a few nats."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(rows, 16, generator=generator)
    weight = scale * torch.randn(30, 16, generator=generator)
    offset = torch.randn(30, generator=generator) if bias else None
    target = torch.randint(0, 30, (rows,), generator=generator)
    return [each if each is None else each.to(dtype) for each in (hidden, weight, offset)] + [target]


def with_gradients(function: object, inputs: list[Tensor | None]) -> list[Tensor]:
    """The values of a function, then the gradients of their weighted sum in hidden, weight and bias."""
    leaves = [None if each is None else each.clone().requires_grad_() for each in inputs[:3]]
    values = function(*leaves, inputs[3])
    weights = torch.linspace(-1.0, 2.0, len(values), dtype=torch.float64)
    (values.double() * weights).sum().backward()
    return [values.detach(), *(each.grad for each in leaves if each is not None)]


def definition(hidden: Tensor, weight: Tensor, bias: Tensor | None, target: Tensor) -> Tensor:
    logits = hidden @ weight.T + (0.0 if bias is None else bias)
    return torch.log_softmax(logits, -1)[torch.arange(len(target)), target]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_value_and_gradients_are_those_of_log_softmax(dtype: torch.dtype, tolerance: float, bias: bool) -> None:
    inputs = problem(dtype, bias=bias)
    for ours, theirs in zip(with_gradients(token_log_prob, inputs), with_gradients(definition, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_float32_is_cross_entropy_to_the_bit() -> None:
    hidden, weight, bias, target = problem(torch.float32, bias=True)
    expected = -F.cross_entropy(F.linear(hidden, weight, bias), target, reduction="none")
    assert torch.equal(token_log_prob(hidden, weight, bias, target), expected)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("half", HALF)
def test_half_precision_against_float64(half: torch.dtype, bias: bool) -> None:
    """Numbers rounded to half first, so that only our own arithmetic is judged.

    A logit of size L is rounded to u L, twice in a difference, and p_max to u: an error of u (2 L + 1) nats. A gradient
    is a product of half-precision factors, each good to a few u of its norm.
    """
    inputs = [
        each if each is None or not each.is_floating_point() else each.to(half) for each in problem(half, bias=bias)
    ]
    exact = with_gradients(
        definition, [None if e is None else e.double() if e.is_floating_point() else e for e in inputs]
    )

    def ours(*arguments: Tensor) -> Tensor:
        with torch.autocast("cpu", half):
            return token_log_prob(*arguments)

    masters = [None if e is None else e.float() if e.is_floating_point() else e for e in inputs]
    values, *gradients = with_gradients(ours, masters)
    assert values.dtype == torch.float32
    largest = (
        definition(*[None if e is None else e.double() if e.is_floating_point() else e for e in inputs]).abs().max()
    )
    assert (values - exact[0]).abs().max() < HALF[half] * (2 * largest + 1)
    for gradient, truth in zip(gradients, exact[1:], strict=True):
        assert gradient.dtype == torch.float32
        assert (gradient - truth).norm() < 4 * HALF[half] * truth.norm()


def test_half_precision_says_no_more_than_it_knows() -> None:
    """An unlikely word costs its own difference of logits, not what a rounded logarithm of 1e-40 would say."""
    hidden, weight = torch.ones(2, 1), torch.tensor([[100.0], [0.0], [100.0]])
    with torch.autocast("cpu", torch.bfloat16):
        nats = token_log_prob(hidden, weight, None, torch.tensor([0, 1]))
    torch.testing.assert_close(nats, torch.tensor([-math.log(2.0), -100.0 - math.log(2.0)]), rtol=0, atol=2.0**-8)


def test_a_uniform_distribution_over_many_words_does_not_underflow() -> None:
    vocabulary = 60_000
    with torch.autocast("cpu", torch.bfloat16):
        nats = token_log_prob(torch.ones(1, 2), torch.zeros(vocabulary, 2), None, torch.tensor([7]))
    assert nats.item() == pytest.approx(-math.log(vocabulary), abs=2.0**-8)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_without_a_gradient_the_rows_go_through_in_chunks(
    autocast: bool, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same nats, and never more than a chunk's logits at once."""
    inputs = problem(torch.float32 if autocast else torch.float64, bias=bias)
    seen = []
    linear = F.linear
    monkeypatch.setattr(head, "_ROWS", 7)
    monkeypatch.setattr(head.F, "linear", lambda h, *rest: seen.append(len(h)) or linear(h, *rest))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        whole = token_log_prob(*inputs)
        assert seen == [40]
        with torch.no_grad():
            chunked = token_log_prob(*inputs)
    assert seen[1:] == [7] * 5 + [5]
    torch.testing.assert_close(chunked, whole, rtol=0, atol=1e-13 if not autocast else 2.0**-6)
