"""The nearest code by the definition in float64, and k-means against sums written out."""

import pytest
import torch
from torch import Tensor

from textlatent.encoder import kmeans
from textlatent.encoder.kmeans import lloyd, nearest, spread_out, totals


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_definition(points: Tensor, codes: Tensor) -> Tensor:
    """argmin_k of the sum of squares, every difference in float64."""
    points, codes = points.double(), codes.double()
    return torch.stack([(codes - point).square().sum(1).argmin() for point in points])


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 3), (7, 2), (33, 5)])
def test_nearest_is_the_definition(count: int, size: int) -> None:
    points, codes = drawn(200, size), drawn(count, size, seed=1)
    assert torch.equal(nearest(points, codes), by_definition(points, codes))


def test_of_equal_codes_the_lowest_is_taken() -> None:
    codes = torch.tensor([[5.0], [1.0], [1.0], [-1.0], [1.0]])
    assert nearest(torch.tensor([[0.9], [-2.0], [6.0]]), codes).tolist() == [1, 3, 0]


def test_no_mistake_in_float32_far_from_the_origin() -> None:
    """Offset 100, spread 0.1: none of 16,384 vectors gets another code than in float64. Uncentred, most do."""
    points = 100.0 + 0.1 * drawn(16_384, 64, dtype=torch.float32)
    codes = 100.0 + 0.1 * drawn(256, 64, seed=1, dtype=torch.float32)
    truth = torch.cdist(points.double(), codes.double()).argmin(1)
    assert int((nearest(points, codes) != truth).sum()) == 0
    expanded = points.square().sum(1, keepdim=True) - 2 * points @ codes.T + codes.square().sum(1)
    assert (expanded.argmin(1) != truth).float().mean() > 0.5


def test_autocast_does_not_reach_the_search() -> None:
    points, codes = drawn(500, 8, dtype=torch.float32), drawn(64, 8, seed=1, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest(points, codes), by_definition(points, codes))
    assert torch.equal(nearest(points.bfloat16(), codes), by_definition(points.bfloat16(), codes))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, codes = drawn(101, 3), drawn(7, 3, seed=1)
    whole = nearest(points, codes)
    monkeypatch.setattr(kmeans, "CHUNK", 30)
    assert torch.equal(nearest(points, codes), whole)
    assert nearest(points[:0], codes).shape == (0,)


def test_shifted_scaled_and_turned_together_the_choice_stays() -> None:
    points, codes = drawn(200, 3), drawn(7, 3, seed=1)
    turn = torch.linalg.qr(drawn(3, 3, seed=2)).Q
    chosen = nearest(points, codes)
    for move in (lambda x: x + 3.0, lambda x: 2.5 * x, lambda x: x @ turn):
        assert torch.equal(nearest(move(points), move(codes)), chosen)
    assert torch.equal(nearest(points, codes.flip(0)), 6 - chosen)


def test_totals_by_hand() -> None:
    points = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    number, total = totals(points, torch.tensor([2, 0, 2]), count=4)
    assert number.tolist() == [1, 0, 2, 0]
    assert total.tolist() == [[3.0, 4.0], [0.0, 0.0], [6.0, 8.0], [0.0, 0.0]]


def test_lloyd_moves_a_code_to_the_mean_of_its_points_and_leaves_one_without() -> None:
    points, codes = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[0.2], [4.0], [99.0]])
    assert lloyd(points, codes).tolist() == [[0.5], [5.0], [99.0]]


def test_lloyd_never_raises_the_distortion() -> None:
    points, codes = drawn(300, 2), drawn(9, 2, seed=1)
    course = []
    for _ in range(20):
        course.append((points - codes[nearest(points, codes)]).square().sum().item())
        codes = lloyd(points, codes)
    assert all(after <= before for before, after in zip(course, course[1:], strict=False))
    assert course[-1] < 0.8 * course[0]


def test_k_means_pp_draws_in_proportion_to_squared_distances() -> None:
    """Points 0, 1 and 3, two codes: the pairs have chances by enumeration; 4 standard errors of 1,500 seeds."""
    points = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    square = (points - points.T).square()
    chances = {(i, j): float(square[i, j] / square[i].sum()) / 3 for i in range(3) for j in range(3) if i != j}
    seen = dict.fromkeys(chances, 0)
    for seed in range(1500):
        first, second = (int((points == row).nonzero()[0, 0]) for row in spread_out(points, count=2, seed=seed))
        seen[first, second] += 1
    for pair, chance in chances.items():
        assert abs(seen[pair] / 1500 - chance) < 4 * (chance * (1 - chance) / 1500) ** 0.5


def test_k_means_pp_is_a_function_of_the_seed_and_takes_points_apart() -> None:
    """40 points in four far clusters: every seed has one code in each."""
    points = 100.0 * torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]).repeat(10, 1) + drawn(40, 2).float()
    first = spread_out(points, count=4, seed=0)
    assert torch.equal(first, spread_out(points, count=4, seed=0))
    assert not torch.equal(first, spread_out(points, count=4, seed=1))
    for seed in range(10):
        assert nearest(spread_out(points, count=4, seed=seed), points[:4]).unique().tolist() == [0, 1, 2, 3]


def test_fewer_distinct_points_than_codes() -> None:
    """Every distinct point becomes a code before one is taken twice."""
    points = torch.tensor([[0.0], [1.0], [1.0], [7.0], [7.0]])
    for seed in range(10):
        assert sorted(set(spread_out(points, count=4, seed=seed).flatten().tolist())) == [0.0, 1.0, 7.0]


def test_fewer_points_than_codes() -> None:
    with pytest.raises(ValueError, match="8 codes need as many vectors to start from, got 5; give more sentences"):
        spread_out(drawn(5, 2), count=8, seed=0)
