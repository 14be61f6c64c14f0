"""The inference gap as rows: its parts are those of InferenceGap, and what was not measured says so."""

import math

import pytest
import torch

from textlatent.diagnostics.inference import InferenceRow, inference_cells, inference_rows
from textlatent.diagnostics.use import InferenceGap, inference_gap
from textlatent.nats.montecarlo import Estimate
from textlatent.scores import Scores


def _rows(found: InferenceGap) -> dict[str, InferenceRow]:
    return {row.name: row for row in inference_rows(inference_cells(found))}


def test_the_parts_of_two_sentences_add_up() -> None:
    """log weights +-1: the gap is ln cosh 1 in each sentence; refining recovers 0.1 and 0.3, so 0.2 +- 0.1."""
    log_w = torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double()
    own = Scores(log_p_enc=torch.zeros(2, 2).double(), log_p_pri=torch.zeros(2, 2).double(), log_p_dec=log_w)
    better = torch.tensor([0.1, 0.3], dtype=torch.float64)
    refined = Scores(kl=torch.zeros(2, 1).double(), log_p_dec=(log_w.mean(0) + better)[None])
    found = _rows(inference_gap(own, refined))
    gap = math.log(math.cosh(1.0))
    assert [row.value for row in found.values()] == pytest.approx([gap, 0.2, gap - 0.2], abs=1e-12)
    assert [row.se for row in found.values()] == pytest.approx([0.0, 0.1, 0.1], abs=1e-12)
    left = found["of it left"]
    assert (left.lower, left.upper) == pytest.approx((left.value - 0.196, left.value + 0.196), abs=1e-12)
    assert "IW-NLL of 2 draws" in found["inference gap"].why


def test_what_was_not_measured_says_so() -> None:
    found = _rows(InferenceGap(None, Estimate(0.5, math.nan, 1), None, 1))
    assert [row.value for row in found.values()] == [None, 0.5, None]
    assert found["of it amortisation"].se is None
    assert found["of it amortisation"].lower is None
    assert "`textlatent evaluate`" in found["inference gap"].why
    assert "needs both" in found["of it left"].why
    found = _rows(InferenceGap(Estimate(0.5, 0.1, 9), None, None, None))
    assert "no posterior was refined" in found["of it amortisation"].why
    assert "which is exact" in found["inference gap"].why


def test_nothing_measured_is_nothing_shown() -> None:
    assert inference_rows(None) == []
    assert inference_rows({}) == []
    assert inference_rows(inference_cells(InferenceGap(None, None, None, 1))) == []
