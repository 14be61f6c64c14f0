"""Oracles: what a step function's derivative is, by three roads that must not be taken for one another."""

import pytest
import torch

from tests.contrasts.players import gan
from textlatent.contrasts.estimators import exact_cost
from textlatent.contrasts.zero_gradient import (
    autograd_answer,
    count_jumps,
    finite_differences,
    rows_by_steps,
    sentence_jumps,
    shifted,
)


def _noise(count: int, words: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, words, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("reader", [False, True])
def test_autograd_says_none_of_integers_and_zero_of_steps(reader: bool) -> None:
    answer = autograd_answer(gan(4, 4, reader=reader), _noise(500, 4), cost="non_saturating")
    assert answer.through_words == {"start_logits": None, "transition_logits": None}
    assert answer.through_rows == {"start_logits": 0.0, "transition_logits": 0.0}


def test_rows_by_steps_are_the_words() -> None:
    model, noise = gan(5, 6, eos=1), _noise(2000, 6)
    assert torch.equal(rows_by_steps(model, noise).argmax(-1), model.write(noise))
    assert set(rows_by_steps(model, noise).unique().tolist()) == {0.0, 1.0}


def test_finite_differences_vanish_for_almost_all_noise() -> None:
    """The share of noise that feels a change falls as its size does, and what it feels grows."""
    model = gan(4, 4)
    found = {step: finite_differences(model, _noise(200_000, 4), cost="log_ratio", step=step) for step in (1e-2, 1e-3)}
    for step, each in found.items():
        error = (each.predicted / 200_000) ** 0.5
        assert each.words_changed == pytest.approx(each.predicted, abs=5 * error)
        assert each.nonzero <= each.words_changed
        assert each.largest > 0.5 / step
    assert found[1e-3].predicted == pytest.approx(0.1 * found[1e-2].predicted, rel=0.05)
    none = finite_differences(model, _noise(200_000, 4), cost="log_ratio", step=1e-9)
    assert none.nonzero == 0.0
    assert none.predicted > 0.0


def test_the_mean_of_the_differences_is_the_gradient() -> None:
    model, step = gan(3, 3), 0.05
    found = finite_differences(model, _noise(1_000_000, 3), cost="log_ratio", step=step)
    moved = gan(3, 3)
    moved.load_state_dict(model.state_dict())
    moved.generator = shifted(model.generator, step=step, seed=0)
    change = (exact_cost(moved, cost="log_ratio") - exact_cost(model, cost="log_ratio")).item() / step
    spread = found.largest * (found.predicted / 1_000_000) ** 0.5
    assert found.mean == pytest.approx(change, abs=4 * spread)
    assert abs(change) > 8 * spread, "a difference that can be told from 0"


@pytest.mark.parametrize("row", ["P", "Q"])
def test_the_noise_that_jumps_is_counted_as_predicted(row: str) -> None:
    """Within 2 % on 10^7 points, one in each stratum; a stratum with a border in it may err, 2 V of them."""
    model = gan(50, 4, seed=1)
    moved = shifted(model.generator, step=1e-2, seed=3)
    tables = [table.log_start() if row == "P" else table.log_transition()[7] for table in (model.generator, moved)]
    found = count_jumps(*(each.exp().detach() for each in tables), points=10_000_000)
    assert found.points == 10_000_000
    assert found.measured == pytest.approx(found.first_order, rel=0.02)
    assert found.measured == pytest.approx(found.exact, abs=2 * 50 / 10_000_000)
    assert found.exact <= found.first_order + 1e-13


def test_no_change_makes_nothing_jump() -> None:
    model = gan(4, 4)
    same = shifted(model.generator, step=0.0, seed=0)
    assert sentence_jumps(model.generator, same, words=4, eos=0) == pytest.approx(0.0, abs=1e-15)
    row = model.generator.log_start().exp().detach()
    assert count_jumps(row, row, points=1000).measured == 0.0
