"""Oracle: Scores made by hand, one for each illness."""

import pytest
import torch

from textlatent.diagnostics.bigram import ADVICE, VERDICTS, BigramThresholds, diagnose_bigram
from textlatent.scores import Scores

FLOOR = torch.full((60, 4), -2.0, dtype=torch.float64)


def _scores(per_token: torch.Tensor) -> Scores:
    count, width = per_token.shape
    return Scores(log_p_dec=per_token.sum(1)[None], log_p_dec_token=per_token, tokens=torch.full((count,), width))


def _found(own: torch.Tensor, *, moved: float = 0.3, unended: float = 0.1, floor: float = 0.1, **thresholds: float):
    return diagnose_bigram(
        _scores(own),
        _scores(FLOOR[: len(own)]),
        moved=moved,
        unended=unended,
        unended_floor=floor,
        thresholds=BigramThresholds(**thresholds),
    )


def test_a_generator_at_the_floor_is_healthy() -> None:
    found = _found(FLOOR)
    assert (found.overall, found.advice) == ("healthy", "")
    assert [check.fired for check in found.checks] == [False] * 4
    assert "no rate" in found.notes[0]
    assert found.to_dict()["fired"] == []


def test_tables_that_have_not_moved_have_no_gradient() -> None:
    found = _found(FLOOR - 3.0, moved=0.0)
    assert found.overall == "without gradient"
    assert "leave_one_out" in found.advice


def test_words_given_up_are_dropped() -> None:
    own = FLOOR.clone()
    own[::2, 1] -= 5.0  # e^-5 < 1 / 100: one word in eight
    found = _found(own)
    assert found.overall == "dropping"
    assert found.checks[1].value == pytest.approx(0.125)
    assert _found(own, dropped_share=0.2, behind_share=1.0).overall == "healthy"


def test_the_line_behind_the_floor_is_a_share_of_it() -> None:
    assert _found(FLOOR - 0.09).overall == "healthy"
    found = _found(FLOOR - 0.11)
    assert found.overall == "behind"
    assert found.checks[2].value == pytest.approx(0.44)
    assert found.checks[2].threshold == pytest.approx(0.4)


def test_sentences_that_do_not_end() -> None:
    assert _found(FLOOR, unended=0.2).overall == "rambling"
    assert _found(FLOOR, unended=0.2, floor=0.18).overall == "healthy"


def test_few_sentences_say_nothing() -> None:
    assert _found(FLOOR[:20], moved=0.0).overall == "underpowered"


def test_other_sentences() -> None:
    with pytest.raises(ValueError, match="the same sentences, got 60 and 10"):
        diagnose_bigram(_scores(FLOOR), _scores(FLOOR[:10]), moved=1.0, unended=0.0)


def test_every_verdict_has_its_advice() -> None:
    assert set(ADVICE) == set(VERDICTS)
