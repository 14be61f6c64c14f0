"""Information of a class: its two bounds against enumeration over samples, the jackknife, and labels."""

import itertools
import math

import pytest
import torch

from textlatent.diagnostics.classes import class_bounds, class_label_cell, class_label_table, is_classes
from textlatent.diagnostics.information import bounds_of
from textlatent.nats.bounds import jackknife_error
from textlatent.nats.discrete import mutual_information
from textlatent.scores import Scores

Y = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1]], dtype=torch.float64)  # P_enc(k|y), 3 sentences
P = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)  # how often each comes


def _scores(enc: torch.Tensor, label: torch.Tensor | None = None) -> Scores:
    prior = torch.full_like(enc, 1.0 / enc.shape[1])
    z = torch.nn.functional.one_hot(enc.argmax(-1), enc.shape[1]).double()
    return Scores(
        posterior_mean=enc,
        z=z[None],
        codes=enc.argmax(-1)[None, :, None],
        kl=(enc * (enc / prior).log()).sum(-1, keepdim=True),
        log_p_enc=torch.ones(1, len(enc)),
        label=label,
    )


def test_the_bounds_hold_the_information_between_them_in_expectation() -> None:
    """All 3^5 samples of 5 sentences, each by its probability: E lower <= I <= E upper, and both near."""
    truth = mutual_information(P[:, None] * Y).item()
    lower = upper = 0.0
    for rows in itertools.product(range(3), repeat=5):
        chance = P[list(rows)].prod().item()
        found = class_bounds(_scores(Y[list(rows)]))
        lower, upper = lower + chance * found.lower.value, upper + chance * found.upper.value
    assert lower < truth < upper
    assert upper - lower < 0.5


def test_the_lower_bound_is_the_plug_in_and_its_left_out_values_are_those_of_the_rest() -> None:
    enc = Y[[0, 1, 2, 0, 1, 0]]
    found = class_bounds(_scores(enc))
    aggregate = enc.mean(0)
    assert abs(found.lower.value - (enc * (enc / aggregate).log()).sum(-1).mean().item()) < 1e-14
    without = []
    for k in range(6):
        rest = torch.cat([enc[:k], enc[k + 1 :]])
        without.append((rest * (rest / rest.mean(0)).log()).sum(-1).mean())
    assert torch.allclose(found.lower_left_out, torch.stack(without), atol=1e-14)
    assert abs(found.lower.se - jackknife_error(torch.stack(without))) < 1e-14
    assert found.cap == math.log(6)


def test_a_posterior_that_never_moves_holds_nothing_and_one_that_names_its_sentence_ln_k() -> None:
    still = class_bounds(_scores(Y[[0, 0, 0, 0]]))
    assert abs(still.lower.value) < 1e-14
    assert abs(still.upper.value) < 1e-14
    sure = class_bounds(_scores(torch.eye(3, dtype=torch.float64).repeat(4, 1)))
    assert abs(sure.lower.value - math.log(3)) < 1e-14
    assert abs(sure.upper.value + math.log(3 / 11)) < 1e-14  # 3 of the 11 others
    alone = class_bounds(_scores(torch.eye(3, dtype=torch.float64)))
    assert abs(alone.upper.value - math.log(3)) < 1e-14  # the rate: no other sentence has that class


def test_the_ledger_s_bounds_are_these_where_z_is_a_class() -> None:
    scores = _scores(Y[[0, 1, 2, 0]])
    assert is_classes(scores)
    bounds, why = bounds_of(scores, None)
    assert bounds is not None
    assert why == ""
    assert bounds.lower.value == class_bounds(scores).lower.value
    assert not is_classes(Scores(posterior_mean=Y, posterior_log_variance=Y, z=Y[None]))
    with pytest.raises(ValueError, match="at least 3 sentences"):
        class_bounds(_scores(Y[:2]))


def test_the_table_of_classes_by_labels_adds_up_and_tells_what_a_sure_class_tells() -> None:
    label = torch.tensor([0, 1, 0, -1])
    enc = Y[[0, 1, 2, 0]]
    table, count = class_label_table(enc, label, labels=2)
    assert count == 3
    assert torch.allclose(table, torch.stack([enc[0] + enc[2], enc[1]], 1))
    sure = class_label_cell(
        torch.eye(2, dtype=torch.float64)[[0, 1, 0, 1]], torch.tensor([1, 0, 1, 0]), names=["a", "b"]
    )
    assert abs(sure["value"] - math.log(2)) < 1e-12
    assert sure["purity"] == 1.0
    assert sure["sentences_by_likeliest_class"] == [[0, 2], [2, 0]]
    none = class_label_cell(Y, torch.tensor([-1, -1, -1]), names=["a"])
    assert none["value"] is None
