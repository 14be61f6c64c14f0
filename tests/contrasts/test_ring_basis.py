"""Parameters to potentials, and the numbers that the likelihood sees of them."""

import pytest
import torch

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_basis import Basis

SEED = torch.Generator().manual_seed(0)


def test_the_coupling_is_that_of_t14() -> None:
    edges, fields = Basis.coupling().potentials(torch.tensor([0.7]).double())
    torch.testing.assert_close(edges, Ring.coupled(0.7, sites=3).edges)
    assert fields.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("fields", [False, True])
def test_potts(fields: bool) -> None:
    basis = Basis.potts(3, fields=fields)
    theta = torch.tensor([0.5, 1.0, -2.0]).double()[: len(basis)]
    edges, single = basis.potentials(theta)
    torch.testing.assert_close(edges, 0.5 * torch.eye(3).double())
    assert single.tolist() == ([0.0, 1.0, -2.0] if fields else [0.0, 0.0, 0.0])
    assert basis.names == (("coupling", "field 1", "field 2") if fields else ("coupling",))


@pytest.mark.parametrize("fields", [False, True])
def test_full_has_a_number_for_everything(fields: bool) -> None:
    basis = Basis.full(3, fields=fields)
    theta = torch.randn(len(basis), generator=SEED).double()
    edges, single = basis.potentials(theta)
    assert torch.equal(edges.flatten(), theta[:9])
    assert torch.equal(single, theta[9:] if fields else torch.zeros(3).double())
    assert len(basis.names) == len(basis) == 9 + 3 * fields
    assert basis.names[5] == "1,2"


@pytest.mark.parametrize("closed", [True, False])
def test_the_design_gives_the_transfer_matrix_and_the_last_field(closed: bool) -> None:
    basis = Basis.full(3, fields=True)
    theta = torch.randn(len(basis), generator=SEED).double()
    edges, single = basis.potentials(theta)
    seen = theta @ basis.design(closed=closed)
    expected = (edges + single[:, None]).flatten()
    torch.testing.assert_close(seen, expected if closed else torch.cat([expected, single]))
