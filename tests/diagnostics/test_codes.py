"""Usage of codes whose law is known: counted by hand, enumerated, or drawn from it."""

import math

import pytest
import torch

from textlatent.diagnostics.codes import (
    Alphabet,
    code_bounds,
    code_counts,
    code_label_information,
    code_usage,
    codes_alive,
    is_quantised,
    positions_entropy,
    silent_positions,
    usage_cells,
    usage_event,
)
from textlatent.scores import Scores

CODES = torch.tensor([[0, 1, 1], [2, 1, 0], [0, 1, 2], [0, 1, 1]])


def _scores(codes: torch.Tensor, *, nats: float) -> Scores:
    """Of a deterministic encoder under the prior that gives each position `nats`."""
    count, positions = codes.shape
    kl = torch.full((count, positions), nats, dtype=torch.float64)
    return Scores(codes=codes[None], kl=kl, log_p_enc=torch.zeros(1, count), log_p_pri=-kl.sum(1)[None])


def test_counts_by_hand() -> None:
    assert code_counts(CODES, Alphabet(4)).tolist() == [[3, 0, 1, 0], [0, 4, 0, 0], [1, 2, 1, 0]]
    books = code_counts(CODES, Alphabet(4, books=3))
    assert books.shape == (3, 12)
    assert books[2, 8:].tolist() == [1, 2, 1, 0]
    halves = code_counts(CODES[:1], Alphabet(4)) + code_counts(CODES[1:], Alphabet(4))
    assert torch.equal(halves, code_counts(CODES, Alphabet(4)))  # parts add up


def test_usage_by_hand() -> None:
    found = code_usage(CODES, Alphabet(4))
    assert found.used.value == 3
    assert found.unseen == [3]
    assert found.entropies[1].value == 0.0  # one code alone
    assert silent_positions(found.entropies, threshold=0.05).tolist() == [False, True, False]
    event = usage_event(found.counts)
    assert (event["codes_used"], event["codes"], event["code_counts"]) == (3, 4, [4, 6, 2, 0])
    assert usage_cells(found, Alphabet(4))["used"] == 3


def test_a_shared_codebook_that_each_position_uses_for_itself() -> None:
    """Position p holds code 4 p + u, u of four: 32 codes alike, and a code tells its position: ln 8 nats."""
    generator = torch.Generator().manual_seed(0)
    codes = 4 * torch.arange(8) + torch.randint(4, (1000, 8), generator=generator)
    found = code_usage(codes, Alphabet(64))
    assert found.perplexity.value == pytest.approx(32, abs=0.1)
    assert found.place.value == pytest.approx(math.log(8), rel=1e-6)
    assert found.alive.value == 32
    assert positions_entropy(codes).value == pytest.approx(8 * math.log(4), abs=0.02)


def test_perplexity_is_not_biased_down_by_few_sentences() -> None:
    """512 codes alike, 256 sentences of 8: the plug-in says 450, the truth is 512."""
    values = []
    for seed in range(5):
        codes = torch.randint(512, (256, 8), generator=torch.Generator().manual_seed(seed))
        values.append(code_usage(codes, Alphabet(512)).perplexity.value)
    assert sum(values) / 5 == pytest.approx(512, rel=0.02)


def test_codes_alive_sees_through_few_sentences() -> None:
    """200 of 512 codes in use: 100 sentences of 8 show fewer, Chao's bound comes near 200 and never says 512."""
    codes = torch.randint(200, (100, 8), generator=torch.Generator().manual_seed(1))
    found = codes_alive(codes, 512)
    seen = len(codes.unique())
    assert seen < 200
    assert abs(found.value - 200) < 2.5 * found.se
    every = torch.randint(200, (5000, 8), generator=torch.Generator().manual_seed(1))
    assert codes_alive(every, 512).value == 200.0
    assert codes_alive(every, 512).se == 0.0


def test_bounds_hold_the_entropy_of_the_codes() -> None:
    """Two free positions of 5 codes, a third that repeats the first: H(k) = 2 ln 5, the sum of entropies 3 ln 5."""
    free = torch.randint(5, (4000, 2), generator=torch.Generator().manual_seed(2))
    found = code_bounds(_scores(torch.cat([free, free[:, :1]], 1), nats=math.log(64)))
    assert found.lower.value == pytest.approx(2 * math.log(5), abs=0.01)
    assert found.upper.value == pytest.approx(3 * math.log(5), abs=0.01)
    assert found.lower.value <= found.cap == math.log(4000)
    assert found.interval[0] < 2 * math.log(5) < found.interval[1]


def test_a_prior_that_fits_is_the_upper_bound() -> None:
    """The prior that knows that the third repeats the first pays 2 ln 5, less than the sum of entropies."""
    free = torch.randint(5, (4000, 2), generator=torch.Generator().manual_seed(2))
    scores = _scores(torch.cat([free, free[:, :1]], 1), nats=2 * math.log(5) / 3)
    assert code_bounds(scores).upper.value == pytest.approx(2 * math.log(5), rel=1e-12)
    assert code_bounds(scores).upper.se == 0.0


def test_bounds_of_one_code_are_nothing() -> None:
    found = code_bounds(_scores(torch.zeros(50, 4, dtype=torch.int64), nats=math.log(16)))
    assert (found.lower.value, found.upper.value, found.upper.se) == (0.0, 0.0, 0.0)


def test_a_code_that_is_the_label_tells_it_all() -> None:
    label = torch.tensor([0, 1, 2, -1] * 100)
    noise = torch.randint(3, (400,), generator=torch.Generator().manual_seed(0))
    each, entropy = code_label_information(torch.stack([label.clamp(min=0), noise], 1), label)
    assert each[0].value == pytest.approx(math.log(3), abs=0.01)
    assert entropy.value == pytest.approx(math.log(3), abs=0.01)
    assert abs(each[1].value) < 3 * each[1].se + 0.01


def test_what_is_quantised() -> None:
    scores = _scores(CODES, nats=1.0)
    assert is_quantised(scores)
    assert not is_quantised(Scores(codes=scores.codes))  # a mixture's likeliest class: its encoder is no point
    assert not is_quantised(Scores(log_p_enc=torch.zeros(1, 4)))


def test_errors() -> None:
    with pytest.raises(ValueError, match="codes must be 0 to 1, got 0 to 2"):
        code_counts(CODES, Alphabet(2))
    with pytest.raises(ValueError, match="at least 2 sentences, got 1"):
        code_usage(CODES[:1], Alphabet(4))
    with pytest.raises(ValueError, match="at least 2 sentences, got 1"):
        code_bounds(_scores(CODES[:1], nats=1.0))
    with pytest.raises(ValueError, match="codes and books >= 1, got 0"):
        Alphabet(0)
    with pytest.raises(ValueError, match="at least 2 sentences that have one, got 0"):
        code_label_information(CODES, torch.full((4,), -1))
