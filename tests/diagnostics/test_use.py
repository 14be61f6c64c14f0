"""Use of z by hand on two and three sentences, its errors against simulation, and what may not be compared."""

import math
from dataclasses import replace

import pytest
import torch

from textlatent.diagnostics.use import gain_per_position, gain_per_token, inference_gap, nats_lost, share_beyond
from textlatent.scores import Scores


def condition(rows: list[list[float]], *, tokens: list[int] | None = None, width: int | None = None) -> Scores:
    """Scores of sentences whose tokens have these ln P, one draw."""
    longest = width or max(map(len, rows))
    token = torch.tensor([row + [0.0] * (longest - len(row)) for row in rows], dtype=torch.float64)
    lengths = torch.tensor(tokens or [len(row) for row in rows])
    return Scores(log_p_dec=token.sum(1)[None], log_p_dec_token=token, tokens=lengths, index=torch.arange(len(rows)))


OWN = condition([[-1.0, -1.0, -1.0], [-2.0, -1.0]])
OTHER = condition([[-3.0, -1.5, -1.0], [-5.0, -1.0]])
"""Gains (2, 0.5, 0) and (3, 0): 2.5 and 3 nats."""


def test_nats_lost_by_hand() -> None:
    lost = nats_lost(OWN, OTHER)
    assert lost.value == pytest.approx(2.75)
    assert lost.se == pytest.approx(0.25)  # sd of (2.5, 3) is 0.5 / sqrt 2, over sqrt 2
    assert lost.count == 2


def test_nats_lost_averages_over_the_draws() -> None:
    twice = replace(OWN, log_p_dec=torch.stack([OWN.need("log_p_dec")[0], OWN.need("log_p_dec")[0] + 1.0]))
    assert nats_lost(twice, OTHER).value == pytest.approx(3.25)


def test_the_gain_of_each_position_is_over_the_sentences_that_have_it() -> None:
    gains = gain_per_position(OWN, OTHER)
    assert [(g.value, g.count) for g in gains] == [(2.5, 2), (0.25, 2), (0.0, 1)]
    assert gains[0].se == pytest.approx(0.5)
    assert math.isnan(gains[2].se)
    assert len(gain_per_position(OWN, OTHER, positions=2)) == 2


def test_padding_of_two_widths_changes_nothing() -> None:
    wide = condition([[-3.0, -1.5, -1.0], [-5.0, -1.0]], width=9)
    assert gain_per_position(OWN, wide) == gain_per_position(OWN, OTHER)
    assert gain_per_token(OWN, wide)[0].sum().item() == pytest.approx(5.5)
    assert gain_per_token(wide, OWN)[0].sum().item() == pytest.approx(-5.5)


def test_what_stands_on_padding_counts_for_nothing() -> None:
    dirty = OTHER.need("log_p_dec_token").clone()
    dirty[1, 2] = -100.0
    assert gain_per_token(OWN, replace(OTHER, log_p_dec_token=dirty))[0][1].tolist() == [3.0, 0.0, 0.0]


def test_the_share_beyond_the_first_tokens_by_hand() -> None:
    """Of sentences of 3, 4 and 2 tokens the first two are longer than 2 * 1: gains (2, 1, 1) and (1, 1, 0, 2)."""
    own = condition([[0.0] * 3, [0.0] * 4, [0.0] * 2])
    other = condition([[-2.0, -1.0, -1.0], [-1.0, -1.0, 0.0, -2.0], [0.0, -9.0]])
    share = share_beyond(own, other, first=1)
    assert share.value == pytest.approx(5 / 8)
    # ratio error: residuals 2 - 5/8 * 4 and 3 - 5/8 * 4, times N / (N - 1), over the total 8
    assert share.se == pytest.approx(math.sqrt(2 * (0.25 + 0.25)) / 8)
    assert share.count == 2


def test_evenly_spread_gain_leaves_what_the_docstring_says() -> None:
    for tokens, expected in ((7, 0.57), (22, 0.86)):
        share = share_beyond(condition([[0.0] * tokens] * 2), condition([[-1.0] * tokens] * 2))
        assert share.value == pytest.approx(expected, abs=0.005)


