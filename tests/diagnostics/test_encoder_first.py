"""THEORY T6b: the three entropies make -ELBO exactly, and bound H(y) whatever the encoder."""

import math

import pytest
import torch

from textlatent.diagnostics.encoder_first import UNDEFINED, entropy_cells, posterior_entropy
from textlatent.diagnostics.ledger import build_ledger
from textlatent.diagnostics.ledger_rows import ledger_rows
from textlatent.nats.gaussian import DiagonalGaussian, kl_per_dimension
from textlatent.scores import Scores


def _scores(*, closed: bool, count: int = 7, samples: int = 3) -> Scores:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    enc, pri = DiagonalGaussian(draw(count, 2), draw(count, 2)), DiagonalGaussian(draw(2), draw(2))
    z = enc.sample(draw(samples, count, 2))
    return Scores(
        log_p_enc=enc.log_prob(z),
        log_p_pri=pri.log_prob(z),
        log_p_dec=-draw(samples, count).abs(),
        kl=kl_per_dimension(enc, pri) if closed else None,
        z=z[:1],
        posterior_mean=enc.mean,
        posterior_log_variance=enc.log_variance,
    )


def test_closed_forms_by_hand() -> None:
    """N(1, 4) under the prior N(0, 9): H_enc = 1/2 ln(2 pi e 4), H_pri = 1/2 ln(2 pi 9) + (4 + 1) / 18."""
    enc = DiagonalGaussian(torch.ones(2, 1).double(), torch.full((2, 1), math.log(4.0)).double())
    pri = DiagonalGaussian(torch.zeros(1).double(), torch.full((1,), math.log(9.0)).double())
    scores = Scores(kl=kl_per_dimension(enc, pri), posterior_mean=enc.mean, posterior_log_variance=enc.log_variance)
    cells = entropy_cells(scores)
    assert cells["posterior_entropy_nats"]["value"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 4))
    assert cells["cross_entropy_prior_nats"]["value"] == pytest.approx(0.5 * math.log(2 * math.pi * 9) + 5 / 18)


@pytest.mark.parametrize("closed", [True, False])
def test_the_three_make_the_elbo_exactly(closed: bool) -> None:
    ledger = build_ledger(_scores(closed=closed))
    prior, given = ledger["cross_entropy_prior_nats"]["value"], ledger["posterior_entropy_nats"]["value"]
    assert prior + ledger["distortion_nats"]["value"] - given == pytest.approx(
        ledger["neg_elbo_nats"]["value"], abs=1e-12
    )


def test_without_a_closed_form_they_are_of_the_same_draws() -> None:
    scores = _scores(closed=False)
    cells = entropy_cells(scores)
    assert cells["cross_entropy_prior_nats"]["value"] == pytest.approx(-scores.need("log_p_pri").mean().item())
    assert cells["posterior_entropy_nats"]["value"] == pytest.approx(-scores.need("log_p_enc").mean().item())


def test_any_encoder_bounds_the_entropy_from_above() -> None:
    """Two sentences, z of two values, by enumeration: best prior and decoder of a random encoder give H(y) exactly."""
    truth = torch.tensor([0.3, 0.7], dtype=torch.float64)
    enc = torch.tensor([[0.9, 0.1], [0.35, 0.65]], dtype=torch.float64)  # P_enc(z|y)
    joint = truth[:, None] * enc
    entropy = -(truth * truth.log()).sum()
    given = -(joint * enc.log()).sum()
    best_pri, best_dec = joint.sum(0), joint / joint.sum(0)

    def bound(pri: torch.Tensor, dec: torch.Tensor) -> float:
        return (-(joint * pri.log()).sum() - (joint * dec.log()).sum() - given).item()

    assert bound(best_pri, best_dec) == pytest.approx(entropy.item(), abs=1e-15)
    assert bound(torch.tensor([0.5, 0.5]).double(), best_dec) > entropy
    assert bound(best_pri, torch.tensor([[0.4, 0.2], [0.6, 0.8]]).double()) > entropy


def test_codes_have_no_entropy_left_and_points_none_at_all() -> None:
    codes = Scores(kl=torch.ones(2, 3), log_p_enc=torch.zeros(1, 2), log_p_pri=torch.full((1, 2), -3.0))
    assert posterior_entropy(codes).tolist() == [0.0, 0.0]  # type: ignore[union-attr]
    assert math.copysign(1.0, entropy_cells(codes)["posterior_entropy_nats"]["value"]) == 1.0
    assert entropy_cells(codes)["cross_entropy_prior_nats"]["value"] == 3.0
    points = entropy_cells(Scores(log_p_dec=torch.zeros(1, 2)))
    assert all(cell == {"value": None, "why": UNDEFINED} for cell in points.values())
    bare = entropy_cells(Scores(kl=torch.ones(2, 3)))["posterior_entropy_nats"]
    assert bare == {"value": None, "why": "it needs log_p_enc, or the posteriors' variances."}


def test_the_rows_are_shown_where_the_encoder_was_held() -> None:
    scores = _scores(closed=True)
    usual = {row.name for row in ledger_rows(build_ledger(scores))}
    rows = {row.name: row for row in ledger_rows(build_ledger(scores, context={"encoder": "held"}))}
    assert rows.keys() - usual == {"H_pri(z)", "H_enc(z|y)"}
    assert rows["-ELBO"].remark == "= rate + distortion = H_pri(z) + H_dec(y|z) - H_enc(z|y)"
    assert rows["distortion"].remark == "= H_dec(y|z)"
