"""Entropies of grouped symbols against leaving each sentence out by hand; collisions against their distribution."""

import math

import pytest
import torch

from textlatent.nats.discrete import entropy, entropy_of_counts, mutual_information
from textlatent.nats.draws import drawn_collision, drawn_entropy, drawn_information, whole

SYMBOLS = torch.tensor([[0, 0, 2], [1, 2, 2], [0, 3, 1], [7, 0, 0]])


def _plain(symbols: torch.Tensor) -> float:
    counts = torch.bincount(symbols.flatten()).double()
    return entropy(counts / counts.sum()).item()


def test_leaving_each_sentence_out_by_hand() -> None:
    found = drawn_entropy(SYMBOLS)
    assert found.value == pytest.approx(_plain(SYMBOLS), rel=1e-14)
    by_hand = [_plain(SYMBOLS[[j for j in range(4) if j != i]]) for i in range(4)]
    assert found.left_out.tolist() == pytest.approx(by_hand, rel=1e-13)
    assert found.corrected.value == pytest.approx(4 * found.value - 3 * sum(by_hand) / 4, rel=1e-13)
    spread = sum((each - sum(by_hand) / 4) ** 2 for each in by_hand)
    assert found.plain.se == pytest.approx(math.sqrt(3 / 4 * spread), rel=1e-12)


def test_one_symbol_a_sentence_is_the_usual_jackknife() -> None:
    draws = torch.tensor([0, 0, 0, 1, 1, 4])
    usual = entropy_of_counts(torch.bincount(draws), correction="jackknife")
    found = drawn_entropy(draws[:, None]).corrected
    assert (found.value, found.se, found.count) == pytest.approx((usual.value, usual.se, 6), rel=1e-12)


def test_information_by_hand_and_without_each_sentence() -> None:
    """I(code; position) of three positions, the table of counts made by hand."""
    place = torch.arange(3).expand(4, 3)

    def plain(rows: list[int]) -> float:
        table = torch.zeros(8, 3, dtype=torch.float64)
        for i in rows:
            for p in range(3):
                table[SYMBOLS[i, p], p] += 1
        return mutual_information(table / table.sum()).item()

    found = drawn_information(SYMBOLS, place)
    assert found.value == pytest.approx(plain([0, 1, 2, 3]), abs=1e-13)
    assert found.left_out.tolist() == pytest.approx(
        [plain([j for j in range(4) if j != i]) for i in range(4)], abs=1e-13
    )


def test_whole_rows() -> None:
    rows = torch.tensor([[1, 2], [2, 1], [1, 2], [1, 1]])
    ids = whole(rows).squeeze(1)
    assert ids[0] == ids[2]
    assert len(ids.unique()) == 3


def test_the_error_knows_that_the_symbols_of_a_sentence_agree() -> None:
    """Each sentence repeats one symbol 8 times: the error is that of N draws, not of 8 N."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.randint(5, (300, 1), generator=generator) ** 2
    repeated = drawn_entropy(draws.expand(300, 8))
    assert repeated.plain.se == pytest.approx(drawn_entropy(draws).plain.se, rel=1e-9)
    assert repeated.value == pytest.approx(drawn_entropy(draws).value, rel=1e-12)


def test_collisions_of_a_uniform_law() -> None:
    """2,000 draws of 100 equally likely symbols: -ln of the share of pairs is near ln 100, the bound below it."""
    generator = torch.Generator().manual_seed(0)
    found = drawn_collision(torch.randint(100, (2000,), generator=generator))
    assert found.estimate is not None
    assert found.estimate.value == pytest.approx(math.log(100), abs=0.02)
    assert found.bound < found.estimate.value


def test_the_error_of_a_collision_is_that_of_its_chance() -> None:
    """3 of 10 pairs of five draws; without one of the three that agree 1 of 6, without one of the other two 3 of 6."""
    estimate = drawn_collision(torch.tensor([0, 0, 0, 1, 2])).estimate
    assert estimate is not None
    assert estimate.value == pytest.approx(-math.log(0.3), rel=1e-12)
    left, mean = [1 / 6, 1 / 6, 1 / 6, 0.5, 0.5], 0.3
    assert estimate.left_out.tolist() == pytest.approx([estimate.value - (x - mean) / mean for x in left], rel=1e-12)
    spread = math.sqrt(4 / 5 * sum((x - mean) ** 2 for x in left))
    assert estimate.plain.se == pytest.approx(spread / 0.3, rel=1e-12)


def test_the_error_of_a_collision_is_its_spread() -> None:
    """400 samples of 300 draws: the root mean square of the error is the estimates' spread, known to 1/sqrt(800)."""
    p = torch.tensor([0.05] * 10 + [0.005] * 100, dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    draws = torch.multinomial(p.expand(400, 110), 300, replacement=True, generator=generator)
    found = [drawn_collision(row).estimate for row in draws]
    values = torch.tensor([each.value for each in found], dtype=torch.float64)
    errors = torch.tensor([each.plain.se for each in found], dtype=torch.float64)
    assert errors.square().mean().sqrt().item() == pytest.approx(values.std().item(), rel=3 / math.sqrt(800))


def test_two_draws_have_no_error() -> None:
    found = drawn_collision(torch.tensor([3, 3]))
    assert found.estimate is not None
    assert found.estimate.value == 0.0
    assert math.isnan(found.estimate.plain.se)


def test_draws_without_a_pair_show_more_than_their_logarithm() -> None:
    found = drawn_collision(torch.arange(1000))
    assert found.estimate is None
    assert found.bound == pytest.approx(2 * math.log(1000 / 4.744), rel=1e-12)
    assert found.bound > math.log(1000)


def test_the_bound_without_a_pair_holds() -> None:
    """One symbol of probability a, the rest never twice (the worst law): broken in 5 % of samples.

    The chance of no pair among N is (1-a)^N + N a (1-a)^(N-1); it is 5 % where a = 4.744 / N, as N grows.
    """
    a, count = 4.744 / 500, 500
    chance = (1 - a) ** count + count * a * (1 - a) ** (count - 1)
    assert chance == pytest.approx(0.05, abs=1e-3)
    assert -math.log(a * a) == pytest.approx(drawn_collision(torch.arange(count)).bound, rel=1e-12)


def test_the_collision_bound_covers() -> None:
    """1,000 samples of 200 draws of a skewed law: H_2 is below the bound in no more than 2.5 % + 3 standard errors."""
    p = torch.tensor([0.05] * 10 + [0.005] * 100, dtype=torch.float64)
    truth = -p.square().sum().log().item()
    generator = torch.Generator().manual_seed(1)
    draws = torch.multinomial(p.expand(1000, 110), 200, replacement=True, generator=generator)
    broken = sum(drawn_collision(row).bound > truth for row in draws) / 1000
    assert broken <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / 1000)


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least one symbol"):
        drawn_entropy(torch.zeros(0, 2, dtype=torch.int64))
    with pytest.raises(ValueError, match="symbols must be >= 0, got -1"):
        drawn_entropy(torch.tensor([[-1]]))
    with pytest.raises(ValueError, match="at least two draws"):
        drawn_collision(torch.tensor([1]))
    with pytest.raises(ValueError, match="needs at least 2, got 1"):
        _ = drawn_entropy(torch.tensor([[1, 2]])).corrected
    assert math.isnan(drawn_entropy(torch.tensor([[1, 2]])).plain.se)