def test_the_errors_are_the_spread_over_corpora() -> None:
    generator = torch.Generator().manual_seed(0)
    gains = torch.rand(300, 200, 8, generator=generator, dtype=torch.float64).square()
    found = []
    for gain in gains:
        own = Scores(
            log_p_dec=torch.zeros(1, 200),
            log_p_dec_token=torch.zeros(200, 8),
            tokens=torch.full((200,), 8),
        )
        other = replace(own, log_p_dec=-gain.sum(1)[None], log_p_dec_token=-gain)
        found.append((share_beyond(own, other), nats_lost(own, other), gain_per_position(own, other)[5]))
    for estimates in zip(*found, strict=True):
        spread = torch.tensor([e.value for e in estimates]).std().item()
        error = sum(e.se for e in estimates) / len(estimates)
        assert error == pytest.approx(spread, rel=4 / math.sqrt(2 * 300))


def test_the_inference_gap_by_hand() -> None:
    """Two draws of weights ln w = -1, -3 and -2, -2: -ELBO 2 and 2, IW-NLL -ln mean w; refining gains 0.5 and 0."""
    zero = torch.zeros(2, 2)
    own = Scores(log_p_enc=zero, log_p_pri=zero, log_p_dec=torch.tensor([[-1.0, -2.0], [-3.0, -2.0]]))
    refined = Scores(log_p_enc=zero[:1], log_p_pri=zero[:1], log_p_dec=torch.tensor([[-1.5, -2.0]]))
    found = inference_gap(own, refined)
    first = 2 + math.log((math.exp(-1) + math.exp(-3)) / 2)
    assert found.samples == 2
    expected = {"gap": first / 2, "amortisation": 0.25, "left": first / 2 - 0.25}
    assert {name: getattr(found, name).value for name in expected} == pytest.approx(expected)
    assert vars(found)["amortisation"].se == pytest.approx(0.25)


def test_the_draws_for_the_gap_may_be_others() -> None:
    """The gap is the drawn record's, what refining recovers the own one's, whose noise the refined one shares."""
    zero = torch.zeros(2, 2)
    drawn = Scores(log_p_enc=zero, log_p_pri=zero, log_p_dec=torch.tensor([[-1.0, -2.0], [-3.0, -2.0]]))
    own = Scores(log_p_enc=zero[:1], log_p_pri=zero[:1], log_p_dec=torch.tensor([[-1.0, -2.0]]))
    refined = replace(own, log_p_dec=own.need("log_p_dec") + 0.25)
    found = inference_gap(own, refined, drawn=drawn)
    assert found.samples == 2
    assert found.gap == inference_gap(drawn, None).gap
    assert vars(found)["amortisation"].value == pytest.approx(0.25)
    assert vars(found)["amortisation"].se == pytest.approx(0.0, abs=1e-12)
    assert vars(found)["left"].value == pytest.approx(vars(found)["gap"].value - 0.25)


def test_one_draw_or_nothing_refined_leaves_no_gap() -> None:
    zero = torch.zeros(1, 2)
    own = Scores(log_p_enc=zero, log_p_pri=zero, log_p_dec=zero)
    found = inference_gap(own, None)
    assert (found.gap, found.amortisation, found.left) == (None, None, None)


def test_other_sentences_are_refused() -> None:
    with pytest.raises(ValueError, match="the same sentences, got 2 and 1"):
        nats_lost(OWN, OTHER.select(torch.tensor([0])))
    with pytest.raises(ValueError, match="at place 0 the index is 0 and 1"):
        nats_lost(OWN, OTHER.select(torch.tensor([1, 0])))
    with pytest.raises(ValueError, match="at place 1 the tokens is 2 and 3"):
        gain_per_position(OWN, replace(OTHER, tokens=torch.tensor([3, 3])))


def test_a_share_of_nothing_is_refused() -> None:
    long = condition([[0.0] * 8] * 3)
    with pytest.raises(ValueError, match="no sentence has more than 6 tokens"):
        share_beyond(OWN, OTHER)
    with pytest.raises(ValueError, match="no gain to share out"):
        share_beyond(long, long)


def test_token_scores_are_asked_for() -> None:
    with pytest.raises(ValueError, match="hold no log_p_dec_token"):
        gain_per_position(replace(OWN, log_p_dec_token=None), OTHER)
