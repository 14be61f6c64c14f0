"""The table of gaps: those runs alone whose likelihood is exact, and the differences as they are."""

import torch

from textlatent.diagnostics.comparison import compare_members
from textlatent.diagnostics.contender import Member
from textlatent.diagnostics.gap import gap_table
from textlatent.scores import Scores


def _member(name: str, *, gap: float, exact: bool) -> Member:
    nll = torch.tensor([3.0, 4.0, 8.0], dtype=torch.float64)
    scores = Scores(
        log_p_enc=torch.zeros(1, 3, dtype=torch.float64),
        log_p_pri=torch.zeros(1, 3, dtype=torch.float64),
        log_p_dec=-nll[None],
        kl=torch.full((3, 1), gap, dtype=torch.float64),
        index=torch.arange(3),
    )
    blank = {"value": None, "why": ""}
    ledger = {"iw_nll_nats": {"value": 5.0, "exact": exact}, "information_nats": blank, "active_units": blank}
    return Member(name=name, seed=0, scores=scores, ledger=ledger)


def test_a_row_for_each_exact_likelihood_and_its_gap() -> None:
    members = {each.name: [each] for each in (_member("em", gap=0.0, exact=True), _member("vae", gap=0.25, exact=True))}
    members["other"] = [_member("other", gap=0.5, exact=False)]
    found = gap_table(compare_members(members, reference="em"))
    assert [row[0] for row in found.texts()] == ["em", "vae"]
    assert found.texts()[0][1:] == ("5.0000 ± 1.5275", "5.0000 ± 1.5275", "0 ± 0")
    assert found.texts()[1][2:] == ("5.2500 ± 1.5275", "0.25 ± 0")


def test_without_an_exact_likelihood_there_are_no_rows() -> None:
    members = {name: [_member(name, gap=0.0, exact=False)] for name in "ab"}
    assert gap_table(compare_members(members, reference="a")).rows == ()
