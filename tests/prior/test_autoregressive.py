"""The prior that knows the codes before: that it does, that it sees none after, and what it can learn."""

import math

import pytest
import torch

from textlatent.prior.autoregressive import AutoregressivePrior


def prior(**settings: object) -> AutoregressivePrior:
    torch.manual_seed(0)
    return AutoregressivePrior(3, 4, **{"size": 16, "heads": 2, "layers": 1, "dropout": 0.0, **settings})


@pytest.mark.parametrize("books", [1, 4])
def test_no_position_sees_itself_or_what_follows(books: int) -> None:
    """Changing k_3 leaves ln P of positions 0, 1 and 2 of all other codes as they were, and moves position 3's."""
    model = prior(books=books).double().eval()
    with torch.no_grad():
        model.weight.normal_()
        one, other = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[0, 1, 0, 0]])
        a, b = model.log_prob(one), model.log_prob(other)
    assert torch.equal(a[0, :2], b[0, :2])
    assert (a[0, 2:] - b[0, 2:]).abs().min() > 1e-4


def test_it_learns_what_independent_positions_cannot() -> None:
    """Codes of which the second repeats the first: ln K in place of 2 ln K, within 2 %."""
    codes = torch.arange(3).repeat_interleave(1)[:, None].expand(-1, 4)
    model = prior()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        rate = -model.log_prob(codes).sum(1).mean()
        rate.backward()
        optimizer.step()
    assert rate.item() == pytest.approx(math.log(3), rel=0.02)
    drawn = model.eval().sample(200, seed=0)
    assert (drawn == drawn[:, :1]).all(1).float().mean() > 0.95


def test_every_parameter_hears_the_rate_once_it_has_left_its_start() -> None:
    model = prior()
    with torch.no_grad():
        model.weight.normal_()
    (-model.log_prob(torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])).sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"size": 15}, "a multiple of its heads, got 15 and 2"), ({"books": 2}, "books must be 1 or .* 4, got 2")],
)
def test_what_cannot_be_built_is_refused(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        prior(**settings)
