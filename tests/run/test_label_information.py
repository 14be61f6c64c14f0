"""I(z; label) beside what there is to know: on a z that keeps all or nothing, on codes, on a language known exactly."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.oracles.classes import TINY
from textlatent.encoder.codes import SentenceCodes
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run import label_information as module
from textlatent.run.label_information import Known, known_label, label_information

COUNT = 240
LABEL = {"valid": torch.arange(90) % 3 // 2, "test": torch.arange(COUNT) % 3 // 2}
ENTROPY = math.log(3.0) - 2.0 / 3.0 * math.log(2.0)


def _gaussians(means: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: DiagonalGaussian(m, torch.full_like(m, 2.0 * math.log(0.05))) for name, m in means.items()}


def test_a_z_that_keeps_the_label_knows_all_of_it_and_a_deaf_one_nothing() -> None:
    noise = torch.randn(COUNT, 1, generator=torch.Generator().manual_seed(0))
    for scale, expected in ((1.0, ENTROPY), (0.0, 0.0)):
        posterior = _gaussians({name: scale * each[:, None].float() for name, each in LABEL.items()})
        found = label_information(posterior, LABEL, classes=2, z=posterior["test"].mean + 0.05 * noise)
        assert found.lower is not None
        assert found.lower.value == pytest.approx(expected, abs=3 * found.lower.se + math.log(2 * COUNT) / COUNT)
        assert found.label.value == pytest.approx(ENTROPY, abs=1e-9)
        assert (found.upper, found.text, found.sentences) == (None, None, COUNT)


def test_of_codes_it_is_the_position_that_tells_most_of_the_validation_sentences() -> None:
    """Position 1 is the label: it tells H(label) but for the jackknife's correction, of order 1/N; 0 tells nothing."""

    def codes(label: torch.Tensor) -> SentenceCodes:
        both = torch.stack([torch.arange(len(label)) // 3 % 2, label], 1)
        return SentenceCodes(both, torch.zeros(len(label), 2, 1), torch.zeros(len(label)))

    found = label_information({name: codes(each) for name, each in LABEL.items()}, LABEL, classes=2)
    assert found.position == 1
    assert found.lower is not None
    assert found.lower.value == pytest.approx(ENTROPY, abs=2.0 / COUNT)
    assert found.to_dict()["position"] == 1


def test_of_a_known_language_both_bounds_lie_below_what_the_text_tells() -> None:
    """z is the belief itself, a sufficient statistic, so that both bounds meet I(y; topic) of the sentences."""
    known = Known(TINY, "topic", ("farm", "school", "sea"))
    sentences = TINY.sample(COUNT, seed=0)
    texts = [each.text for each in sentences]
    label = torch.tensor([known.names.index(each.labels["topic"]) for each in sentences])
    beliefs = known.beliefs(texts)
    assert beliefs is not None
    posterior = DiagonalGaussian(beliefs.double(), torch.full_like(beliefs, 2.0 * math.log(0.01)))
    found = label_information(
        {"valid": posterior, "test": posterior},
        {"valid": label, "test": label},
        classes=3,
        z=beliefs,
        known=known,
        texts=texts,
    )
    assert found.text == TINY.information("topic")
    assert found.lower is not None
    assert found.upper is not None
    assert found.lower.value < found.upper.value
    assert found.upper.value == pytest.approx(found.text, abs=3 * found.upper.se)
    assert found.to_dict()["text_information_nats"] == {"value": found.text, "exact": True}


def test_beliefs_are_bayes_in_the_order_of_the_names() -> None:
    """P(topic) P(child|topic) P(book|topic), the topics' shares 3:2:1: sea 1/24, school 1/12; no farm has a book."""
    found = Known(TINY, "topic", ("school", "farm", "sea")).beliefs(["old child sold book"])
    assert found is not None
    assert found[0].tolist() == pytest.approx([2.0 / 3.0, 0.0, 1.0 / 3.0])
    assert Known(TINY, "topic", ("school", "farm", "sea")).beliefs(["another language"]) is None
    assert Known(TINY, "topic", ("farm", "sea")).beliefs(["old child sold book"]) is None


def test_a_label_is_known_where_the_card_names_the_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "language_of", lambda path: TINY if Path(path).name == "tiny.tsv" else None)
    for name in ("tiny.tsv", "other.tsv"):
        (tmp_path / name).write_text("")
    assert known_label(tmp_path / "tiny.tsv", "tense", ("past", "present")) == Known(TINY, "tense", ("past", "present"))
    assert known_label(tmp_path / "tiny.tsv", "genre", ("past", "present")) is None
    assert known_label(tmp_path / "tiny.tsv", "tense", ("past", "never")) is None
    assert known_label(tmp_path / "other.tsv", "tense", ("past", "present")) is None
    assert known_label(None, "tense", ("past", "present")) is None


def test_what_has_no_information_says_why() -> None:
    points = {name: each[:, None].float() for name, each in LABEL.items()}
    found = label_information(points, LABEL, classes=2)
    assert found.lower is None
    assert "without density" in found.why
    assert found.to_dict()["information_nats"] == {"value": None, "why": found.why}
    few = {name: each[:2] for name, each in LABEL.items()}
    posterior = _gaussians({name: each[:, None].float() for name, each in few.items()})
    assert "at least 3 sentences" in label_information(posterior, few, classes=2, z=posterior["test"].mean).why
