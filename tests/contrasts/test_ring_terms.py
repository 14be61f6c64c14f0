"""What the fits descend: the value by definition, gradient and Hessian by automatic differentiation of it."""

import pytest
import torch
from torch import Tensor

from tests.contrasts.enumeration import random_ring
from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_counts import Counts, count
from textlatent.contrasts.ring_exact import log_prob
from textlatent.contrasts.ring_pseudolikelihood import negative_log_pseudolikelihood
from textlatent.contrasts.ring_terms import likelihood, pseudolikelihood

SIZES = [2, 3, 5, 5, 6]
LABELS = 3


def _corpus() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randint(LABELS, (size,), generator=random) for size in SIZES]


def _counts(closed: bool) -> Counts:
    rows = _corpus()
    offsets = torch.tensor([0, *torch.tensor(SIZES).cumsum(0).tolist()])
    return count(torch.cat(rows), offsets, labels=LABELS, closed=closed)


def _value(numbers: Tensor, *, closed: bool, pseudo: bool) -> Tensor:
    """The definition: one sequence after the other, the last site's field apart on open chains."""
    square = LABELS * LABELS
    transfer = numbers[:square].reshape(LABELS, LABELS)
    last = torch.zeros(LABELS).double() if closed else numbers[square:]
    total = torch.zeros(()).double()
    for row in _corpus():
        edges = transfer.expand(len(row) - (not closed), LABELS, LABELS)
        fields = torch.cat([torch.zeros(len(row) - 1, LABELS).double(), last[None]])
        ring = Ring(edges, fields, len(row), closed)
        total = total + (negative_log_pseudolikelihood(ring, row) if pseudo else -log_prob(ring, row))
    return total


@pytest.mark.parametrize("pseudo", [False, True])
@pytest.mark.parametrize("closed", [True, False])
def test_value_gradient_and_hessian(closed: bool, pseudo: bool) -> None:
    one = random_ring(4, LABELS)
    numbers = one.edges.flatten() if closed else torch.cat([one.edges.flatten(), one.fields])
    terms = (pseudolikelihood if pseudo else likelihood)(_counts(closed), one.edges, one.fields)

    def value(at: Tensor) -> Tensor:
        return _value(at, closed=closed, pseudo=pseudo)

    torch.testing.assert_close(terms.value, value(numbers), rtol=1e-12, atol=0.0)
    gradient = torch.autograd.functional.jacobian(value, numbers)
    torch.testing.assert_close(terms.gradient, gradient, rtol=1e-10, atol=1e-11)
    hessian = torch.autograd.functional.hessian(value, numbers)
    torch.testing.assert_close(terms.hessian, hessian, rtol=1e-9, atol=1e-10)


def test_the_interior_leaves_the_ends_of_a_chain_out() -> None:
    one = random_ring(4, LABELS)
    found = pseudolikelihood(_counts(False).interior(), one.edges + one.fields[:, None], one.fields).value
    expected = torch.zeros(()).double()
    for row in _corpus():
        ring = Ring(one.edges, one.fields, len(row), closed=False)
        expected += negative_log_pseudolikelihood(ring, row, sites=torch.arange(1, len(row) - 1))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)
