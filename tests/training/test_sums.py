"""A step's sums in one vector, and a log line's averages, by hand."""

import json
from dataclasses import replace

import pytest
import torch

from textlatent.objective.objective import Terms
from textlatent.training.sums import Window, pack, unpack


def _terms(count: int, tokens: int, rate: float, distortion: float, kl: list[float]) -> Terms:
    numbers = (torch.tensor(value, dtype=torch.float64) for value in (2 * rate + distortion, rate, distortion))
    return Terms(*numbers, torch.tensor(kl, dtype=torch.float64), count, torch.tensor(tokens))


def test_parts_add_up_and_an_empty_one_adds_nothing() -> None:
    parts = [
        pack(_terms(2, 9, 1.0, 10.0, [0.25, 0.75]), weight=1.0, terminated=False),
        pack(_terms(3, 11, 2.0, 30.0, [0.5, 1.5]), weight=1.0, terminated=False),
        pack(_terms(1, 99, 7.0, 99.0, [3.0, 4.0]), weight=0.0, terminated=False),
    ]
    assert all(part.dtype == torch.float64 for part in parts)
    sums = unpack(torch.stack(parts).sum(0), torch.tensor(0.5))
    assert sums.pop("kl").tolist() == [0.75, 2.25]
    expected = {"count": 5.0, "tokens": 20.0, "rate": 3.0, "distortion": 40.0, "loss": 46.0}
    expected |= {"terminated": 0.0, "gradient_norm": 0.5}
    assert sums == expected


def test_a_signal_is_heard_from_an_empty_part_too() -> None:
    part = pack(_terms(1, 5, 1.0, 1.0, []), weight=0.0, terminated=True)
    assert unpack(part, torch.tensor(0.0))["terminated"] == 1.0
    assert unpack(part, torch.tensor(0.0))["kl"].tolist() == []


def _step(count: int, tokens: int, rate: float, distortion: float, beta: float) -> dict[str, float]:
    more = {"beta": beta, "gradient_norm": 2 * beta, "learning_rate": 0.1, "encoder_updates": 0, "encoder_tokens": 0}
    return {"count": count, "tokens": tokens, "rate": rate, "distortion": distortion, **more}


def test_a_window_averages_over_sentences_and_shows_the_last_weights() -> None:
    window = Window({})
    window.add(_step(2, 10, 1.0, 20.0, 0.5), seconds=1.0)
    window.add(_step(6, 30, 7.0, 20.0, 0.7), seconds=3.0)
    line = window.close()
    assert line.pop("rate_nats") == 1.0
    assert line.pop("distortion_nats") == 5.0
    assert line.pop("neg_elbo_nats") == 6.0
    assert line.pop("tokens_per_second") == 10.0
    assert line.pop("sentences_per_second") == 2.0
    assert line.pop("distortion_nats_per_token") == 1.0
    assert line == {"beta": 0.7, "gradient_norm": 1.4, "learning_rate": 0.1}
    window.add(_step(1, 4, 2.0, 3.0, 0.9), seconds=2.0)
    assert window.close()["rate_nats"] == pytest.approx(2.0), "it begins anew"


def test_points_have_no_rate_and_rows_of_numbers_no_tokens() -> None:
    """What is undefined is None from the sums to the log line, never 0."""
    terms = replace(_terms(2, 0, 0.0, 10.0, []), rate=None)
    empty = pack(replace(_terms(1, 0, 0.0, 99.0, []), rate=None), weight=0.0, terminated=False)
    sums = unpack(pack(terms, weight=1.0, terminated=False) + empty, torch.tensor(0.5))
    assert sums["rate"] is None
    window = Window({})
    window.add(_step(2, 0, 0.0, 10.0, 1.0) | {"rate": None}, seconds=1.0)  # type: ignore[dict-item]
    line = window.close()
    assert [line[k] for k in ("rate_nats", "neg_elbo_nats", "distortion_nats_per_token")] == [None] * 3
    assert line["distortion_nats"] == 5.0


def test_a_window_counts_what_the_encoder_did_alone() -> None:
    """Its updates, and its tokens in the speed alone: nats are those of the step's own sentences."""
    window = Window({})
    for updates, tokens in ((3, 30), (2, 20)):
        window.add(_step(2, 10, 1.0, 20.0, 0.5) | {"encoder_updates": updates, "encoder_tokens": tokens}, seconds=1.0)
    line = window.close(aggressive=True)
    assert line["encoder_updates"] == 5
    assert line["tokens_per_second"] == 35.0
    assert (line["rate_nats"], line["distortion_nats_per_token"]) == (0.5, 2.0)


def test_a_window_goes_on_from_a_checkpoint() -> None:
    """JSON keeps every digit, so that the line is the same to the bit."""
    whole, sums = Window({}), dict[str, float]()
    half = Window(sums)
    for window in (whole, half):
        window.add(_step(3, 10, 0.1, 0.2, 0.5), seconds=1.0)
    again = Window(json.loads(json.dumps(sums)))
    for window in (whole, again):
        window.add(_step(4, 10, 0.3, 0.7, 0.5), seconds=1.0)
    assert again.close() == whole.close()
