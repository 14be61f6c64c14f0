"""Counts of a corpus, against counting by hand; what they add up to; what is refused."""

from collections import Counter

import pytest
import torch

from textlatent.contrasts.ring_counts import count, count_rows, neighbours, windows

ROWS = [[0, 1, 1, 2], [2, 0], [1, 1, 0]]
TOKENS, OFFSETS = torch.tensor([x for row in ROWS for x in row]), torch.tensor([0, 4, 6, 9])
WEIGHTS = torch.tensor([1.0, 2.0, 0.5])


def _by_hand(closed: bool) -> dict[str, Counter]:
    found: dict[str, Counter] = {name: Counter() for name in ("pairs", "triples", "first", "last")}
    for row, weight in zip(ROWS, WEIGHTS.tolist(), strict=True):
        n = len(row)
        for i in range(n):
            if closed or i + 1 < n:
                found["pairs"][row[i], row[(i + 1) % n]] += weight
            if closed or 0 < i < n - 1:
                found["triples"][row[i - 1], row[i], row[(i + 1) % n]] += weight
        if not closed:
            found["first"][row[0], row[1]] += weight
            found["last"][row[-2], row[-1]] += weight
    return found


@pytest.mark.parametrize("closed", [True, False])
def test_counts_by_hand(closed: bool) -> None:
    counts = count(TOKENS, OFFSETS, labels=3, closed=closed, weights=WEIGHTS)
    for name, expected in _by_hand(closed).items():
        table = torch.zeros_like(getattr(counts, name))
        for labels, weight in expected.items():
            table[labels] = weight
        assert torch.equal(getattr(counts, name), table), name
    assert counts.sizes.tolist() == [2, 3, 4]
    assert counts.numbers.tolist() == [2.0, 0.5, 1.0]
    assert counts.sites == 2 * 2.0 + 3 * 0.5 + 4


def test_rows_are_a_corpus_of_one_length() -> None:
    y = torch.randint(3, (7, 5), generator=torch.Generator().manual_seed(0))
    one, other = count_rows(y, labels=3), count(y.flatten(), torch.arange(8) * 5, labels=3)
    for name in ("pairs", "triples", "sizes", "numbers"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_every_site_is_in_the_middle_of_one_triple() -> None:
    ring = count(TOKENS, OFFSETS, labels=3)
    assert torch.equal(ring.triples.sum(2), ring.pairs)
    assert torch.equal(ring.triples.sum(0), ring.pairs)
    chain = count(TOKENS, OFFSETS, labels=3, closed=False)
    assert float(chain.triples.sum() + chain.first.sum() + chain.last.sum()) == chain.sites == len(TOKENS)
    assert float(chain.interior().first.sum() + chain.interior().last.sum()) == 0.0


def test_neighbours_go_around_their_own_sequence() -> None:
    near = neighbours(TOKENS, OFFSETS, labels=3)
    assert near.left.tolist() == [2, 0, 1, 1, 0, 2, 0, 1, 1]
    assert near.right.tolist() == [1, 1, 2, 0, 0, 2, 1, 0, 1]
    assert near.begins.nonzero()[:, 0].tolist() == [0, 4, 6]
    assert near.ends.nonzero()[:, 0].tolist() == [3, 5, 8]


def test_windows_cover_every_place_once() -> None:
    assert [list(range(7))[each] for each in windows(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_cannot_be_counted() -> None:
    with pytest.raises(ValueError, match="labels must be 0 to 1, got 0 to 2"):
        count(TOKENS, OFFSETS, labels=2)
    with pytest.raises(ValueError, match="at least two sites each"):
        count(torch.tensor([0, 1, 0]), torch.tensor([0, 1, 3]), labels=2)
